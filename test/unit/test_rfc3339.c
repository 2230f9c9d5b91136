/* SPDX-License-Identifier: Apache-2.0
 *
 * Instants written and read: every day of eight thousand years, and what is not an instant.
 */
#include "lib/rfc3339.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DAY_MS INT64_C(86400000)
#define END_MS INT64_C(253402300800000)

static void assert_reads(const char *text, int64_t wanted) {
    int64_t ms = -1;
    if (!rfc3339_parse(slice_str(text), &ms)) fail_msg("%s was refused", text);
    if (ms != wanted) fail_msg("%s was read as %lld", text, (long long)ms);
}

static void assert_refuses(const char *text) {
    int64_t ms = -1;
    if (rfc3339_parse(slice_str(text), &ms)) fail_msg("%s was accepted", text);
    assert_int_equal(ms, -1);
}

static void assert_writes(int64_t ms, const char *text, const char *date) {
    char out[RFC3339_BYTES + 1] = "", http[HTTP_DATE_BYTES + 1] = "";
    rfc3339_format(ms, out);
    assert_string_equal(out, text);
    http_date_format(ms, http);
    assert_string_equal(http, date);
}

static void known_instants_are_written(void **state) {
    (void)state;
    assert_writes(0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_writes(784111777000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_writes(951782400001, "2000-02-29T00:00:00.001Z", "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_writes(1795423380123, "2026-11-23T08:43:00.123Z", "Mon, 23 Nov 2026 08:43:00 GMT");
    assert_writes(4107542400000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT");
    assert_writes(END_MS - 1, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* A calendar counted by hand, one day after the other, as the judge of both directions. */
static void every_day_is_written_and_read_back(void **state) {
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1970, month = 0, day = 1;
    for (int64_t ms = 0; ms < END_MS; ms += DAY_MS) {
        int64_t at = ms + ms / DAY_MS * 7919 % DAY_MS, back;
        char out[RFC3339_BYTES];
        rfc3339_format(at, out);
        int digits[8] = {year / 1000,      year / 100 % 10,  year / 10 % 10, year % 10,
                         (month + 1) / 10, (month + 1) % 10, day / 10,       day % 10};
        static const int places[8] = {0, 1, 2, 3, 5, 6, 8, 9};
        for (int i = 0; i < 8; i++) {
            if (out[places[i]] != '0' + digits[i]) fail_msg("day %d-%d-%d", year, month + 1, day);
        }
        if (!rfc3339_parse(slice_of(out, sizeof out), &back) || back != at) {
            fail_msg("day %d-%d-%d is not read back", year, month + 1, day);
        }
        int is_leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        if (++day > lengths[month] + (month == 1 && is_leap)) {
            day = 1;
            month = (month + 1) % 12;
            year += month == 0;
        }
    }
    assert_int_equal(year, 10000);
}

static void offsets_cases_and_fractions_are_read(void **state) {
    (void)state;
    assert_reads("2026-11-23T08:43:00Z", 1795423380000);
    assert_reads("2026-11-23t08:43:00z", 1795423380000);
    assert_reads("2026-11-23T17:43:00+09:00", 1795423380000);
    assert_reads("2026-11-23T03:13:00-05:30", 1795423380000);
    assert_reads("2026-11-23T08:43:00-00:00", 1795423380000);
    assert_reads("2026-11-23T08:43:00.5Z", 1795423380500);
    assert_reads("2026-11-23T08:43:00.12Z", 1795423380120);
    assert_reads("2026-11-23T08:43:00.1239999999999999999999Z", 1795423380123);
    assert_reads("2026-11-23T17:43:00.123+09:00", 1795423380123);
    assert_reads("1969-12-31T23:00:00-01:00", 0);
    assert_reads("9999-12-31T23:59:59.999Z", END_MS - 1);
    assert_reads("2024-02-29T00:00:00Z", 1709164800000);
}

static void a_leap_second_is_the_last_moment_before_it(void **state) {
    (void)state;
    assert_reads("2016-12-31T23:59:60Z", 1483228799999);
    assert_reads("2016-12-31T23:59:60.250Z", 1483228799999);
    assert_reads("2017-01-01T08:59:60+09:00", 1483228799999);
    assert_refuses("2016-12-31T23:58:60Z");
    assert_refuses("2016-12-31T12:00:60Z");
    assert_refuses("2016-12-31T23:59:60+09:00");
    assert_refuses("2016-12-31T23:59:61Z");
}

static void everything_else_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T08:43Z",
        "2026-11-23T08:43:00",
        "1795423380",
        "2026-11-23 08:43:00Z",
        " 2026-11-23T08:43:00Z",
        "2026-11-23T08:43:00Z ",
        "2026-11-23T08:43:00.Z",
        "2026-11-23T08:43:00,5Z",
        "2026-11-23T08:43:00+0900",
        "2026-11-23T08:43:00+09",
        "2026-11-23T08:43:00+24:00",
        "2026-11-23T08:43:00+09:60",
        "2026-11-23T24:00:00Z",
        "2026-11-23T08:60:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "-026-11-23T08:43:00Z",
        "2026-1-23T08:43:00Z",
        "+2026-11-23T08:43:00Z",
        "1969-12-31T23:59:59Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-11-23T08:43:00Zjunk",
        "2026-11-23T08:43:00\xc2\xb2Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_refuses(bad[i]);
    /* No byte beyond the slice is looked at: every beginning is refused. */
    static const char good[] = "2026-11-23T08:43:00.123+09:00";
    for (size_t n = 0; n < sizeof good - 1; n++) {
        int64_t ms;
        assert_false(rfc3339_parse(slice_of(good, n), &ms));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_instants_are_written),
        cmocka_unit_test(every_day_is_written_and_read_back),
        cmocka_unit_test(offsets_cases_and_fractions_are_read),
        cmocka_unit_test(a_leap_second_is_the_last_moment_before_it),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
