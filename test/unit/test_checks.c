/* SPDX-License-Identifier: Apache-2.0
 *
 * Findings: counted, kept while there is room, and compared between two passes.
 */
#include "verify/checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_check_has_a_name(void **state) {
    (void)state;
    assert_string_equal(check_id(CHECK_R1), "R1");
    assert_string_equal(check_id(CHECK_C10), "C10");
    for (unsigned check = 0; check < CHECKS_COUNT; check++)
        assert_true(strlen(check_text((enum check)check)) > 20);
}

static void findings_are_counted_and_the_first_kept(void **state) {
    (void)state;
    struct checks checks = {0};
    for (int i = 0; i < 1000; i++) checks_add(&checks, CHECK_C7, (uint64_t)i, "number %d", i);
    checks_add(&checks, CHECK_R4, 1, "a\nb\x80%s", "c");
    assert_int_equal(checks.counts[CHECK_C7], 1000);
    assert_int_equal(checks_sum(&checks), 1001);
    assert_string_equal(checks.all[CHECK_EVIDENCE_MAX - 1].evidence, "number 19");
    assert_null(checks.all[CHECK_EVIDENCE_MAX].evidence);
    assert_string_equal(checks.all[1000].evidence, "a.b.c");
    assert_false(checks.failed);
    checks_deinit(&checks);
    assert_int_equal(checks_sum(&checks), 0);
}

static void only_what_both_passes_have_stays(void **state) {
    (void)state;
    struct checks first = {0}, second = {0}, none = {0};
    checks_add(&first, CHECK_R1, 1, "one");
    checks_add(&first, CHECK_R1, 2, "two");
    checks_add(&first, CHECK_R9, 3, "three");
    checks_add(&second, CHECK_R1, 2, "two again");
    checks_add(&second, CHECK_R1, 3, "new: another check had it");
    checks_add(&second, CHECK_R6, 2, "new");
    checks_keep_common(&second, &first);
    assert_int_equal(checks_sum(&second), 1);
    assert_int_equal(second.count, 1);
    assert_int_equal(second.counts[CHECK_R1], 1);
    assert_string_equal(second.all[0].evidence, "two again");
    checks_keep_common(&second, &none);
    assert_int_equal(checks_sum(&second), 0);
    checks_keep_common(&none, &first);
    assert_int_equal(checks_sum(&none), 0);
    checks_deinit(&first);
    checks_deinit(&second);
    checks_deinit(&none);
}

static void items_tell_things_apart(void **state) {
    (void)state;
    uint64_t item = check_item("row", SLICE("EV"), 1);
    assert_int_equal(item, check_item("row", SLICE("EV"), 1));
    assert_true(item != check_item("row", SLICE("EV"), 2));
    assert_true(item != check_item("row", SLICE("EW"), 1));
    assert_true(item != check_item("rows", SLICE("EV"), 1));
}

static void reports(void **state) {
    (void)state;
    struct checks checks = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    checks_json(&checks, &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("[]")));
    buf_consume(&out, out.n);
    for (int i = 0; i < 22; i++) checks_add(&checks, CHECK_R6, (uint64_t)i, "say \"%d\"", i);
    checks_add(&checks, CHECK_C1, 1, "more");
    checks_json(&checks, &out);
    buf_add(&out, "", 1);
    assert_non_null(strstr(out.p, "{\"check\":\"R6\",\"means\":\""));
    assert_non_null(
        strstr(out.p, "\"count\":22,\"evidence\":[\"say \\\"0\\\"\",\"say \\\"1\\\"\""));
    assert_non_null(strstr(out.p, "{\"check\":\"C1\""));
    assert_null(strstr(out.p, "\"R1\""));
    buf_consume(&out, out.n);
    checks_table(&checks, CHECK_R1, CHECK_R11, &out);
    buf_add(&out, "", 1);
    assert_non_null(strstr(out.p, "R1   ok          every row"));
    assert_non_null(strstr(out.p, "R6   FINDING     taken"));
    assert_non_null(strstr(out.p, "\n       say \"19\"\n       … and 2 more\n"));
    assert_null(strstr(out.p, "C1"));
    buf_consume(&out, out.n);
    checks_skip(&checks, CHECK_R8);
    checks_skip(&checks, CHECK_R6); /* has findings all the same */
    checks.absent = UINT32_C(1) << CHECK_R10;
    checks_table(&checks, CHECK_R1, CHECK_R11, &out);
    checks_json_skipped(&checks, &out);
    buf_add(&out, "", 1);
    assert_non_null(strstr(out.p, "R8   not checked every coupon"));
    assert_non_null(strstr(out.p, "R6   FINDING"));
    assert_null(strstr(out.p, "R10"));
    assert_non_null(strstr(out.p, "[\"R8\"]"));
    buf_deinit(&out);
    checks_deinit(&checks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_has_a_name),
        cmocka_unit_test(findings_are_counted_and_the_first_kept),
        cmocka_unit_test(only_what_both_passes_have_stays),
        cmocka_unit_test(items_tell_things_apart),
        cmocka_unit_test(reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
