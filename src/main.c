/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: its subcommands and the table of its options. What a server is made of is in serve.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/backup.h"
#include "consume.h"
#include "database.h"
#include "dlt.h"
#include "event.h"
#include "lib/base.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/options.h"
#include "lib/options_show.h"
#include "log/journal_tool.h"
#include "proof.h"
#include "serve.h"
#include "verify/load.h"

enum {
    COMMAND_SERVE = 1 << 0,
    COMMAND_EVENT = 1 << 1,
    COMMAND_LOAD = 1 << 2,
    COMMAND_LOG = 1 << 3,
    COMMAND_CONFIG = 1 << 4,
    COMMAND_BACKUP = 1 << 5,
    COMMAND_VERIFY = 1 << 6,
    COMMAND_SCHEMA = 1 << 7,
    COMMAND_CONSUME = 1 << 8,
    COMMAND_DLT = 1 << 9,
    COMMAND_ALL = (1 << 10) - 1,
};

enum { SECRET = OPTION_SECRET, RELOADABLE = OPTION_RELOADABLE, FLAG_ONLY = OPTION_FLAG_ONLY };

enum { EXIT_USAGE = 2 };

#define HEADING(title) {.type = OPTION_HEADING, .help = (title)},
#define OPTION(name, type, bits, fallback, min, max, choices, argument, help)                      \
    {name,    OPTION_##type, (bits) & COMMAND_ALL, fallback, min, max,                             \
     choices, argument,      help,                 (bits) & ~COMMAND_ALL},
static const struct option option_table[] = {
#include "options.def"
};
#undef OPTION
#undef HEADING

/* ---- subcommands ---- */

static int config_command(const struct options *options, int words, char **word);

struct command {
    const char *name;
    uint32_t bit;
    int (*run)(const struct options *options, int words, char **word);
    const char *usage;
    const char *help;
};

static const struct command commands[] = {
    {"serve", COMMAND_SERVE, serve_command, "serve [OPTION…]", "answer claims"},
    {"event", COMMAND_EVENT, event_command,
     "event create|list|show|restock|pause|resume|reschedule|close|return|export [EVENT] [OPTION…]",
     "create, show and change events of a running server"},
    {"load", COMMAND_LOAD, load_command, "load --url URL --event EVENT --users N [OPTION…]",
     "send claims of many users and check every answer"},
    {"log", COMMAND_LOG, journal_tool_command, "log check|dump DIR", "look into a journal"},
    {"config", COMMAND_SERVE | COMMAND_CONFIG, config_command, "config [OPTION…]",
     "check the options of serve; show their values and where each came from"},
    {"backup", COMMAND_BACKUP, backup_command, "backup DIR [OPTION…]",
     "copy the data of a server, running or not, and check the copy"},
    {"verify", COMMAND_VERIFY, proof_command, "verify [--history FILE…] [--audit FILE…] [OPTION…]",
     "hold journal, copy, threads and what clients were told against each other"},
    {"schema", COMMAND_SCHEMA, schema_command, "schema apply|status --database HOST:PORT [OPTION…]",
     "make the tables of the database, or say which migrations it has"},
    {"consume", COMMAND_CONSUME, consume_command,
     "consume --kafka HOST:PORT --database HOST:PORT [OPTION…]",
     "bring what the log in Kafka has decided into the database"},
    {"dlt", COMMAND_DLT, dlt_command,
     "dlt list|show|replay|resolve [N] --database HOST:PORT [OPTION…]",
     "see to the records that could not be brought into the database"},
};

/* Commands, options and all that is known of them, for whoever makes documentation. */
static void show_table(struct buf *out) {
    const char *names[ARRAY_LEN(commands)];
    buf_add_text(out, "{\"commands\":[");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const struct command *command = &commands[i];
        /* The bits follow the order of the commands. */
        ASSERT((command->bit & 1u << i) != 0);
        names[i] = command->name;
        buf_add_text(out, i == 0 ? "\n{\"usage\":" : ",\n{\"usage\":");
        buf_add_json_string(out, slice_of(command->usage, strlen(command->usage)));
        buf_add_text(out, ",\"help\":");
        buf_add_json_string(out, slice_of(command->help, strlen(command->help)));
        buf_add_text(out, "}");
    }
    buf_add_text(out, "],\n\"options\":");
    options_show_table(out, option_table, ARRAY_LEN(option_table), names, ARRAY_LEN(names));
    buf_add_text(out, "}\n");
}

static int config_command(const struct options *options, int words, char **word) {
    enum { SHOWN_BYTES_MAX = 4 << 20 };
    struct err err = {0};
    if (words != 0)
        err_set(&err, -EINVAL, "unexpected word %.80s; see coupond config --help", word[0]);
    if (err.code != 0 || serve_check_options(options, &err) != 0) {
        fprintf(stderr, "coupond config: %s\n", err.text);
        return EXIT_USAGE;
    }
    struct buf out;
    buf_init(&out, SHOWN_BYTES_MAX);
    if (options_get(options, "table")->number != 0)
        show_table(&out);
    else if (options_get(options, "json")->number != 0)
        options_show_json(&out, options, COMMAND_SERVE);
    else
        options_show(&out, options, COMMAND_SERVE);
    bool is_shown =
        !out.failed && fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    if (!is_shown) fprintf(stderr, "coupond config: cannot write: %s\n", strerror(errno));
    buf_deinit(&out);
    return is_shown ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_usage(FILE *to) {
    fputs("coupond: first come, first served; exactly N; answered at once\n\nusage:\n", to);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(to, "  coupond %s\n      %s\n", commands[i].usage, commands[i].help);
    fputs(
        "\ncoupond COMMAND --help lists the options of a command; coupond --version the version\n",
        to);
}

static int run_command(const struct command *command, int argc, char **argv) {
    struct options options;
    struct err err = {0};
    int words = 0;
    bool help = false;
    int code = options_read(&options, option_table, ARRAY_LEN(option_table), command->bit,
                            "COUPOND_", argc, argv, &words, &help, &err);
    if (code != 0) {
        fprintf(stderr, "coupond %s: %s\n", command->name, err.text);
        return code == -ENOMEM ? EXIT_FAILURE : EXIT_USAGE;
    }
    int status = EXIT_SUCCESS;
    if (help) {
        printf("usage: coupond %s\n\n%s\n", command->usage, command->help);
        options_print_help(option_table, ARRAY_LEN(option_table), command->bit);
    } else {
        status = command->run(&options, words, argv + 1);
    }
    options_free(&options);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("coupond %s\n", COUPOND_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    fprintf(stderr, "coupond: there is no command %s; see coupond --help\n", argv[1]);
    return EXIT_USAGE;
}
