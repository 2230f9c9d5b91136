/* SPDX-License-Identifier: Apache-2.0
 *
 * Rate limits: one bucket at every kind of time, the table of them, and threads that share it.
 */
#include "lib/gcra.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROUND (UINT64_C(1) << GCRA_TIME_BITS)

static const struct gcra_rate rate = {.interval_us = 1000, .burst = 5};
static const struct hash_key key = {{1, 2}};

/* ---- one bucket ---- */

static void assert_takes(uint64_t now_us, uint64_t *tat_us, unsigned count) {
    for (unsigned i = 0; i < count; i++) assert_int_equal(gcra_decide(&rate, now_us, tat_us), 0);
}

static void a_burst_and_then_one_each_interval(void **state) {
    (void)state;
    uint64_t tat_us = 0, now_us = 1000000;
    assert_takes(now_us, &tat_us, 5);
    assert_int_equal(tat_us, now_us + 5000);
    assert_int_equal(gcra_decide(&rate, now_us, &tat_us), 1000);
    assert_int_equal(gcra_decide(&rate, now_us + 400, &tat_us), 600);
    assert_int_equal(gcra_decide(&rate, now_us + 999, &tat_us), 1);
    assert_int_equal(tat_us, now_us + 5000);
    for (unsigned i = 1; i < 10; i++) {
        assert_takes(now_us + i * 1000, &tat_us, 1);
        assert_int_equal(gcra_decide(&rate, now_us + i * 1000, &tat_us), 1000);
    }
    /* Whole again after burst intervals, and no more than whole after any time. */
    assert_takes(now_us + 14000, &tat_us, 5);
    assert_int_equal(gcra_decide(&rate, now_us + 14000, &tat_us), 1000);
    assert_takes(now_us + 99000000, &tat_us, 5);
    assert_int_equal(gcra_decide(&rate, now_us + 99000000, &tat_us), 1000);
}

static void waiting_as_told_is_enough(void **state) {
    (void)state;
    uint64_t tat_us = 0, now_us = 7;
    for (unsigned i = 0; i < 200; i++) {
        uint64_t wait_us = gcra_decide(&rate, now_us, &tat_us);
        if (wait_us != 0) {
            uint64_t before = tat_us;
            assert_true(gcra_decide(&rate, now_us + wait_us - 1, &before) == 1);
            assert_int_equal(gcra_decide(&rate, now_us + wait_us, &tat_us), 0);
            now_us += wait_us;
        }
        now_us += i % 7 * 137;
    }
}

static void a_burst_of_one_and_the_limits(void **state) {
    (void)state;
    const struct gcra_rate one = {.interval_us = 1, .burst = 1};
    const struct gcra_rate most = {.interval_us = GCRA_INTERVAL_US_MAX, .burst = GCRA_BURST_MAX};
    uint64_t tat_us = 0;
    assert_int_equal(gcra_decide(&one, 10, &tat_us), 0);
    assert_int_equal(gcra_decide(&one, 10, &tat_us), 1);
    assert_int_equal(gcra_decide(&one, 11, &tat_us), 0);
    tat_us = 0;
    for (unsigned i = 0; i < GCRA_BURST_MAX; i++)
        assert_int_equal(gcra_decide(&most, 10, &tat_us), 0);
    assert_int_equal(gcra_decide(&most, 10, &tat_us), GCRA_INTERVAL_US_MAX);
}

/* Every start near the end of the round gives what it gives in the middle. */
static void time_goes_round(void **state) {
    (void)state;
    for (uint64_t start_us = ROUND - 7000; start_us < ROUND + 7000; start_us += 500) {
        uint64_t tat_us = start_us & (ROUND - 1);
        assert_takes(start_us, &tat_us, 5);
        assert_true(tat_us < ROUND);
        assert_int_equal(gcra_decide(&rate, start_us, &tat_us), 1000);
        assert_int_equal(gcra_decide(&rate, start_us + 300, &tat_us), 700);
        assert_takes(start_us + 1000, &tat_us, 1);
        assert_int_equal(gcra_decide(&rate, start_us + 1000, &tat_us), 1000);
        assert_takes(start_us + 6000, &tat_us, 5);
    }
}

static void a_clock_that_goes_back_holds_nobody_up_for_long(void **state) {
    (void)state;
    uint64_t now_us = 5000000000, tat_us = now_us;
    assert_takes(now_us, &tat_us, 5);
    /* A little: as if it had stood still. */
    uint64_t little = tat_us;
    assert_int_equal(gcra_decide(&rate, now_us - 200, &little), 1200);
    assert_int_equal(gcra_decide(&rate, now_us - GCRA_LAG_US_MAX, &little), 1000 + GCRA_LAG_US_MAX);
    assert_int_equal(little, tat_us);
    assert_int_equal(gcra_decide(&rate, now_us + 1000, &little), 0);
    /* By an hour: an empty bucket now, not in an hour. */
    now_us -= 3600000000;
    assert_int_equal(gcra_decide(&rate, now_us, &tat_us), 1000);
    assert_int_equal(tat_us, now_us + 5000);
    assert_takes(now_us + 1000, &tat_us, 1);
    /* A bucket that nobody has used for half a round looks like one of the future. */
    tat_us = 0;
    assert_int_equal(gcra_decide(&rate, ROUND / 2 + 9, &tat_us), 1000);
    assert_takes(ROUND / 2 + 1009, &tat_us, 1);
}

static void a_smaller_limit_takes_effect_at_once(void **state) {
    (void)state;
    const struct gcra_rate larger = {.interval_us = 1000000, .burst = 100};
    uint64_t now_us = 1000000, tat_us = 0;
    for (unsigned i = 0; i < 100; i++) assert_int_equal(gcra_decide(&larger, now_us, &tat_us), 0);
    assert_int_equal(gcra_decide(&rate, now_us, &tat_us), 1000);
    assert_int_equal(tat_us, now_us + 5000);
    assert_int_equal(gcra_decide(&rate, now_us + 1000, &tat_us), 0);
}

