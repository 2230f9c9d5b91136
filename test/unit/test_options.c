/* SPDX-License-Identifier: Apache-2.0
 *
 * Options from flags, environment and file: which source wins, and the line for each mistake.
 */
#include "lib/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERVE = 1, LOAD = 2 };

static const struct option table[] = {
    {.type = OPTION_HEADING, .help = "threads"}, /* no option, whatever its title */
    {"config", OPTION_TEXT, SERVE, NULL, 0, 0, NULL, "FILE", "", 0},
    {"listen", OPTION_TEXT, SERVE, "127.0.0.1:8080", 0, 0, NULL, "ADDR", "", 0},
    {"data-dir", OPTION_TEXT, SERVE | LOAD, NULL, 0, 0, NULL, "DIR", "", 0},
    {"threads", OPTION_NUMBER, SERVE | LOAD, "2", 1, 64, NULL, "N", "", 0},
    {"fsync", OPTION_SWITCH, SERVE, "true", 0, 0, NULL, NULL, "", 0},
    {"idle", OPTION_DURATION, SERVE, "75s", 1000, 600000, NULL, "T", "", 0},
    {"users", OPTION_NUMBER, LOAD, "1000", 1, 1000000, NULL, "N", "", 0},
    {"secret", OPTION_CHOICE, SERVE, NULL, 0, 0, "a|b", "X", "", OPTION_SECRET},
    {"report", OPTION_TEXT, LOAD, NULL, 0, 0, NULL, "FILE", "", 0},
    {"report", OPTION_SWITCH, SERVE, "false", 0, 0, NULL, NULL, "", OPTION_FLAG_ONLY},
};

enum { ARGS_MAX = 16 };

/* One reading; the file is written for it. */
struct given {
    struct options options;
    struct err err;
    const char *argv[ARGS_MAX];
    int words;
    bool help;
    char path[64];
};

static int reset(void **state) {
    static struct given given;
    unsetenv("TEST_THREADS");
    unsetenv("TEST_USERS");
    unsetenv("TEST_LISTN");
    unsetenv("TEST_CONFIG");
    unsetenv("TEST_FSYNC");
    given = (struct given){.path = "/tmp/test_options.XXXXXX"};
    int fd = mkstemp(given.path);
    if (fd < 0) return -1;
    close(fd);
    *state = &given;
    return 0;
}

static int drop(void **state) {
    struct given *given = *state;
    options_free(&given->options);
    return unlink(given->path);
}

