/* SPDX-License-Identifier: Apache-2.0
 *
 * Every type of option: what it reads, and the line that says why it does not.
 */
#include "lib/options_value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct option threads = {"threads", OPTION_NUMBER, 1, NULL, 1, 64, NULL, "N", "", 0};
static const struct option drift = {"drift",   OPTION_NUMBER, 1,   NULL, INT64_MIN,
                                    INT64_MAX, NULL,          "N", "",   0};
static const struct option segment = {"segment", OPTION_BYTES, 1,   NULL, 4096,
                                      INT64_MAX, NULL,         "N", "",   0};
static const struct option body = {"body", OPTION_BYTES, 1, NULL, 1024, 3 << 20, NULL, "N", "", 0};
static const struct option idle = {"idle", OPTION_DURATION, 1, NULL, 10, 3600000, NULL, "T", "", 0};
static const struct option rate = {"rate", OPTION_DECIMAL, 1, NULL, 0, 100, NULL, "R", "", 0};
static const struct option fsync_row = {"fsync", OPTION_SWITCH, 1, NULL, 0, 0, NULL, "", "", 0};
static const struct option auth = {"auth", OPTION_CHOICE, 1,    NULL, 0,
                                   0,      "none|jwt|no", NULL, "",   0};
static const struct option name = {"name", OPTION_TEXT, 1, NULL, 0, 0, NULL, "TEXT", "", 0};
static const struct option door = {"door", OPTION_TEXT, 1, NULL, 1, 0, NULL, "ADDR", "", 0};
static const struct option token = {"token", OPTION_NUMBER, 1,   NULL, 5,
                                    9,       NULL,          "X", "",   OPTION_SECRET};

static int64_t number_of(const struct option *row, const char *text) {
    struct err err = {0};
    struct option_value value = {.source = OPTION_FILE};
    if (option_value_read(row, "x", text, &value, &err) != 0) fail_msg("%s", err.text);
    assert_ptr_equal(value.text, text);
    assert_int_equal(value.source, OPTION_FILE);
    return value.number;
}

