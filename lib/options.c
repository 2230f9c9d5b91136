/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the texts of options come from: flags, then the environment, then the file that one of them
 * names. Each text is checked, also one that a stronger source overrides: a mistake is a mistake.
 * Called by main, once at start and again for a reload.
 */
#include "lib/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/nearest.h"
#include "lib/options_value.h"

enum { NAME_BYTES_MAX = 63, LABEL_BYTES_MAX = 320, FILE_BYTES_MAX = 1 << 20 };

static const char config_name[] = "config"; /* the row that names the file, if the table has it */

/* Everything a reading needs; lives as long as options_read. */
struct reading {
    struct options *options;
    uint32_t command;
    const char *prefix; /* of the environment */
    struct err *err;
};

/* The row of that name, the command's own before one of another command. */
static const struct option *find_row(const struct options *options, const char *name) {
    const struct option *other = NULL;
    for (size_t i = 0; i < options->count; i++) {
        const struct option *row = &options->table[i];
        if (row->type == OPTION_HEADING || strcmp(row->name, name) != 0) continue;
        if ((row->commands & options->command) != 0) return row;
        if (other == NULL) other = row;
    }
    return other;
}

static struct option_value *value_of(const struct options *options, const struct option *row) {
    return &options->values[row - options->table];
}

/* Takes `text` for `row` unless a stronger source has spoken; checks it in any case. `line` is that
 * of the file, else 0. */
static int give_from(const struct reading *reading, const struct option *row, const char *label,
                     const char *text, enum option_source source, int line) {
    struct option_value *value = value_of(reading->options, row), given = *value;
    int result = option_value_read(row, label, text, &given, reading->err);
    if (result < 0) return result;
    if (source >= value->source) {
        *value = given;
        value->source = source;
        value->line = line;
    }
    return 0;
}

static int give(const struct reading *reading, const struct option *row, const char *label,
                const char *text, enum option_source source) {
    return give_from(reading, row, label, text, source, 0);
}

/* The name, among the rows that `commands` shares, that comes closest; NULL when none is close. */
static const char *nearest_name(const struct options *options, uint32_t commands,
                                const char *name) {
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < options->count; i++) {
        if ((options->table[i].commands & commands) == 0) continue;
        size_t distance = nearest_distance(name, options->table[i].name);
        if (distance < best_distance) {
            best = options->table[i].name;
            best_distance = distance;
        }
    }
    return best != NULL && nearest_is_near(name, best_distance) ? best : NULL;
}

/* ---- Defaults ------------------------------------------------------------------------------ */

/* Rows of other commands have theirs too: a client's default may be the server's. */
static int give_defaults(const struct reading *reading) {
    const struct options *options = reading->options;
    for (size_t i = 0; i < options->count; i++) {
        const struct option *row = &options->table[i];
        if (row->type == OPTION_HEADING) continue;
        ASSERT(strlen(row->name) <= NAME_BYTES_MAX);
        ASSERT((row->commands & options->command) == 0 || find_row(options, row->name) == row);
        if (row->fallback == NULL) continue;
        char label[LABEL_BYTES_MAX];
        snprintf(label, sizeof label, "default of --%s", row->name);
        int result = give(reading, row, label, row->fallback, OPTION_DEFAULT);
        if (result < 0) return result;
    }
    return 0;
}

/* ---- Flags --------------------------------------------------------------------------------- */

static int unknown_flag(const struct reading *reading, const char *flag, const char *name) {
    const struct option *row = find_row(reading->options, name);
    if (row != NULL && (row->commands & reading->command) == 0) {
        return err_set(reading->err, -EINVAL, "%.80s: is not an option of this command", flag);
    }
    const char *nearest = nearest_name(reading->options, reading->command, name);
    if (nearest == NULL) return err_set(reading->err, -EINVAL, "%.80s: no such option", flag);
    return err_set(reading->err, -EINVAL, "%.80s: no such option; did you mean --%s?", flag,
                   nearest);
}