static void write_file(const struct given *given, const char *text, size_t bytes) {
    FILE *file = fopen(given->path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* Arguments up to a NULL. */
static int read_for(struct given *given, uint32_t command, const char *const *args) {
    int argc = 1;
    given->argv[0] = "coupond";
    for (; *args != NULL; args++) given->argv[argc++] = *args;
    given->argv[argc] = NULL;
    options_free(&given->options);
    given->err = (struct err){0};
    int result =
        options_read(&given->options, table, ARRAY_LEN(table), command, "TEST_", argc,
                     (char **)(void *)given->argv, &given->words, &given->help, &given->err);
    assert_int_equal(result, given->err.code);
    return result;
}

#define READ(given, ...) read_for(given, SERVE, (const char *const[]){__VA_ARGS__, NULL})

static void assert_good(struct given *given, int result) {
    if (result != 0) fail_msg("%s", given->err.text);
}

/* The reading failed with this line and left nothing to free. */
static void assert_line(struct given *given, int result, const char *line) {
    assert_int_equal(result, -EINVAL);
    assert_string_equal(given->err.text, line);
    assert_null(given->options.values);
}

static const struct option_value *get(const struct given *given, const char *name) {
    return options_get(&given->options, name);
}

static void without_anything_the_defaults_hold(void **state) {
    struct given *given = *state;
    assert_good(given, read_for(given, SERVE, (const char *const[]){NULL}));
    assert_string_equal(get(given, "listen")->text, "127.0.0.1:8080");
    assert_null(get(given, "data-dir")->text);
    assert_int_equal(get(given, "threads")->number, 2);
    assert_int_equal(get(given, "fsync")->number, 1);
    assert_int_equal(get(given, "idle")->number, 75000);
    assert_int_equal(get(given, "users")->number, 1000);
    assert_int_equal(get(given, "users")->source, OPTION_DEFAULT);
    assert_int_equal(given->words, 0);
    assert_false(given->help);
}

static void flags_have_two_spellings_and_words_stay(void **state) {
    struct given *given = *state;
    assert_good(given, READ(given, "create", "--threads", "3", "sample", "--data-dir=/a=b", "-",
                            "--no-fsync", "--", "--listen", "--"));
    assert_int_equal(get(given, "threads")->number, 3);
    assert_int_equal(get(given, "threads")->source, OPTION_FLAG);
    assert_string_equal(get(given, "data-dir")->text, "/a=b");
    assert_int_equal(get(given, "fsync")->number, 0);
    assert_string_equal(get(given, "listen")->text, "127.0.0.1:8080");
    assert_int_equal(given->words, 5);
    static const char *const words[] = {"create", "sample", "-", "--listen", "--"};
    for (int i = 0; i < 5; i++) assert_string_equal(given->argv[i + 1], words[i]);
}

static void switches_and_repeated_flags(void **state) {
    struct given *given = *state;
    assert_good(given, READ(given, "--fsync=false"));
    assert_int_equal(get(given, "fsync")->number, 0);
    assert_good(given, READ(given, "--no-fsync", "--fsync", "word"));
    assert_int_equal(get(given, "fsync")->number, 1);
    assert_int_equal(given->words, 1);
    assert_good(given, READ(given, "--threads=3", "--threads=4"));
    assert_int_equal(get(given, "threads")->number, 4);
    assert_good(given, READ(given, "--data-dir="));
    assert_string_equal(get(given, "data-dir")->text, "");
    assert_good(given, READ(given, "--data-dir", "-x"));
    assert_string_equal(get(given, "data-dir")->text, "-x");
}

static void mistaken_flags_are_named(void **state) {
    struct given *given = *state;
    static const char *const rows[][3] = {
        {"--lisen=x", NULL, "--lisen: no such option; did you mean --listen?"},
        {"--data", "x", "--data: no such option; did you mean --data-dir?"},
        {"--quux", NULL, "--quux: no such option"},
        {"-t", "3", "-t: no such option"},
        {"-threads", "3", "-threads: no such option; did you mean --threads?"},
        {"--users=3", NULL, "--users: is not an option of this command"},
        {"--threads", NULL, "--threads: needs a value: --threads=N"},
        {"--threads", "--fsync", "--threads: needs a value: --threads=N"},
        {"--threads", "0", "--threads: 0 is not a number from 1 to 64"},
        {"--threads=-3", NULL, "--threads: -3 is not a number from 1 to 64"},
        {"--fsync=yes", NULL, "--fsync: yes is not true or false"},
        {"--no-fsync=true", NULL, "--no-fsync: takes no value"},
        {"--no-listen", NULL, "--no-listen: no such option; did you mean --listen?"},
        {"--secret=geheim", NULL, "--secret: the value is not one of a, b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const args[] = {rows[i][0], rows[i][1], NULL};
        assert_line(given, read_for(given, SERVE, args), rows[i][2]);
    }
    char longest[400] = "--";
    memset(longest + 2, 'x', sizeof longest - 3);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(READ(given, longest), -EINVAL);
    /* The name of a row and then more than a label holds is not that row. */
    memcpy(longest, "--threads", 9);
    assert_int_equal(READ(given, longest), -EINVAL);
}

static void help_leaves_the_rest_unchecked(void **state) {
    struct given *given = *state;
    assert_good(given, READ(given, "create", "--bogus", "--threads", "--help"));
    assert_true(given->help);
    assert_int_equal(given->words, 1);
    assert_string_equal(given->argv[1], "create");
    assert_int_equal(get(given, "threads")->number, 2);
    assert_good(given, READ(given, "--", "--help"));
    assert_false(given->help);
    assert_int_equal(given->words, 1);
}

static void later_sources_win(void **state) {
    struct given *given = *state;
    write_file(given, "threads = 5\nidle=10\n", 20);
    setenv("TEST_THREADS", "6", 1);
    assert_good(given, READ(given, "--config", given->path, "--threads=7"));
    assert_int_equal(get(given, "threads")->number, 7);
    assert_int_equal(get(given, "threads")->source, OPTION_FLAG);
    assert_int_equal(get(given, "idle")->number, 10000);
    assert_int_equal(get(given, "idle")->source, OPTION_FILE);
    assert_good(given, READ(given, "--config", given->path));
    assert_int_equal(get(given, "threads")->number, 6);
    assert_int_equal(get(given, "threads")->source, OPTION_ENVIRONMENT);
    unsetenv("TEST_THREADS");
    assert_good(given, READ(given, "--config", given->path));
    assert_int_equal(get(given, "threads")->number, 5);
    setenv("TEST_CONFIG", given->path, 1);
    assert_good(given, READ(given, "word"));
    assert_int_equal(get(given, "threads")->number, 5);
    /* A command without the row reads no file. */
    assert_good(given, read_for(given, LOAD, (const char *const[]){NULL}));
    assert_int_equal(get(given, "threads")->number, 2);
}

static void the_environment_is_checked(void **state) {
    struct given *given = *state;
    setenv("TEST_USERS", "not a number", 1); /* of another command: none of our business */
    assert_good(given, READ(given, "word"));
    assert_int_equal(get(given, "users")->number, 1000);
    unsetenv("TEST_USERS");
    setenv("TEST_LISTN", "x", 1);
    assert_line(given, READ(given, "word"),
                "TEST_LISTN: no such option; did you mean TEST_LISTEN?");
    unsetenv("TEST_LISTN");
    setenv("TEST_SERVICE_HOST", "10.0.0.1", 1); /* of somebody else */
    assert_good(given, READ(given, "word"));
    unsetenv("TEST_SERVICE_HOST");
    setenv("TEST_THREADS", "0", 1);
    assert_line(given, READ(given, "word"), "TEST_THREADS: 0 is not a number from 1 to 64");
    /* Also where a flag would have won. */
    assert_line(given, READ(given, "--threads=3"), "TEST_THREADS: 0 is not a number from 1 to 64");
    unsetenv("TEST_THREADS");
    setenv("TEST_FSYNC", "false", 1);
    assert_good(given, READ(given, "word"));
    assert_int_equal(get(given, "fsync")->number, 0);
    unsetenv("TEST_FSYNC");
    setenv("TEST_data_dir", "x", 1); /* case matters */
    assert_good(given, READ(given, "word"));
    assert_int_equal(get(given, "data-dir")->source, OPTION_DEFAULT);
    unsetenv("TEST_data_dir");
}

/* In the order of the file; of other commands' keys only the name is looked at. */
static void a_file_is_lines_of_key_and_value(void **state) {
    struct given *given = *state;
    static const char text[] = "# a comment\n"
                               "\n"
                               "   \t\n"
                               "listen=[::1]:80 # part of the value\r\n"
                               "  data-dir =  /srv/a = b  \n"
                               "users = not a number\n"
                               "   # threads = 9\n"
                               "secret =b\n"
                               "idle = 2m"; /* no line end */
    write_file(given, text, sizeof text - 1);
    assert_good(given, READ(given, "--config", given->path));
    assert_string_equal(get(given, "listen")->text, "[::1]:80 # part of the value");
    assert_string_equal(get(given, "data-dir")->text, "/srv/a = b");
    assert_string_equal(get(given, "secret")->text, "b");
    assert_int_equal(get(given, "threads")->number, 2);
    assert_int_equal(get(given, "users")->number, 1000);
    assert_int_equal(get(given, "idle")->number, 120000);
    write_file(given, "", 0);
    assert_good(given, READ(given, "--config", given->path));
}

static void mistakes_in_the_file_name_file_and_line(void **state) {
    struct given *given = *state;
    static const char *const rows[][2] = {
        {"\n# x\nlistn = 1\n", ":3: listn: no such option; did you mean listen?"},
        {"quux = 1", ":1: quux: no such option"},
        {"foo threads = 1", ":1: foo threads: no such option"},
        {"threads = 0", ":1: threads: 0 is not a number from 1 to 64"},
        {"threads =", ":1: threads: \"\" is not a number from 1 to 64"},
        {"\nthreads 3", ":2: threads 3: expected key = value"},
        {"= 3", ":1: : no such option"},
        {"Threads = 3", ":1: Threads: no such option; did you mean threads?"},
        {"config = x", ":1: config: a file cannot name another"},
        {"secret = geheim", ":1: secret: the value is not one of a, b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file(given, rows[i][0], strlen(rows[i][0]));
        char line[256];
        snprintf(line, sizeof line, "%s%s", given->path, rows[i][1]);
        assert_line(given, READ(given, "--config", given->path), line);
    }
}

static void files_that_cannot_be_read_are_named(void **state) {
    struct given *given = *state;
    char line[256];
    assert_line(given, READ(given, "--config=/tmp/no/such/file"),
                "--config: /tmp/no/such/file: No such file or directory");
    assert_line(given, READ(given, "--config=/tmp"), "--config: /tmp: cannot be read");
    write_file(given, "idle\0=1", 7);
    snprintf(line, sizeof line, "--config: %s: holds a NUL byte", given->path);
    assert_line(given, READ(given, "--config", given->path), line);
    enum { LIMIT = 1 << 20 };
    char *text = malloc(LIMIT + 1);
    assert_non_null(text);
    memset(text, '\n', LIMIT + 1);
    write_file(given, text, LIMIT);
    assert_good(given, READ(given, "--config", given->path));
    write_file(given, text, LIMIT + 1);
    free(text);
    snprintf(line, sizeof line, "--config: %s: is larger than 1 MiB", given->path);
    assert_line(given, READ(given, "--config", given->path), line);
}

static void a_default_outside_its_own_rule_is_named(void **state) {
    struct given *given = *state;
    const struct option bad = {"depth", OPTION_NUMBER, SERVE, "0", 1, 64, NULL, "N", "", 0};
    char *argv[] = {"coupond", NULL};
    int result = options_read(&given->options, &bad, 1, SERVE, "TEST_", 1, argv, &given->words,
                              &given->help, &given->err);
    assert_line(given, result, "default of --depth: 0 is not a number from 1 to 64");
}

static void a_name_may_be_two_options_of_two_commands(void **state) {
    struct given *given = *state;
    write_file(given, "report = x\n", 11);
    setenv("TEST_REPORT", "y", 1);
    assert_good(given, READ(given, "--report", "--config", given->path));
    assert_int_equal(get(given, "report")->number, 1);
    assert_good(given, READ(given, "--config", given->path));
    assert_int_equal(get(given, "report")->number, 0);
    assert_int_equal(get(given, "report")->source, OPTION_DEFAULT);
    assert_good(given, read_for(given, LOAD, (const char *const[]){NULL}));
    assert_string_equal(get(given, "report")->text, "y");
    unsetenv("TEST_REPORT");
}

static void the_line_of_the_file_is_kept(void **state) {
    struct given *given = *state;
    write_file(given, "# x\nidle=10\n\nthreads = 5\n", 25);
    assert_good(given, READ(given, "--config", given->path, "--threads=7"));
    assert_int_equal(get(given, "idle")->line, 2);
    assert_int_equal(get(given, "threads")->line, 0);
}

static size_t row_of(const char *name) {
    size_t i = 0;
    while (table[i].name == NULL || strcmp(table[i].name, name) != 0) i++;
    return i;
}

static bool differs(const struct given *given, const struct options *fresh, const char *name) {
    return options_differ(&given->options, fresh, row_of(name));
}

/* The flags are those of the start, the file is that of now. */
static void a_second_reading_tells_what_has_changed(void **state) {
    struct given *given = *state;
    static const char *const names[] = {"config", "listen", "data-dir", "threads", "fsync", "idle"};
    static const char text[] = "idle = 60\nthreads = 5\n";
    write_file(given, text, sizeof text - 1);
    assert_good(given, READ(given, "--config", given->path, "--threads", "7"));
    struct options fresh;
    assert_int_equal(options_read_again(&given->options, &fresh, &given->err), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) assert_false(differs(given, &fresh, names[i]));
    options_free(&fresh);

    static const char other[] = "idle = 1m\nthreads = 6\nfsync = false\ndata-dir = x\n";
    write_file(given, other, sizeof other - 1);
    assert_int_equal(options_read_again(&given->options, &fresh, &given->err), 0);
    assert_false(differs(given, &fresh, "idle"));    /* said otherwise */
    assert_false(differs(given, &fresh, "threads")); /* the flag still wins */
    assert_false(differs(given, &fresh, "listen"));
    assert_true(differs(given, &fresh, "fsync"));
    assert_true(differs(given, &fresh, "data-dir")); /* there was none */
    options_free(&fresh);

    write_file(given, "idle = 0\n", 9);
    assert_int_equal(options_read_again(&given->options, &fresh, &given->err), -EINVAL);
    assert_non_null(strstr(given->err.text, ":1: idle: 0 is not a duration from 1s to 10m"));
    assert_int_equal(get(given, "idle")->number, 60000); /* the first reading is as it was */
}

#define ANEW(test) cmocka_unit_test_setup_teardown(test, reset, drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        ANEW(without_anything_the_defaults_hold),
        ANEW(flags_have_two_spellings_and_words_stay),
        ANEW(switches_and_repeated_flags),
        ANEW(mistaken_flags_are_named),
        ANEW(help_leaves_the_rest_unchecked),
        ANEW(later_sources_win),
        ANEW(the_environment_is_checked),
        ANEW(a_file_is_lines_of_key_and_value),
        ANEW(mistakes_in_the_file_name_file_and_line),
        ANEW(files_that_cannot_be_read_are_named),
        ANEW(a_name_may_be_two_options_of_two_commands),
        ANEW(the_line_of_the_file_is_kept),
        ANEW(a_second_reading_tells_what_has_changed),
        ANEW(a_default_outside_its_own_rule_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
