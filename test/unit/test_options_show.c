/* SPDX-License-Identifier: Apache-2.0
 *
 * What `config` prints, to the letter, and that no secret is in it.
 */
#include "lib/options_show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERVE = 1, LOAD = 2, OUT_BYTES_MAX = 1 << 16 };

static const struct option table[] = {
    {.type = OPTION_HEADING, .help = "of nobody"},
    {.type = OPTION_HEADING, .help = "doors"},
    {"config", OPTION_TEXT, SERVE, NULL, 0, 0, NULL, "FILE", "the file", 0},
    {"listen", OPTION_TEXT, SERVE, "[::1]:80", 1, 0, NULL, "ADDR", "where", 0},
    {"users", OPTION_NUMBER, LOAD, "1000", 1, 9999, NULL, "N", "how many", 0},
    {.type = OPTION_HEADING, .help = "the rest"},
    {"idle-time", OPTION_DURATION, SERVE, "75s", 1000, 600000, NULL, "T", "how \"long\"",
     OPTION_RELOADABLE},
    {"token", OPTION_TEXT, SERVE, "geheim-0", 0, 0, NULL, "T", "which", OPTION_SECRET},
    {"pin", OPTION_NUMBER, SERVE, "17", 1, 99, NULL, "N", "which", OPTION_SECRET},
    {"name", OPTION_TEXT, SERVE | LOAD, NULL, 0, 0, NULL, "TEXT", "who", OPTION_FLAG_ONLY},
};

static char path[64];

/* Reads with one value from each source, and shows. */
static void show(void (*as)(struct buf *, const struct options *, uint32_t), const char *name,
                 char text[OUT_BYTES_MAX]) {
    snprintf(path, sizeof path, "/tmp/test_options_show.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs("# comment\nidle-time = 120\ntoken = geheim-1\n", file);
    fclose(file);
    setenv("TEST_TOKEN", "geheim-2", 1);
    setenv("TEST_CONFIG", path, 1);
    const char *argv[] = {"coupond", "--name", name, NULL};
    struct options options;
    struct err err = {0};
    int words;
    bool help;
    if (options_read(&options, table, ARRAY_LEN(table), SERVE, "TEST_", 3, (char **)(void *)argv,
                     &words, &help, &err) != 0)
        fail_msg("%s", err.text);
    struct buf out;
    buf_init(&out, OUT_BYTES_MAX - 1);
    as(&out, &options, SERVE);
    assert_false(out.failed);
    memcpy(text, out.p, out.n);
    text[out.n] = '\0';
    buf_deinit(&out);
    options_free(&options);
    unsetenv("TEST_TOKEN");
    unsetenv("TEST_CONFIG");
    unlink(path);
}

static void people_see_values_and_where_they_came_from(void **state) {
    (void)state;
    static char text[OUT_BYTES_MAX], wanted[1024];
    show(options_show, "a name that is far longer than the column of values may be", text);
    snprintf(wanted, sizeof wanted,
             "# doors\n"
             "config     %s  environment TEST_CONFIG\n"
             "listen     [::1]:80                       default\n"
             "\n"
             "# the rest\n"
             "idle-time  2m                             file %s:2\n"
             "token      ***                            environment TEST_TOKEN\n"
             "pin        ***                            default\n"
             "name       a name that is far longer than the column of values may be  flag --name\n",
             path, path);
    assert_string_equal(text, wanted);
    assert_null(strstr(text, "geheim"));
}

static void machines_see_the_same(void **state) {
    (void)state;
    static char text[OUT_BYTES_MAX], wanted[1024];
    show(options_show_json, "ein \"Name\" \xc3\xa4 \xff\xed\xa0\x80\xf0\x9f\x8e\xab\xe2\x82", text);
    snprintf(
        wanted, sizeof wanted,
        "[\n"
        "{\"name\":\"config\",\"value\":\"%s\",\"source\":\"environment\",\"origin\":"
        "\"TEST_CONFIG\"},\n"
        "{\"name\":\"listen\",\"value\":\"[::1]:80\",\"source\":\"default\",\"origin\":null},\n"
        "{\"name\":\"idle-time\",\"value\":\"2m\",\"number\":120000,\"source\":\"file\",\"origin\":"
        "\"%s:2\"},\n"
        "{\"name\":\"token\",\"value\":\"***\",\"source\":\"environment\",\"origin\":"
        "\"TEST_TOKEN\"},\n"
        "{\"name\":\"pin\",\"value\":\"***\",\"source\":\"default\",\"origin\":null},\n"
        "{\"name\":\"name\",\"value\":\"ein \\\"Name\\\" \xc3\xa4 ????\xf0\x9f\x8e\xab??\","
        "\"source\":\"flag\",\"origin\":\"--name\"}\n"
        "]\n",
        path, path);
    assert_string_equal(text, wanted);
}

static void the_table_has_all_rows_and_no_secret(void **state) {
    (void)state;
    static const char *const names[] = {"serve", "load"};
    struct buf out;
    buf_init(&out, OUT_BYTES_MAX);
    options_show_table(&out, table, ARRAY_LEN(table), names, 2);
    buf_add(&out, "", 1);
    assert_false(out.failed);
    assert_non_null(strstr(out.p, "{\"heading\":\"of nobody\"},\n{\"heading\":\"doors\"},\n"));
    assert_non_null(strstr(out.p, "{\"name\":\"idle-time\",\"type\":\"duration\",\"commands\":"
                                  "[\"serve\"],\"default\":\"75s\",\"min\":1000,\"max\":600000,"
                                  "\"least\":\"1s\",\"most\":\"10m\",\"choices\":null,"
                                  "\"argument\":\"T\",\"help\":\"how \\\"long\\\"\","
                                  "\"secret\":false,\"reloadable\":true,\"flag_only\":false},\n"));
    assert_non_null(
        strstr(out.p, "{\"name\":\"users\",\"type\":\"number\",\"commands\":[\"load\"]"));
    assert_non_null(strstr(out.p, "\"commands\":[\"serve\",\"load\"]"));
    assert_non_null(strstr(out.p, "\"secret\":true"));
    assert_null(strstr(out.p, "geheim"));
    buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_see_values_and_where_they_came_from),
        cmocka_unit_test(machines_see_the_same),
        cmocka_unit_test(the_table_has_all_rows_and_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
