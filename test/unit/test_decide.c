/* SPDX-License-Identifier: Apache-2.0
 *
 * What a view answers by itself, what it leaves to the engine, and where an event stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "claim/decide.h"

enum { STARTS_MS = 10000, ENDS_MS = 20000 };

static uint64_t seq;

static void apply(struct view *view, struct record record) {
    record.seq = ++seq;
    record.event_id = SLICE("e");
    if (record.ms == 0) record.ms = STARTS_MS;
    enum verdict verdict;
    assert_int_equal(view_apply(view, &record, &verdict), 0);
    assert_int_equal(verdict, VERDICT_VALID);
}

static void win(struct view *view, struct slice user_id, uint32_t serial) {
    apply(view, (struct record){.type = RECORD_WIN,
                                .win = {.gen = 1, .serial = serial, .user_id = user_id}});
}

static int set_up(void **state) {
    struct hash_key key = {{1, 2}};
    struct view *view = view_new(&key);
    seq = 0;
    apply(view, (struct record){.type = RECORD_OPEN,
                                .ms = 1,
                                .open = {.stock = 2,
                                         .starts_ms = STARTS_MS,
                                         .ends_ms = ENDS_MS,
                                         .code = {.alphabet = SLICE("0123456789"), .length = 25}}});
    *state = view;
    return 0;
}

static int tear_down(void **state) {
    view_free(*state);
    return 0;
}

/* -1 when the engine must be asked. */
static int decide_by(struct view *view, struct slice user_id, const struct decide_by *by) {
    enum claim_outcome outcome;
    struct coupon coupon;
    if (!claim_decide(view_find(view, SLICE("e")), user_id, by, &outcome, &coupon)) return -1;
    if (outcome == CLAIM_ALREADY_ISSUED) assert_true(slice_eq(coupon.user_id, user_id));
    return (int)outcome;
}

static int decide(struct view *view, struct slice user_id, int64_t now_ms) {
    return decide_by(view, user_id, &(struct decide_by){.now_ms = now_ms, .is_current = true});
}

static enum event_status status_at(struct view *view, int64_t now_ms) {
    return event_status(view_find(view, SLICE("e")), now_ms);
}

static void nobody_is_sent_away_early_near_the_start(void **state) {
    struct slice user = SLICE("u");
    assert_int_equal(decide(*state, user, STARTS_MS - DECIDE_START_MARGIN_MS - 1),
                     CLAIM_NOT_STARTED);
    assert_int_equal(decide(*state, user, STARTS_MS - DECIDE_START_MARGIN_MS), -1);
    assert_int_equal(decide(*state, user, STARTS_MS), -1);
    assert_int_equal(status_at(*state, STARTS_MS - 1), EVENT_SCHEDULED);
    assert_int_equal(status_at(*state, STARTS_MS), EVENT_ACTIVE);
}

static void the_end_is_the_first_instant_that_is_refused(void **state) {
    assert_int_equal(decide(*state, SLICE("u"), ENDS_MS - 1), -1);
    assert_int_equal(decide(*state, SLICE("u"), ENDS_MS), CLAIM_ENDED);
    assert_int_equal(status_at(*state, ENDS_MS - 1), EVENT_ACTIVE);
    assert_int_equal(status_at(*state, ENDS_MS), EVENT_ENDED);
}

static void sold_out_is_when_every_serial_is_held(void **state) {
    win(*state, SLICE("a"), 1);
    assert_int_equal(decide(*state, SLICE("u"), STARTS_MS), -1);
    win(*state, SLICE("b"), 2);
    assert_int_equal(decide(*state, SLICE("u"), STARTS_MS), CLAIM_SOLD_OUT);
    assert_int_equal(status_at(*state, STARTS_MS), EVENT_SOLD_OUT);
    apply(*state, (struct record){.type = RECORD_RETURN,
                                  .give_back = {.serial = 2, .user_id = SLICE("b")}});
    assert_int_equal(decide(*state, SLICE("u"), STARTS_MS), -1);
    assert_int_equal(decide(*state, SLICE("b"), STARTS_MS), CLAIM_RETURNED);
}

static void a_holder_is_told_so_whatever_the_event_does(void **state) {
    win(*state, SLICE("a"), 1);
    assert_int_equal(decide(*state, SLICE("a"), 0), CLAIM_ALREADY_ISSUED);
    assert_int_equal(decide(*state, SLICE("a"), ENDS_MS), CLAIM_ALREADY_ISSUED);
    apply(*state, (struct record){.type = RECORD_PAUSE});
    assert_int_equal(decide(*state, SLICE("a"), STARTS_MS), CLAIM_ALREADY_ISSUED);
    assert_int_equal(decide(*state, SLICE("u"), STARTS_MS), CLAIM_PAUSED);
    assert_int_equal(status_at(*state, STARTS_MS), EVENT_PAUSED);
    assert_int_equal(decide(*state, SLICE("u"), ENDS_MS), CLAIM_ENDED);
}

static void closed_is_over_even_before_the_start(void **state) {
    apply(*state, (struct record){.type = RECORD_CLOSE, .ms = STARTS_MS - 5000});
    assert_int_equal(decide(*state, SLICE("u"), STARTS_MS - 4000), CLAIM_ENDED);
    assert_int_equal(status_at(*state, STARTS_MS - 4000), EVENT_ENDED);
}

static void a_view_that_is_behind_says_only_yes(void **state) {
    const struct decide_by behind = {.now_ms = STARTS_MS};
    const struct decide_by late = {.now_ms = ENDS_MS}, early = {.now_ms = 0};
    assert_int_equal(decide_by(*state, SLICE("u"), &late), -1);
    assert_int_equal(decide_by(*state, SLICE("u"), &early), -1);
    win(*state, SLICE("a"), 1);
    win(*state, SLICE("b"), 2);
    assert_int_equal(decide_by(*state, SLICE("u"), &behind), -1);
    assert_int_equal(decide_by(*state, SLICE("a"), &behind), CLAIM_ALREADY_ISSUED);
    apply(*state, (struct record){.type = RECORD_PAUSE});
    assert_int_equal(decide_by(*state, SLICE("u"), &behind), -1);
}

static void the_end_is_not_told_before_every_clock_has_passed_it(void **state) {
    struct decide_by by = {.now_ms = ENDS_MS + 999, .end_margin_ms = 1000, .is_current = true};
    assert_int_equal(decide_by(*state, SLICE("u"), &by), -1);
    by.now_ms++;
    assert_int_equal(decide_by(*state, SLICE("u"), &by), CLAIM_ENDED);
    apply(*state, (struct record){.type = RECORD_CLOSE, .ms = ENDS_MS});
    by.now_ms = STARTS_MS;
    assert_int_equal(decide_by(*state, SLICE("u"), &by), CLAIM_ENDED);
}

static void every_status_has_a_name(void **state) {
    (void)state;
    assert_string_equal(event_status_name(EVENT_SCHEDULED), "scheduled");
    assert_string_equal(event_status_name(EVENT_ACTIVE), "active");
    assert_string_equal(event_status_name(EVENT_SOLD_OUT), "sold_out");
    assert_string_equal(event_status_name(EVENT_PAUSED), "paused");
    assert_string_equal(event_status_name(EVENT_ENDED), "ended");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_is_sent_away_early_near_the_start, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_is_the_first_instant_that_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sold_out_is_when_every_serial_is_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_holder_is_told_so_whatever_the_event_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(closed_is_over_even_before_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_view_that_is_behind_says_only_yes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_is_not_told_before_every_clock_has_passed_it, set_up,
                                        tear_down),
        cmocka_unit_test(every_status_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
