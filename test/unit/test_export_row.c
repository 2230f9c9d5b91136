/* SPDX-License-Identifier: Apache-2.0 */
#include "api/export_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"

static const struct export_row ada = {.event_id = SLICE("drop"),
                                      .user_id = SLICE("ada"),
                                      .code = SLICE("A-17"),
                                      .serial = UINT32_MAX,
                                      .issued_ms = 1764000000123};

static void assert_row(enum export_format format, const struct export_row *row,
                       const char *expected) {
    char text[EXPORT_ROW_BYTES_MAX + 1];
    size_t n = export_row_format(text, format, row);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void a_row_in_each_format(void **state) {
    (void)state;
    assert_row(EXPORT_CSV, &ada, "drop,4294967295,ada,A-17,2025-11-24T16:00:00.123Z\r\n");
    assert_row(EXPORT_NDJSON, &ada,
               "{\"event_id\":\"drop\",\"serial\":4294967295,\"user_id\":\"ada\","
               "\"coupon_id\":\"A-17\",\"issued_at\":\"2025-11-24T16:00:00.123Z\"}\n");
}

static void only_csv_has_a_heading(void **state) {
    (void)state;
    struct slice heading = export_heading(EXPORT_CSV);
    assert_int_equal(heading.n, strlen("event_id,serial,user_id,coupon_id,issued_at\r\n"));
    assert_int_equal(export_heading(EXPORT_NDJSON).n, 0);
}

static void the_longest_row_has_room(void **state) {
    (void)state;
    static char long_text[81];
    memset(long_text, 'x', sizeof long_text);
    const struct export_row longest = {.event_id = slice_of(long_text, 64),
                                       .user_id = slice_of(long_text, 64),
                                       .code = slice_of(long_text, sizeof long_text),
                                       .serial = UINT32_MAX,
                                       .issued_ms = 1764000000123};
    char text[EXPORT_ROW_BYTES_MAX];
    assert_true(export_row_format(text, EXPORT_CSV, &longest) < EXPORT_ROW_BYTES_MAX);
    assert_true(export_row_format(text, EXPORT_NDJSON, &longest) < EXPORT_ROW_BYTES_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_in_each_format),
        cmocka_unit_test(only_csv_has_a_heading),
        cmocka_unit_test(the_longest_row_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
