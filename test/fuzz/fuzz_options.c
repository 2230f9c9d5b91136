/* SPDX-License-Identifier: Apache-2.0
 *
 * Any lines as what a person configures: those that begin with '-' are flags, those that begin with
 * the prefix are variables of the environment, all others are the file of --config. What is
 * accepted keeps the rules of its rows, means the same when it is read again, and survives being
 * written out.
 *
 * The table is small and has each type, because what is tried here is the reading and not the rows.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/options.h"
#include "lib/options_value.h"

enum { SERVE = 1, LOAD = 2, INPUT_BYTES_MAX = 4096, LINES_MAX = 64 };

#define PREFIX "T_"

static const struct option table[] = {
    {.type = OPTION_HEADING, .help = "things"},
    {.name = "config", .type = OPTION_TEXT, .commands = SERVE | LOAD},
    {.name = "data-dir", .type = OPTION_TEXT, .commands = SERVE, .fallback = "data", .min = 1},
    {.name = "token", .type = OPTION_TEXT, .commands = SERVE, .marks = OPTION_SECRET},
    {.name = "threads", .type = OPTION_NUMBER, .commands = SERVE, .fallback = "0", .max = 64},
    {.name = "threads", .type = OPTION_NUMBER, .commands = LOAD, .fallback = "1", .max = 9},
    {.name = "body-max",
     .type = OPTION_BYTES,
     .commands = SERVE,
     .fallback = "4KiB",
     .min = 256,
     .max = INT64_C(1) << 33},
    {.name = "idle",
     .type = OPTION_DURATION,
     .commands = SERVE,
     .fallback = "75s",
     .min = -5000,
     .max = INT64_MAX},
    {.name = "rate", .type = OPTION_DECIMAL, .commands = SERVE, .fallback = "1.5", .max = 1000000},
    {.name = "auth",
     .type = OPTION_CHOICE,
     .commands = SERVE,
     .fallback = "none",
     .choices = "none|jwt"},
    {.name = "public", .type = OPTION_SWITCH, .commands = SERVE, .fallback = "false"},
    {.name = "once", .type = OPTION_SWITCH, .commands = SERVE, .marks = OPTION_FLAG_ONLY},
};

/* One input, taken apart. The file has a number instead of a name, so that nothing else of the
 * machine is read. */
struct input {
    char text[INPUT_BYTES_MAX + 1];
    int fd;
    char config[64]; /* the flag that names the file */
    char file[INPUT_BYTES_MAX + 1];
    size_t file_bytes;
    char *argv[LINES_MAX + 3];
    int argc;
    char *environment[LINES_MAX + 1];
    size_t environment_count;
};

/* Another file's name must not come from the input: it could be one that never ends. */
static bool names_a_file(const char *line) {
    return strstr(line, "--config") != NULL || strstr(line, PREFIX "CONFIG") != NULL;
}

static void add_line(struct input *input, char *line, size_t n) {
    const bool is_flag = line[0] == '-', is_variable = strncmp(line, PREFIX, strlen(PREFIX)) == 0;
    if (is_flag && input->argc < LINES_MAX && !names_a_file(line)) {
        input->argv[input->argc++] = line;
    } else if (is_variable && input->environment_count < LINES_MAX && !names_a_file(line)) {
        input->environment[input->environment_count++] = line;
    } else if (!is_flag && !is_variable) {
        memcpy(input->file + input->file_bytes, line, n);
        input->file_bytes += n;
        input->file[input->file_bytes++] = '\n';
    }
}

static void take_apart(struct input *input, const uint8_t *data, size_t size) {
    memcpy(input->text, data, size);
    input->text[size] = '\0';
    input->file_bytes = input->environment_count = 0;
    input->argv[0] = input->config; /* the program's name, which nobody reads */
    input->argv[1] = input->config; /* anew each time: reading moves words to the front */
    input->argc = 2;
    for (size_t at = 0; at < size;) {
        const char *line_end = memchr(input->text + at, '\n', size - at);
        const size_t n = line_end == NULL ? size - at : (size_t)(line_end - input->text) - at;
        input->text[at + n] = '\0';
        add_line(input, input->text + at, n);
        at += n + 1;
    }
    input->argv[input->argc] = NULL;
    input->environment[input->environment_count] = NULL;
}

static void put_file(const struct input *input) {
    ASSERT(ftruncate(input->fd, 0) == 0);
    ASSERT(pwrite(input->fd, input->file, input->file_bytes, 0) == (ssize_t)input->file_bytes);
}

static void check_value(const struct option *row, const struct option_value *value) {
    char written[OPTION_NUMBER_BYTES];
    struct option_value again = {0};
    struct err err;
    if (row->type == OPTION_HEADING || value->text == NULL) return;
    const char *text = option_value_format(row, value, written);
    ASSERT(text != NULL);
    if ((row->marks & OPTION_SECRET) != 0) return;
    ASSERT(option_value_read(row, "again", text, &again, &err) == 0);
    ASSERT(again.number == value->number);
    ASSERT(!(again.decimal < value->decimal) && !(again.decimal > value->decimal));
    if (row->type == OPTION_NUMBER || row->type == OPTION_BYTES || row->type == OPTION_DURATION)
        ASSERT(value->number >= row->min && value->number <= row->max);
    ASSERT((row->marks & OPTION_FLAG_ONLY) == 0 || value->source == OPTION_FLAG ||
           value->source == OPTION_DEFAULT);
    ASSERT((value->line > 0) == (value->source == OPTION_FILE));
}

/* Only of some inputs, because it takes as long as all else. */
static void check_again(const struct input *input, const struct options *options, int words) {
    struct options fresh;
    struct err err;
    if (words > 0 || input->file_bytes % 4 != 0) return;
    ASSERT(options_read_again(options, &fresh, &err) == 0);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) ASSERT(!options_differ(options, &fresh, i));
    options_free(&fresh);
}

static void read_input(struct input *input) {
    struct options options;
    struct err err = {0};
    int words;
    bool help;
    const int code = options_read(&options, table, ARRAY_LEN(table), SERVE, PREFIX, input->argc,
                                  input->argv, &words, &help, &err);
    if (code != 0) {
        ASSERT(code == err.code && err.text[0] != '\0' && strchr(err.text, '\n') == NULL);
        return;
    }
    ASSERT(words >= 0 && words < input->argc);
    if (!help) {
        for (size_t i = 0; i < ARRAY_LEN(table); i++) check_value(&table[i], &options.values[i]);
        check_again(input, &options, words);
    }
    options_free(&options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct input input;
    if (input.fd == 0) {
        input.fd = memfd_create("config", MFD_CLOEXEC);
        ASSERT(input.fd > 0);
        snprintf(input.config, sizeof input.config, "--config=/proc/self/fd/%d", input.fd);
    }
    if (size > INPUT_BYTES_MAX) return 0;
    take_apart(&input, data, size);
    put_file(&input);
    char **ours = environ;
    environ = input.environment;
    read_input(&input);
    environ = ours;
    return 0;
}
