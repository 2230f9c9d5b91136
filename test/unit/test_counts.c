/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of events: made as events come, never lost, never moved, read by others meanwhile.
 */
#include "api/counts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct counts *counts_new(void) {
    struct counts *counts = calloc(1, sizeof *counts);
    assert_non_null(counts);
    return counts;
}

static void counts_free(struct counts *counts) {
    counts_deinit(counts);
    free(counts);
}

static void rows_stay_as_events_come(void **state) {
    (void)state;
    enum { EVENTS = 3 * COUNTED_EVENTS_IN_CHUNK + 1 };
    struct counts *counts = counts_new();
    for (uint32_t i = 0; i < EVENTS; i++) {
        assert_int_equal(counts_read_event(counts,
                                           i / COUNTED_EVENTS_IN_CHUNK * COUNTED_EVENTS_IN_CHUNK +
                                               COUNTED_EVENTS_IN_CHUNK,
                                           CLAIM_ISSUED),
                         0);
        counts_reserve(counts, i + 1);
        counter_add(&counts_of_event(counts, i)->outcomes[CLAIM_ISSUED], i + 1);
        counter_add(&counts_of_event(counts, i)->outcomes[CLAIM_PENDING], 1);
    }
    for (uint32_t i = 0; i < EVENTS; i++) {
        assert_int_equal(counts_read_event(counts, i, CLAIM_ISSUED), i + 1);
        assert_int_equal(counts_read_event(counts, i, CLAIM_PENDING), 1);
        assert_int_equal(counts_read_event(counts, i, CLAIM_SOLD_OUT), 0);
    }
    counts_free(counts);
}

static void many_events_at_the_start_have_rows_at_once(void **state) {
    (void)state;
    struct counts *counts = counts_new();
    counts_reserve(counts, 0);
    counts_reserve(counts, 2 * COUNTED_EVENTS_IN_CHUNK);
    counter_add(&counts_of_event(counts, 0)->outcomes[CLAIM_ENDED], 3);
    counter_add(&counts_of_event(counts, 2 * COUNTED_EVENTS_IN_CHUNK - 1)->outcomes[CLAIM_ENDED],
                4);
    counts_reserve(counts, 2 * COUNTED_EVENTS_IN_CHUNK);
    assert_int_equal(counts_read_event(counts, 0, CLAIM_ENDED), 3);
    assert_int_equal(counts_read_event(counts, 2 * COUNTED_EVENTS_IN_CHUNK - 1, CLAIM_ENDED), 4);
    counts_free(counts);
}

static void events_behind_the_last_row_share_one(void **state) {
    (void)state;
    struct counts *counts = counts_new();
    counter_add(&counts_of_event(counts, COUNTED_EVENTS_MAX)->outcomes[CLAIM_SOLD_OUT], 1);
    counter_add(&counts_of_event(counts, UINT32_MAX)->outcomes[CLAIM_SOLD_OUT], 1);
    assert_int_equal(counter_read(&counts->beyond.outcomes[CLAIM_SOLD_OUT]), 2);
    assert_int_equal(counts_read_event(counts, COUNTED_EVENTS_MAX, CLAIM_SOLD_OUT), 0);
    counts_free(counts);
}

/* ---- a reader meanwhile ---- */

enum { EVENTS_SEEN = 20 * COUNTED_EVENTS_IN_CHUNK };

static void *open_and_count(void *argument) {
    struct counts *counts = argument;
    for (uint32_t i = 0; i < EVENTS_SEEN; i++) {
        counts_reserve(counts, i + 1);
        counter_add(&counts_of_event(counts, i)->outcomes[CLAIM_ISSUED], 1);
    }
    return NULL;
}

static void a_reader_finds_zero_or_what_was_counted(void **state) {
    (void)state;
    struct counts *counts = counts_new();
    pthread_t owner;
    assert_int_equal(pthread_create(&owner, NULL, open_and_count, counts), 0);
    for (int round = 0; round < 20; round++)
        for (uint32_t i = 0; i < EVENTS_SEEN; i++)
            assert_true(counts_read_event(counts, i, CLAIM_ISSUED) <= 1);
    pthread_join(owner, NULL);
    for (uint32_t i = 0; i < EVENTS_SEEN; i++)
        assert_int_equal(counts_read_event(counts, i, CLAIM_ISSUED), 1);
    counts_free(counts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stay_as_events_come),
        cmocka_unit_test(many_events_at_the_start_have_rows_at_once),
        cmocka_unit_test(events_behind_the_last_row_share_one),
        cmocka_unit_test(a_reader_finds_zero_or_what_was_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