/* A flag taken apart: --name, --no-name, --name=value. */
struct flag {
    char label[NAME_BYTES_MAX + 8]; /* without the value */
    const struct option *row;
    const char *value; /* after '=', or NULL */
    bool is_negated;
};

static int take_apart(const struct reading *reading, const char *arg, struct flag *flag) {
    size_t bytes = strcspn(arg, "=");
    *flag = (struct flag){.value = arg[bytes] == '=' ? arg + bytes + 1 : NULL};
    snprintf(flag->label, sizeof flag->label, "%.*s", (int)bytes, arg);
    bool is_long = strncmp(arg, "--", 2) == 0;
    const char *name = flag->label + (is_long ? 2 : 1);
    /* A name cut to fit the label is longer than any row's, so it cannot be taken for one. */
    flag->row = is_long ? find_row(reading->options, name) : NULL;
    if (flag->row == NULL && is_long && strncmp(name, "no-", 3) == 0) {
        flag->row = find_row(reading->options, name + 3);
        flag->is_negated = true;
        if (flag->row != NULL && flag->row->type != OPTION_SWITCH) flag->row = NULL;
    }
    if (flag->row == NULL || (flag->row->commands & reading->command) == 0) {
        return unknown_flag(reading, flag->label, flag->row != NULL ? flag->row->name : name);
    }
    return 0;
}

/* Reads the flag at argv[*at], and leaves *at at the last argument that belongs to it. */
static int read_flag(const struct reading *reading, int argc, char **argv, int *at) {
    struct flag flag;
    int result = take_apart(reading, argv[*at], &flag);
    if (result < 0) return result;
    ASSERT(flag.row != NULL);
    if (flag.is_negated && flag.value != NULL) {
        return err_set(reading->err, -EINVAL, "%s: takes no value", flag.label);
    }
    if (flag.value == NULL && flag.row->type == OPTION_SWITCH) {
        flag.value = flag.is_negated ? "false" : "true";
    }
    /* What looks like the next flag is one: a forgotten value must not swallow it. */
    if (flag.value == NULL && (*at + 1 >= argc || strncmp(argv[*at + 1], "--", 2) == 0)) {
        return err_set(reading->err, -EINVAL, "%s: needs a value: %s=%s", flag.label, flag.label,
                       flag.row->argument != NULL ? flag.row->argument : "VALUE");
    }
    if (flag.value == NULL) flag.value = argv[++*at];
    return give(reading, flag.row, flag.label, flag.value, OPTION_FLAG);
}

/* A lone "-" is a word, by custom the standard input. */
static bool is_flag(const char *arg) {
    return arg[0] == '-' && arg[1] != '\0';
}

static int read_flags(const struct reading *reading, int argc, char **argv, int *words) {
    bool is_ended = false;
    for (int at = 1; at < argc; at++) {
        if (is_ended || !is_flag(argv[at])) {
            argv[++*words] = argv[at];
        } else if (strcmp(argv[at], "--") == 0) {
            is_ended = true;
        } else {
            int result = read_flag(reading, argc, argv, &at);
            if (result < 0) return result;
        }
    }
    return 0;
}

/* With --help nothing is checked; the words before the first flag still choose what to explain. */
static bool asks_for_help(int argc, char **argv, int *words) {
    int leading = 0;
    while (leading + 1 < argc && !is_flag(argv[leading + 1])) leading++;
    for (int at = 1; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strcmp(argv[at], "--help") == 0) {
            *words = leading;
            return true;
        }
    }
    return false;
}

/* ---- Environment --------------------------------------------------------------------------- */

