/* SPDX-License-Identifier: Apache-2.0
 *
 * Seconds are counted where they belong, forgotten in their turn, and quantiles are bounds that
 * hold.
 */
#include "api/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct history *empty_history(void) {
    static struct history history;
    history = (struct history){0};
    return &history;
}

static void each_second_has_what_came_in_it(void **state) {
    (void)state;
    struct history *history = empty_history();
    uint64_t total = 0;
    for (uint32_t s = 1; s <= 10; s++) {
        history_turn(history, s);
        history_claims(history, 5, total += s);
    }
    const struct history_ring *ring = history_of(history, 5);
    assert_non_null(ring);
    assert_int_equal(ring->since_s, 1);
    for (uint32_t s = 1; s <= 10; s++) assert_int_equal(history_at(ring, s), s);
    assert_null(history_of(history, 6));
}

static void seconds_that_were_skipped_are_empty(void **state) {
    (void)state;
    struct history *history = empty_history();
    history_turn(history, 1);
    history_claims(history, 0, 7);
    history_turn(history, 4);
    history_claims(history, 0, 9);
    const struct history_ring *ring = history_of(history, 0);
    assert_int_equal(history_at(ring, 1), 7);
    assert_int_equal(history_at(ring, 2), 0);
    assert_int_equal(history_at(ring, 3), 0);
    assert_int_equal(history_at(ring, 4), 2);
    /* Round the ring once and more: nothing of before is left. */
    history_turn(history, 4 + 3 * HISTORY_SECONDS);
    history_claims(history, 0, 10);
    for (uint32_t s = 5 + 2 * HISTORY_SECONDS; s < 4 + 3 * HISTORY_SECONDS; s++)
        assert_int_equal(history_at(ring, s), 0);
    assert_int_equal(history_at(ring, 4 + 3 * HISTORY_SECONDS), 1);
}

static void a_newer_event_takes_the_place_of_an_old_one(void **state) {
    (void)state;
    struct history *history = empty_history();
    history_turn(history, 1);
    history_claims(history, 3, 100);
    history_turn(history, 2);
    history_claims(history, 3 + HISTORY_EVENTS, 8);
    assert_null(history_of(history, 3));
    const struct history_ring *ring = history_of(history, 3 + HISTORY_EVENTS);
    assert_non_null(ring);
    assert_int_equal(ring->since_s, 2);
    assert_int_equal(history_at(ring, 1), 0);
    assert_int_equal(history_at(ring, 2), 8);
}

static void latency_is_of_the_last_minute(void **state) {
    (void)state;
    struct history *history = empty_history();
    struct history_buckets totals = {{0}}, recent;
    for (uint32_t s = 1; s <= 3; s++) {
        totals.count[2] += 10;
        history_turn(history, s);
        history_latency(history, &totals);
    }
    history_recent_latency(history, &recent);
    assert_int_equal(recent.count[2], 30); /* since the start */
    for (uint32_t s = 4; s <= 2 * HISTORY_LATENCY_SECONDS; s++) {
        history_turn(history, s);
        history_latency(history, &totals);
    }
    history_recent_latency(history, &recent);
    assert_int_equal(recent.count[2], 0);
    totals.count[4] += 1;
    history_turn(history, 10 * HISTORY_LATENCY_SECONDS); /* after a long stand-still */
    history_latency(history, &totals);
    history_recent_latency(history, &recent);
    assert_int_equal(recent.count[2], 0);
    assert_int_equal(recent.count[4], 1);
}

static void a_quantile_is_a_bound_that_holds(void **state) {
    (void)state;
    const struct histogram_shape shape = {.bounds_count = 3, .bounds = {10, 20, 30}};
    struct history_buckets buckets = {{0}};
    assert_int_equal(history_quantile(&buckets, &shape, 500), 0);
    buckets.count[0] = 1;
    assert_int_equal(history_quantile(&buckets, &shape, 1), 10);
    assert_int_equal(history_quantile(&buckets, &shape, 999), 10);
    buckets = (struct history_buckets){{50, 49, 0, 1}};
    assert_int_equal(history_quantile(&buckets, &shape, 500), 10);
    assert_int_equal(history_quantile(&buckets, &shape, 501), 20);
    assert_int_equal(history_quantile(&buckets, &shape, 990), 20);
    assert_true(history_quantile(&buckets, &shape, 991) == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_second_has_what_came_in_it),
        cmocka_unit_test(seconds_that_were_skipped_are_empty),
        cmocka_unit_test(a_newer_event_takes_the_place_of_an_old_one),
        cmocka_unit_test(latency_is_of_the_last_minute),
        cmocka_unit_test(a_quantile_is_a_bound_that_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
