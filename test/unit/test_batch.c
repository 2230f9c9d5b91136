/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of a group commit: whole, in order, never more than a log takes at once.
 */
#include "claim/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char long_text[REASON_BYTES_MAX] = {[0 ... REASON_BYTES_MAX - 1] = 'x'};

static int set_up(void **state) {
    static struct batch batch;
    *state = &batch;
    if (batch_init(&batch) != 0) return -1;
    batch_reset(&batch, 3);
    return 0;
}

static int tear_down(void **state) {
    batch_deinit(*state);
    return 0;
}

static struct record win(struct slice user_id) {
    return (struct record){.type = RECORD_WIN,
                           .event_id = slice_of(long_text, EVENT_ID_BYTES_MAX),
                           .win = {.gen = 1,
                                   .serial = 1,
                                   .user_id = user_id,
                                   .claim_id = slice_of(long_text, CLAIM_ID_BYTES_MAX)}};
}

static struct record pause_of(const char *event_id) {
    return (struct record){.type = RECORD_PAUSE,
                           .event_id = slice_str(event_id),
                           .operator= slice_of(long_text, OPERATOR_BYTES_MAX),
                           .reason = slice_of(long_text, REASON_BYTES_MAX)};
}

static void records_are_back_to_back_in_order(void **state) {
    struct batch *batch = *state;
    struct record record = win(SLICE("a"));
    batch_add_win(batch, &record, 900);
    record = pause_of("e1");
    assert_true(batch_add_control(batch, &record, 42));
    record = win(SLICE("b"));
    batch_add_win(batch, &record, 700);
    assert_int_equal(batch->count, 3);
    assert_int_equal(batch->wins_count, 2);
    assert_int_equal(batch->ends_ms_min, 700);
    static const enum record_type types[] = {RECORD_WIN, RECORD_PAUSE, RECORD_WIN};
    size_t at = 0, bytes;
    for (size_t i = 0; i < 3; i++, at += bytes) {
        assert_int_equal(
            record_decode(slice_of(batch->records + at, batch->bytes - at), &record, &bytes),
            RECORD_OK);
        assert_int_equal(record.type, types[i]);
    }
    assert_int_equal(at, batch->bytes);
    assert_int_equal(batch->controls[0].token, 42);
}

/* The longest records there are: a full batch is within both limits of a log. */
static void a_full_batch_is_within_the_limits_of_a_log(void **state) {
    struct batch *batch = *state;
    struct record record = win(slice_of(long_text, USER_ID_BYTES_MAX));
    unsigned wins = 0;
    for (; batch_has_place(batch, 1); wins++) batch_add_win(batch, &record, 0);
    assert_int_equal(wins, BATCH_WINS_MAX);
    for (unsigned i = 0; i < BATCH_CONTROLS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%u", i);
        record = pause_of(id);
        assert_true(batch_add_control(batch, &record, i));
    }
    assert_int_equal(batch->count, BATCH_RECORDS_MAX);
    assert_true(batch->bytes <= BATCH_BYTES_MAX);
    assert_false(batch_has_place(batch, 1));
    batch_reset(batch, 4);
    assert_true(batch_has_place(batch, 1));
    assert_int_equal(batch->count, 0);
    assert_int_equal(batch->ends_ms_min, TIME_MS_MAX);
}

static void place_is_kept_for_what_is_promised(void **state) {
    struct batch *batch = *state;
    assert_true(batch_has_place(batch, 400));
    assert_false(batch_has_place(batch, BATCH_WINS_MAX + 1));
}

static void a_control_outside_its_rules_changes_nothing(void **state) {
    struct batch *batch = *state;
    struct record record = {.type = RECORD_RESTOCK, .event_id = SLICE("e1")};
    assert_false(batch_add_control(batch, &record, 1)); /* a stock of 0 */
    assert_int_equal(batch->count, 0);
    assert_int_equal(batch->controls_count, 0);
    assert_false(batch_controls_event(batch, SLICE("e1")));
}

static void it_knows_whose_controls_it_has(void **state) {
    struct batch *batch = *state;
    struct record record = pause_of("e1");
    assert_true(batch_add_control(batch, &record, 1));
    assert_true(batch_controls_event(batch, SLICE("e1")));
    assert_false(batch_controls_event(batch, SLICE("e2")));
    assert_false(batch_controls_event(batch, SLICE("e11")));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(records_are_back_to_back_in_order),  TEST(a_full_batch_is_within_the_limits_of_a_log),
        TEST(place_is_kept_for_what_is_promised), TEST(a_control_outside_its_rules_changes_nothing),
        TEST(it_knows_whose_controls_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
