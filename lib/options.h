/* SPDX-License-Identifier: Apache-2.0
 *
 * Options from one table: a flag, an environment variable and a key of the file are three spellings
 * of one row. Later in this list wins: default, file (--config), environment, flag.
 *
 *     --listen ADDR    COUPOND_LISTEN    listen = ADDR
 *
 * The file has lines `key = value`; # begins a comment line; blank lines are skipped. An unknown
 * key or flag is an error that names it; an environment variable with the prefix is one when it
 * comes close to the name of an option, and none of ours otherwise. A flag may be written
 * --name=VALUE or --name VALUE; a switch --name, --name=true|false or --no-name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"

enum option_type {
    OPTION_HEADING, /* no option: `help` titles the rows behind it */
    OPTION_TEXT,    /* of at least `min` bytes */
    OPTION_SWITCH,
    OPTION_NUMBER,   /* a whole number between min and max */
    OPTION_BYTES,    /* the same with an optional suffix KiB, MiB, GiB */
    OPTION_DURATION, /* in ms; a number with ms, s, m, h (a bare number is seconds) */
    OPTION_DECIMAL,  /* a decimal number between min and max, kept as double */
    OPTION_CHOICE,   /* one of `choices`, "none|jwt"; kept as text */
};

enum option_source { OPTION_DEFAULT, OPTION_FILE, OPTION_ENVIRONMENT, OPTION_FLAG };

/* What else holds of a row. The bits lie above those of commands, so that both fit in one word. */
enum option_mark {
    OPTION_SECRET = 1 << 28,     /* value never shown */
    OPTION_RELOADABLE = 1 << 29, /* a running program takes a new value over */
    OPTION_FLAG_ONLY = 1 << 30,  /* not read from environment and file */
};

/* A row. `commands` tells which subcommands take it, as bits of the caller's. Two rows may have the
 * same name when no command takes both. */
struct option {
    const char *name; /* "data-dir" */
    enum option_type type;
    uint32_t commands;
    const char *fallback; /* default as text, NULL for none */
    int64_t min, max;     /* numbers, bytes, ms */
    const char *choices;
    const char *argument; /* in the help: "DIR" */
    const char *help;     /* one sentence */
    uint32_t marks;       /* enum option_mark */
};

struct option_value {
    const char *text; /* as given, or the default; NULL when neither */
    int64_t number;   /* numbers, bytes, ms, switches (0, 1) */
    double decimal;
    enum option_source source;
    int line; /* of the file, from 1, when that is the source */
};

struct options {
    const struct option *table;
    size_t count;
    uint32_t command;
    const char *prefix; /* of the environment */
    int argc;           /* borrowed, as options_read left them */
    char **argv;
    struct option_value *values; /* one for each row */
    char *file;                  /* text of the file, owned */
};

/* Reads flags from argv[1..argc) and then, for rows of `command`, environment and file. Words that
 * are no flags are put at the front of argv[1..] in order and counted in *words (a lone "--" ends
 * flags). 0, or -EINVAL with one line in err that names the option. `--help` is the caller's: it is
 * reported as *help = true and everything else is then left unchecked. */
int options_read(struct options *options, const struct option *table, size_t count,
                 uint32_t command, const char *environment_prefix, int argc, char **argv,
                 int *words, bool *help, struct err *err) MUST_CHECK;
void options_free(struct options *options);

/* The value of a row by its name, of the command's own where two rows share it; the name must
 * exist. */
const struct option_value *options_get(const struct options *options, const char *name);

/* Reads the sources of `options` anew into `fresh`: the same flags, the environment, the file as it
 * is now. The command must take no words. Results as those of options_read. */
int options_read_again(const struct options *options, struct options *fresh,
                       struct err *err) MUST_CHECK;
/* Whether row `i` means something else in `fresh`; 75s and 75000ms are the same. */
bool options_differ(const struct options *options, const struct options *fresh, size_t i);

/* Prints the rows of `command` as help, under their headings, aligned, with defaults. */
void options_print_help(const struct option *table, size_t count, uint32_t command);
