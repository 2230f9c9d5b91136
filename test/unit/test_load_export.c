/* SPDX-License-Identifier: Apache-2.0
 *
 * The export against what was told, line by line.
 */
#include "verify/load_export.h"

#include <setjmp.h>
#include <stdarg.h>

#include "fake/load_fixture.h"

#include <cmocka.h>

enum { USERS = 100, STOCK = 5 };

static struct load_export exported;

/* Users 10, 11, 12 hold serials 1, 2, 3; 20 was told a final no, 21 a no, 22 nothing. */
static int open_run(void **state) {
    static struct load_fixture fixture;
    fixture_open(&fixture, USERS, STOCK, 2);
    for (int i = 0; i < 3; i++) tell_coupon(&fixture, (uint32_t)i + 10, "issued", i + 1, 10);
    tell(&fixture, 20, SOLD_OUT_FINAL, 20);
    tell(&fixture, 21, SOLD_OUT, 20);
    struct load_sent cut_off = send_claim(&fixture, 22, 20);
    oracle_on_lost(&fixture.workers[0].oracle, &cut_off);
    exported = (struct load_export){.verdict = &fixture.verdict};
    *state = &fixture;
    return load_export_begin(&exported);
}

static int close_run(void **state) {
    load_export_deinit(&exported);
    fixture_close(*state);
    return 0;
}

static void row(const char *user_id, int serial, const char *coupon_id) {
    char line[FIXTURE_TEXT_BYTES];
    int n = snprintf(line, sizeof line,
                     "{\"event_id\":\"E\",\"serial\":%d,\"user_id\":\"%s\",\"coupon_id\":\"%s\","
                     "\"issued_at\":\"2026-11-23T08:43:00.123Z\"}",
                     serial, user_id, coupon_id);
    load_export_line(&exported, slice_of(line, (size_t)n));
}

static void the_three_winners(void) {
    row("u-11", 2, "C2");
    row("u-10", 1, "C1");
    row("u-12", 3, "C3");
}

static void the_truth_is_equal(void **state) {
    struct load_fixture *fixture = *state;
    the_three_winners();
    row("u-22", 4, "C4"); /* got no answer: may have won */
    load_export_end(&exported);
    assert_int_equal(found_in_all(fixture), 0);
    assert_true(fixture->verdict.is_export_equal);
    assert_string_equal(fixture->verdict.export_text, "export equal");
    assert_int_equal(fixture->verdict.export_rows, 4);
    assert_int_equal(fixture->verdict.export_unheard, 1);
}

static void check(struct load_fixture *fixture, enum finding_kind kind) {
    load_export_end(&exported);
    assert_int_equal(found(fixture, kind), 1);
    assert_int_equal(found_in_all(fixture), 1);
    assert_false(fixture->verdict.is_export_equal);
}

static void a_winner_is_missing(void **state) {
    row("u-11", 2, "C2");
    row("u-12", 3, "C3");
    check(*state, FINDING_EXPORT_MISSING);
}

static void another_serial_than_told(void **state) {
    row("u-10", 4, "C1");
    row("u-11", 2, "C2");
    row("u-12", 3, "C3");
    check(*state, FINDING_EXPORT_DIFFERS);
}

static void another_coupon_than_told(void **state) {
    row("u-10", 1, "C9");
    row("u-11", 2, "C2");
    row("u-12", 3, "C3");
    check(*state, FINDING_EXPORT_DIFFERS);
}

static void a_holder_who_was_told_no(void **state) {
    the_three_winners();
    row("u-20", 4, "C4");
    check(*state, FINDING_EXPORT_DENIED);
}

static void a_holder_who_was_told_a_no_that_is_not_final(void **state) {
    the_three_winners();
    row("u-21", 4, "C4");
    check(*state, FINDING_EXPORT_DENIED);
}

static void a_holder_of_this_run_who_never_asked(void **state) {
    the_three_winners();
    row("u-99", 4, "C4");
    check(*state, FINDING_EXPORT_STRANGER);
}

static void a_holder_from_nowhere(void **state) {
    the_three_winners();
    row("u-100", 4, "C4");
    check(*state, FINDING_EXPORT_STRANGER);
}

static void holders_of_before_are_known(void **state) {
    struct load_fixture *fixture = *state;
    fixture->verdict.before.holders = 1;
    the_three_winners();
    row("somebody", 4, "C4");
    load_export_end(&exported);
    assert_int_equal(found_in_all(fixture), 0);
    assert_int_equal(fixture->verdict.export_foreign, 1);
}

static void a_serial_twice_or_out_of_range(void **state) {
    struct load_fixture *fixture = *state;
    fixture->config.is_shared = true;
    the_three_winners();
    row("other", 3, "C4");
    row("other2", 0, "C5");
    row("other3", STOCK + 1, "C6");
    row("other4", STOCK, "C7");
    load_export_end(&exported);
    assert_int_equal(found(fixture, FINDING_EXPORT_SERIAL), 3);
    assert_int_equal(found_in_all(fixture), 3);
}

static void a_coupon_twice(void **state) {
    struct load_fixture *fixture = *state;
    fixture->config.is_shared = true;
    the_three_winners();
    row("other", 4, "C2");
    check(fixture, FINDING_EXPORT_COUPON);
}

static void lines_that_are_none(void **state) {
    struct load_fixture *fixture = *state;
    static const char *const lines[] = {
        "",
        "null",
        "{",
        "{\"event_id\":\"E\"}",
        "{\"event_id\":\"F\",\"serial\":4,\"user_id\":\"x\",\"coupon_id\":\"C\"}",
        "{\"event_id\":\"E\",\"serial\":\"4\",\"user_id\":\"x\",\"coupon_id\":\"C\"}",
        "{\"event_id\":\"E\",\"serial\":4,\"serial\":4,\"user_id\":\"x\",\"coupon_id\":\"C\"}",
    };
    the_three_winners();
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) load_export_line(&exported, slice_str(lines[i]));
    load_export_end(&exported);
    assert_int_equal(found(fixture, FINDING_EXPORT_LINE), ARRAY_LEN(lines));
    assert_int_equal(found_in_all(fixture), ARRAY_LEN(lines));
}

#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, open_run, close_run)

int main(void) {
    const struct CMUnitTest tests[] = {
        RUN_TEST(the_truth_is_equal),
        RUN_TEST(a_winner_is_missing),
        RUN_TEST(another_serial_than_told),
        RUN_TEST(another_coupon_than_told),
        RUN_TEST(a_holder_who_was_told_no),
        RUN_TEST(a_holder_who_was_told_a_no_that_is_not_final),
        RUN_TEST(a_holder_of_this_run_who_never_asked),
        RUN_TEST(a_holder_from_nowhere),
        RUN_TEST(holders_of_before_are_known),
        RUN_TEST(a_serial_twice_or_out_of_range),
        RUN_TEST(a_coupon_twice),
        RUN_TEST(lines_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