static void assert_refused(const struct option *row, const char *text, const char *line) {
    struct err err = {0};
    struct option_value value = {.text = "before", .number = 17};
    assert_int_equal(option_value_read(row, "--x", text, &value, &err), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    if (line != NULL) assert_string_equal(err.text, line);
    assert_string_equal(value.text, "before"); /* unchanged on failure */
    assert_int_equal(value.number, 17);
}

static void numbers(void **state) {
    (void)state;
    assert_int_equal(number_of(&threads, "1"), 1);
    assert_int_equal(number_of(&threads, "64"), 64);
    assert_int_equal(number_of(&threads, "007"), 7);
    assert_true(number_of(&drift, "9223372036854775807") == INT64_MAX);
    assert_true(number_of(&drift, "-9223372036854775808") == INT64_MIN);
    assert_refused(&threads, "0", "--x: 0 is not a number from 1 to 64");
    assert_refused(&threads, "65", "--x: 65 is not a number from 1 to 64");
    assert_refused(&threads, "", "--x: \"\" is not a number from 1 to 64");
    static const char *const bad[] = {"-1",  "+1", " 1", "1 ",  "1.0", "0x1",
                                      "1e1", "a",  "-",  "1\n", "64k", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_refused(&threads, bad[i], NULL);
    assert_refused(&drift, "9223372036854775808", NULL);
    assert_refused(&drift, "-9223372036854775809", NULL);
}

static void sizes(void **state) {
    (void)state;
    assert_int_equal(number_of(&body, "1024"), 1024);
    assert_int_equal(number_of(&body, "1KiB"), 1024);
    assert_int_equal(number_of(&body, "3MiB"), 3 << 20);
    assert_int_equal(number_of(&segment, "4GiB"), INT64_C(4) << 30);
    assert_refused(&body, "1023",
                   "--x: 1023 is not a size from 1KiB to 3MiB (a number of bytes, or with KiB, "
                   "MiB, GiB)");
    assert_refused(&segment, "1",
                   "--x: 1 is not a size of at least 4KiB (a number of bytes, or with KiB, MiB, "
                   "GiB)");
    static const char *const bad[] = {"4MiB", "2k", "2K", "2KB", "2 KiB", "2kib", "KiB", "2KiBx"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_refused(&body, bad[i], NULL);
    assert_refused(&segment, "9007199254740993GiB", NULL); /* would wrap around */
}

static void durations(void **state) {
    (void)state;
    assert_int_equal(number_of(&idle, "10ms"), 10);
    assert_int_equal(number_of(&idle, "75"), 75000);
    assert_int_equal(number_of(&idle, "75s"), 75000);
    assert_int_equal(number_of(&idle, "2m"), 120000);
    assert_int_equal(number_of(&idle, "1h"), 3600000);
    assert_refused(&idle, "9ms",
                   "--x: 9ms is not a duration from 10ms to 1h (a number with ms, s, m or h)");
    static const char *const bad[] = {"2h", "1d", "1 s", "s", "", "-1s", "1S", "0", "1ms1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_refused(&idle, bad[i], NULL);
}

static void decimals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double wanted;
    } good[] = {{"0", 0},     {"0.5", 0.5}, {"99.999", 99.999},
                {"100", 100}, {"-0", 0},    {"007.25", 7.25}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err err;
        struct option_value value = {0};
        assert_int_equal(option_value_read(&rate, "x", good[i].text, &value, &err), 0);
        assert_true(value.decimal == good[i].wanted);
    }
    assert_refused(&rate, "100.1", "--x: 100.1 is not a decimal number from 0 to 100");
    static const char *const bad[] = {"-0.1", "1e1", "inf", "nan", "0x1",
                                      ".5",   "5.",  "1,5", "",    "1 "};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_refused(&rate, bad[i], NULL);
}

static void switches_choices_and_texts(void **state) {
    (void)state;
    assert_int_equal(number_of(&fsync_row, "true"), 1);
    assert_int_equal(number_of(&fsync_row, "false"), 0);
    assert_refused(&fsync_row, "yes", "--x: yes is not true or false");
    assert_refused(&fsync_row, "", NULL);
    number_of(&auth, "none");
    number_of(&auth, "jwt");
    number_of(&auth, "no");
    assert_refused(&auth, "non", "--x: non is not one of none, jwt, no");
    assert_refused(&auth, "none|jwt", NULL);
    assert_refused(&auth, "", NULL);
    assert_refused(&auth, "JWT", NULL);
    number_of(&name, "");
    number_of(&name, "a b = # c");
    number_of(&door, "x");
    assert_refused(&door, "", "--x: \"\" is not a text of at least one character");
}

static void a_secret_is_not_shown(void **state) {
    (void)state;
    assert_refused(&token, "4321", "--x: the value is not a number from 5 to 9");
}

static void assert_written(const struct option *row, const char *text, const char *as) {
    struct err err = {0};
    struct option_value value = {0};
    char scratch[OPTION_NUMBER_BYTES];
    assert_null(option_value_format(row, &value, scratch));
    assert_int_equal(option_value_read(row, "x", text, &value, &err), 0);
    const char *written = option_value_format(row, &value, scratch);
    assert_string_equal(written, as);
    /* What is written can be read, and is the same. */
    if (row == &token) return;
    struct option_value again = {0};
    assert_int_equal(option_value_read(row, "x", written, &again, &err), 0);
    assert_int_equal(again.number, value.number);
}

static void values_are_written_as_one_would_write_them(void **state) {
    (void)state;
    assert_written(&idle, "75", "75s");
    assert_written(&idle, "2500ms", "2500ms");
    assert_written(&idle, "120", "2m");
    assert_written(&idle, "3600000ms", "1h");
    assert_written(&segment, "65536", "64KiB");
    assert_written(&segment, "1024MiB", "1GiB");
    assert_written(&segment, "4097", "4097");
    assert_written(&drift, "007", "7");
    assert_written(&drift, "0", "0");
    assert_written(&drift, "-9223372036854775808", "-9223372036854775808");
    assert_written(&rate, "0.50", "0.50");
    assert_written(&fsync_row, "false", "false");
    assert_written(&auth, "jwt", "jwt");
    assert_written(&name, "", "");
    assert_written(&token, "7", "***");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(decimals),
        cmocka_unit_test(switches_choices_and_texts),
        cmocka_unit_test(a_secret_is_not_shown),
        cmocka_unit_test(values_are_written_as_one_would_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
