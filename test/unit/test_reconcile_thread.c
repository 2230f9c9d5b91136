/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread passes again and again; what two passes show is counted, what one shows is not; and it
 * ends when told.
 */
#include "verify/reconcile_thread.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake/decisions_fixture.h"
#include "lib/logger.h"

/* The world under a lock: the test changes it while the thread looks. */
struct bench {
    struct fixture_world world;
    pthread_mutex_t mutex;
    unsigned reads;
    unsigned wrong_reads; /* how many readings from now on are told a wrong digest */
    bool is_flickering;   /* every other one is */
    unsigned asks;
    bool is_slow; /* a reading does not end by itself */
    struct reconcile_thread *thread;
};

static int locked_read(void *ctx, decision_fn on_decision, void *on_decision_ctx, struct err *err) {
    struct bench *bench = ctx;
    pthread_mutex_lock(&bench->mutex);
    int code = fixture_read(&bench->world, on_decision, on_decision_ctx, err);
    bench->reads++;
    bool is_slow = bench->is_slow;
    pthread_mutex_unlock(&bench->mutex);
    struct decision decision = decision_of(DECISION_NOTHING, 100, 0);
    for (; is_slow && code == 0; decision.place.seq++) {
        code = on_decision(on_decision_ctx, &decision);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return code;
}

static int locked_points(void *ctx, struct view_point *points, size_t max, size_t *count,
                         struct err *err) {
    struct bench *bench = ctx;
    pthread_mutex_lock(&bench->mutex);
    int code = fixture_points(&bench->world, points, max, count, err);
    if (bench->wrong_reads > 0) {
        bench->wrong_reads--;
        points[0].digest++;
    }
    if (bench->is_flickering && bench->asks++ % 2 == 0) points[0].digest++;
    pthread_mutex_unlock(&bench->mutex);
    return code;
}

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    logger_set_level(LOG_ERROR + 1);
    fixture_world_init(&bench->world);
    pthread_mutex_init(&bench->mutex, NULL);
    *state = bench;
    return 0;
}

static void start(struct bench *bench, uint32_t every_ms) {
    bench->thread = reconcile_thread_start(&(struct reconcile_thread_options){
        .reconcile = {.log = {.ctx = bench, .name = "data", .read = locked_read},
                      .views = {.ctx = bench, .points = locked_points}},
        .clock = &clock_system,
        .every_ms = every_ms,
        .recheck_ms = 1,
    });
    assert_non_null(bench->thread);
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    reconcile_thread_stop(bench->thread);
    reconcile_thread_stop(NULL);
    pthread_mutex_destroy(&bench->mutex);
    free(bench);
    return 0;
}

static const struct reconcile_counts *counts(const struct bench *bench) {
    return reconcile_thread_counts(bench->thread);
}

static void wait_for_passes(struct bench *bench, uint64_t more) {
    uint64_t wanted = counter_read(&counts(bench)->passes) + more;
    while (counter_read(&counts(bench)->passes) < wanted)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void passes_that_agree(void **state) {
    struct bench *bench = *state;
    start(bench, 1);
    wait_for_passes(bench, 3);
    assert_int_equal(reconcile_thread_findings(bench->thread), 0);
    assert_int_equal(counter_read(&counts(bench)->seq), 8);
    assert_int_equal(counter_read(&counts(bench)->failures), 0);
    wait_for_passes(bench, 2);
    assert_true(counter_read(&counts(bench)->last_ms) > 0);
    assert_true(counter_read(&counts(bench)->last_ns) > 0);
}

static void wrong_for_the_next(struct bench *bench, unsigned reads) {
    pthread_mutex_lock(&bench->mutex);
    bench->wrong_reads = reads;
    pthread_mutex_unlock(&bench->mutex);
}

/* What one pass shows and the next does not is never a finding, at no time. */
static void once_is_no_finding(void **state) {
    struct bench *bench = *state;
    bench->is_flickering = true;
    start(bench, 1);
    while (counter_read(&counts(bench)->passes) < 40)
        assert_int_equal(reconcile_thread_findings(bench->thread), 0);
}

static void twice_is_a_finding(void **state) {
    struct bench *bench = *state;
    start(bench, 1);
    wait_for_passes(bench, 1);
    wrong_for_the_next(bench, UINT32_MAX);
    wait_for_passes(bench, 4);
    assert_int_equal(counter_read(&counts(bench)->findings[CHECK_R11]), 1);
    assert_int_equal(reconcile_thread_findings(bench->thread), 1);
    wrong_for_the_next(bench, 0);
    wait_for_passes(bench, 3);
    assert_int_equal(reconcile_thread_findings(bench->thread), 0);
}

static void what_cannot_be_read(void **state) {
    struct bench *bench = *state;
    bench->world.log_fails = -EIO;
    start(bench, 1);
    while (counter_read(&counts(bench)->failures) < 2)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(counter_read(&counts(bench)->passes), 0);
}

static void it_ends_in_the_middle_of_a_pass(void **state) {
    struct bench *bench = *state;
    bench->is_slow = true;
    start(bench, 1);
    unsigned reads = 0;
    while (reads == 0) {
        pthread_mutex_lock(&bench->mutex);
        reads = bench->reads;
        pthread_mutex_unlock(&bench->mutex);
    }
    reconcile_thread_stop(bench->thread); /* returns: the reading would never */
    bench->thread = NULL;
}

static void it_ends_while_it_rests(void **state) {
    struct bench *bench = *state;
    start(bench, 86400000);
    reconcile_thread_stop(bench->thread);
    bench->thread = NULL;
    assert_int_equal(bench->reads, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(passes_that_agree),
        TEST(once_is_no_finding),
        TEST(twice_is_a_finding),
        TEST(what_cannot_be_read),
        TEST(it_ends_in_the_middle_of_a_pass),
        TEST(it_ends_while_it_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