/* ---- the table ---- */

static struct slice name(char text[16], unsigned number) {
    memset(text, 0, 16);
    for (size_t i = 0; i < 8; i++) text[i] = (char)('a' + (number >> (4 * i)) % 16);
    return slice_of(text, 8);
}

static unsigned takes(struct gcra_table *table, struct slice who, uint64_t now_us, unsigned most) {
    unsigned count = 0;
    while (count < most && gcra_take(table, &rate, who, now_us) == 0) count++;
    return count;
}

static void each_key_has_its_own_bucket(void **state) {
    (void)state;
    struct gcra_table *table = gcra_table_new(1 << 12, &key);
    char text[16];
    assert_non_null(table);
    for (unsigned i = 0; i < 100; i++) assert_int_equal(takes(table, name(text, i), 50, 9), 5);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(gcra_take(table, &rate, name(text, i), 50), 1000);
    for (unsigned i = 0; i < 100; i++) assert_int_equal(takes(table, name(text, i), 2050, 9), 2);
    gcra_table_free(table);
}

/* One set of eight: the busiest are remembered, and a newcomer never pays for others. */
static void a_full_set_forgets_who_asked_least(void **state) {
    (void)state;
    struct gcra_table *table = gcra_table_new(8, &key);
    char text[16];
    assert_non_null(table);
    for (unsigned i = 0; i < 7; i++) assert_int_equal(takes(table, name(text, i), 50, 9), 5);
    for (unsigned i = 100; i < 1000; i++) /* none has the tag of one of the seven */
        assert_int_equal(gcra_take(table, &rate, name(text, i), 50), 0);
    for (unsigned i = 0; i < 7; i++) assert_int_equal(takes(table, name(text, i), 50, 9), 0);
    /* Whoever came last has the eighth word; who was there before begins anew. */
    assert_int_equal(takes(table, name(text, 999), 50, 9), 4);
    assert_int_equal(takes(table, name(text, 100), 50, 9), 5);
    /* All buckets are whole later: their words are free for others. */
    for (unsigned i = 200; i < 208; i++) assert_int_equal(takes(table, name(text, i), 90000, 9), 5);
    for (unsigned i = 200; i < 208; i++) assert_int_equal(takes(table, name(text, i), 90000, 9), 0);
    gcra_table_free(table);
}

static void another_key_another_place(void **state) {
    (void)state;
    /* Users who are one under this key are not under another: nobody can look for them outside. */
    const struct hash_key other = {{3, 4}};
    char text[16];
    unsigned shared[2] = {0, 0};
    for (unsigned side = 0; side < 2; side++) {
        struct gcra_table *table = gcra_table_new(8, side == 0 ? &key : &other);
        assert_non_null(table);
        assert_int_equal(takes(table, name(text, 1), 50, 9), 5);
        for (unsigned i = 2; i < 200000 && shared[side] == 0; i++)
            if (gcra_take(table, &rate, name(text, i), 50) != 0) shared[side] = i;
        gcra_table_free(table);
    }
    assert_int_not_equal(shared[0], 0); /* one in 65,536 has the same tag */
    assert_int_not_equal(shared[1], shared[0]);
}

static void free_takes_null(void **state) {
    (void)state;
    gcra_table_free(NULL);
}

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 20000, KEYS = 3, STEP_EVERY = 10 };

struct crowd {
    struct gcra_table *table;
    atomic_uint_least64_t now_us;
    atomic_uint taken[KEYS];
};

static void *ask(void *argument) {
    struct crowd *crowd = argument;
    char text[16];
    for (unsigned i = 0; i < TURNS; i++) {
        uint64_t now_us = i % STEP_EVERY == 0 ? atomic_fetch_add(&crowd->now_us, 1) + 1
                                              : atomic_load(&crowd->now_us);
        if (gcra_take(crowd->table, &rate, name(text, i % KEYS), now_us) == 0)
            atomic_fetch_add(&crowd->taken[i % KEYS], 1);
    }
    return NULL;
}

/* Whatever the threads do at once: no more than the burst and one for each interval, and no less,
 * because there are always some who ask. */
static void threads_share_a_limit_exactly(void **state) {
    (void)state;
    struct crowd crowd = {.table = gcra_table_new(8, &key), .now_us = 1000};
    pthread_t threads[THREADS];
    assert_non_null(crowd.table);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &crowd), 0);
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    uint64_t passed_us = atomic_load(&crowd.now_us) - 1000;
    assert_int_equal(passed_us, THREADS * TURNS / STEP_EVERY);
    for (size_t i = 0; i < KEYS; i++) {
        unsigned taken = atomic_load(&crowd.taken[i]);
        assert_in_range(taken, 5 + passed_us / 1000 - 1, 5 + passed_us / 1000);
    }
    gcra_table_free(crowd.table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_one_each_interval),
        cmocka_unit_test(waiting_as_told_is_enough),
        cmocka_unit_test(a_burst_of_one_and_the_limits),
        cmocka_unit_test(time_goes_round),
        cmocka_unit_test(a_clock_that_goes_back_holds_nobody_up_for_long),
        cmocka_unit_test(a_smaller_limit_takes_effect_at_once),
        cmocka_unit_test(each_key_has_its_own_bucket),
        cmocka_unit_test(a_full_set_forgets_who_asked_least),
        cmocka_unit_test(another_key_another_place),
        cmocka_unit_test(free_takes_null),
        cmocka_unit_test(threads_share_a_limit_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