static char flipped(char c) {
    if (c == '_') return '-';
    if (c == '-') return '_';
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* LISTEN_ADDR to listen-addr, and back: each spelling has the other's letters and dashes flipped.
 */
static void flip(const char *from, size_t bytes, char out[NAME_BYTES_MAX + 1]) {
    bytes = size_min(bytes, NAME_BYTES_MAX);
    for (size_t i = 0; i < bytes; i++) out[i] = flipped(from[i]);
    out[bytes] = '\0';
}

/* Others may use the prefix too (an orchestrator that names its variables after the service), so
 * only what looks like a slip of the pen is a mistake. */
static int unknown_variable(const struct reading *reading, const char *label, const char *name) {
    const char *nearest = nearest_name(reading->options, UINT32_MAX, name);
    if (nearest == NULL) return 0;
    char spelled[NAME_BYTES_MAX + 1];
    flip(nearest, strlen(nearest), spelled);
    return err_set(reading->err, -EINVAL, "%s: no such option; did you mean %s%s?", label,
                   reading->prefix, spelled);
}

static bool is_read_beside_flags(const struct reading *reading, const struct option *row) {
    return (row->commands & reading->command) != 0 && (row->marks & OPTION_FLAG_ONLY) == 0;
}

/* `variable` is "PREFIX_NAME=value". */
static int read_variable(const struct reading *reading, const char *variable) {
    char label[LABEL_BYTES_MAX], name[NAME_BYTES_MAX + 1];
    size_t prefix_bytes = strlen(reading->prefix), bytes = strcspn(variable, "=");
    if (variable[bytes] == '\0') return 0;
    snprintf(label, sizeof label, "%.*s", (int)bytes, variable);
    flip(variable + prefix_bytes, bytes - prefix_bytes, name);
    const struct option *row =
        bytes - prefix_bytes <= NAME_BYTES_MAX ? find_row(reading->options, name) : NULL;
    if (row == NULL) return unknown_variable(reading, label, name);
    if (!is_read_beside_flags(reading, row)) return 0;
    return give(reading, row, label, variable + bytes + 1, OPTION_ENVIRONMENT);
}

static int read_environment(const struct reading *reading) {
    size_t prefix_bytes = strlen(reading->prefix);
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        if (strncmp(*variable, reading->prefix, prefix_bytes) != 0) continue;
        int result = read_variable(reading, *variable);
        if (result < 0) return result;
    }
    return 0;
}

/* ---- File ---------------------------------------------------------------------------------- */

/* The whole of it, NUL-terminated, owned by the options. */
static int load_file(const struct reading *reading, const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return err_set(reading->err, -EINVAL, "--%s: %s: %s", config_name, path, strerror(errno));
    }
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX + 1);
    size_t got = 0;
    do {
        text.n += got;
        if (!buf_reserve(&text, 1)) break;
        got = fread(text.p + text.n, 1, text.capacity - text.n, file);
    } while (got > 0);
    bool is_read = !ferror(file);
    fclose(file);
    const char *fault = !is_read                                       ? "cannot be read"
                        : text.failed                                  ? "is larger than 1 MiB"
                        : text.n > 0 && memchr(text.p, 0, text.n) != 0 ? "holds a NUL byte"
                                                                       : NULL;
    if (fault != NULL) {
        buf_deinit(&text);
        return err_set(reading->err, -EINVAL, "--%s: %s: %s", config_name, path, fault);
    }
    text.p[text.n] = '\0'; /* buf_reserve has made room for it */
    reading->options->file = text.p;
    return 0;
}

/* `text` without blanks around it; cuts in place. */
static char *trimmed(char *text) {
    static const char blanks[] = " \t\r";
    text += strspn(text, blanks);
    size_t bytes = strlen(text);
    while (bytes > 0 && strchr(blanks, text[bytes - 1]) != NULL) bytes--;
    text[bytes] = '\0';
    return text;
}

static int unknown_key(const struct reading *reading, const char *label, const char *key) {
    const char *nearest = nearest_name(reading->options, UINT32_MAX, key);
    if (nearest == NULL) return err_set(reading->err, -EINVAL, "%s: no such option", label);
    return err_set(reading->err, -EINVAL, "%s: no such option; did you mean %s?", label, nearest);
}

/* One line, its end cut off, with its number and `place` ("path:line"). */
static int read_line(const struct reading *reading, const char *place, int number, char *line) {
    char *key = trimmed(line);
    if (*key == '\0' || *key == '#') return 0;
    char *equals = strchr(key, '=');
    if (equals == NULL) {
        return err_set(reading->err, -EINVAL, "%s: %.80s: expected key = value", place, key);
    }
    *equals = '\0';
    key = trimmed(key);
    char label[LABEL_BYTES_MAX];
    snprintf(label, sizeof label, "%s: %.80s", place, key);
    const struct option *row = find_row(reading->options, key);
    if (row == NULL) return unknown_key(reading, label, key);
    if (strcmp(key, config_name) == 0) {
        return err_set(reading->err, -EINVAL, "%s: a file cannot name another", label);
    }
    if (!is_read_beside_flags(reading, row)) return 0;
    return give_from(reading, row, label, trimmed(equals + 1), OPTION_FILE, number);
}

static int read_file(const struct reading *reading) {
    const struct option *row = find_row(reading->options, config_name);
    if (row == NULL || (row->commands & reading->command) == 0) return 0;
    const char *path = value_of(reading->options, row)->text;
    if (path == NULL || *path == '\0') return 0;
    int result = load_file(reading, path);
    char *rest = reading->options->file;
    for (int number = 1; result == 0 && rest != NULL; number++) {
        char place[LABEL_BYTES_MAX - 96];
        snprintf(place, sizeof place, "%.180s:%d", path, number);
        char *line = strsep(&rest, "\n");
        result = read_line(reading, place, number, line);
    }
    return result;
}

/* ---- All ----------------------------------------------------------------------------------- */

int options_read(struct options *options, const struct option *table, size_t count,
                 uint32_t command, const char *environment_prefix, int argc, char **argv,
                 int *words, bool *help, struct err *err) {
    const struct reading reading = {options, command, environment_prefix, err};
    *options = (struct options){.table = table,
                                .count = count,
                                .command = command,
                                .prefix = environment_prefix,
                                .argc = argc,
                                .argv = argv};
    *words = 0;
    options->values = calloc(count, sizeof *options->values);
    if (options->values == NULL) return err_set(err, -ENOMEM, "options: out of memory");
    *help = asks_for_help(argc, argv, words);
    int result = give_defaults(&reading);
    if (result == 0 && *help) return 0;
    if (result == 0) result = read_flags(&reading, argc, argv, words);
    if (result == 0) result = read_environment(&reading);
    if (result == 0) result = read_file(&reading);
    if (result < 0) options_free(options);
    return result;
}

void options_free(struct options *options) {
    free(options->values);
    free(options->file);
    *options = (struct options){0};
}

const struct option_value *options_get(const struct options *options, const char *name) {
    const struct option *row = find_row(options, name);
    ASSERT(row != NULL);
    return value_of(options, row);
}

/* ---- Again --------------------------------------------------------------------------------- */

int options_read_again(const struct options *options, struct options *fresh, struct err *err) {
    int words = 0;
    bool help = false;
    int result = options_read(fresh, options->table, options->count, options->command,
                              options->prefix, options->argc, options->argv, &words, &help, err);
    ASSERT(result < 0 || (words == 0 && !help));
    return result;
}

bool options_differ(const struct options *options, const struct options *fresh, size_t i) {
    const struct option_value *a = &options->values[i], *b = &fresh->values[i];
    if (a->text == NULL || b->text == NULL) return a->text != b->text;
    if (a->number != b->number || a->decimal < b->decimal || a->decimal > b->decimal) return true;
    enum option_type type = options->table[i].type;
    return (type == OPTION_TEXT || type == OPTION_CHOICE) && strcmp(a->text, b->text) != 0;
}
