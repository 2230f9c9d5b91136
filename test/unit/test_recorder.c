/* SPDX-License-Identifier: Apache-2.0
 *
 * What the recorder does with each word of its store.
 */
#include "record/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake/memory_store.h"
#include "fake/store_fixture.h"

struct bench {
    struct memory_store memory;
    struct recorder *recorder;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    memory_store_init(&bench->memory);
    bench->recorder = recorder_new(&bench->memory.store);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    recorder_free(bench->recorder);
    assert_int_equal(bench->memory.frees, 1);
    recorder_free(NULL);
    free(bench);
    return 0;
}

static struct recorder_health health_of(const struct bench *bench) {
    struct recorder_health health;
    recorder_health(bench->recorder, &health);
    return health;
}

static void expect_state(const struct bench *bench, const char *name) {
    assert_string_equal(recorder_state_name(health_of(bench).state), name);
}

static void put(struct bench *bench, uint64_t seq) {
    struct store_position position = position_of(seq);
    *recorder_place(bench->recorder) = issued(seq, "EV", (uint32_t)seq, 0, "ada");
    recorder_advance(bench->recorder, &position, true);
}

static void pass_over(struct bench *bench, uint64_t seq) {
    struct store_position position = position_of(seq);
    recorder_advance(bench->recorder, &position, false);
}

static void changes_are_committed_with_their_position(void **state) {
    struct bench *bench = *state;
    expect_state(bench, "catching_up");
    assert_int_equal(recorder_open(bench->recorder), RECORDER_GO_ON);
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
    assert_int_equal(bench->memory.applies, 0); /* nothing to commit */
    put(bench, 1);
    put(bench, 2);
    pass_over(bench, 3);
    assert_true(recorder_is_dirty(bench->recorder));
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
    assert_false(recorder_is_dirty(bench->recorder));
    assert_int_equal(bench->memory.rows_count, 2);
    assert_int_equal(bench->memory.rows[1].seq, 2);
    assert_int_equal(bench->memory.at.seq, 3);
    assert_int_equal(recorder_applied(bench->recorder)->seq, 3);
    pass_over(bench, 4); /* a record that changes no row moves the position too */
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
    assert_int_equal(bench->memory.at.seq, 4);
    expect_state(bench, "catching_up");
    recorder_caught_up(bench->recorder);
    expect_state(bench, "ok");
    struct recorder_health health = health_of(bench);
    assert_int_equal(health.applied_seq, 4);
    assert_int_equal(health.commits, 2);
    assert_int_equal(health.changes, 2);
}

static void a_batch_fills(void **state) {
    struct bench *bench = *state;
    assert_int_equal(recorder_open(bench->recorder), RECORDER_GO_ON);
    for (uint64_t seq = 1; seq <= RECORDER_BATCH_MAX; seq++) {
        assert_false(recorder_is_full(bench->recorder));
        put(bench, seq);
    }
    assert_true(recorder_is_full(bench->recorder));
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
    assert_false(recorder_is_full(bench->recorder));
}

static void a_batch_is_kept_until_the_store_has_it(void **state) {
    struct bench *bench = *state;
    assert_int_equal(recorder_open(bench->recorder), RECORDER_GO_ON);
    recorder_caught_up(bench->recorder);
    put(bench, 1);
    bench->memory.apply_says = STORE_LATER;
    bench->memory.apply_times = 12;
    uint32_t before_ms = 0;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(recorder_commit(bench->recorder), RECORDER_WAIT);
        expect_state(bench, "waiting");
        assert_true(recorder_wait_ms(bench->recorder) >= before_ms);
        before_ms = recorder_wait_ms(bench->recorder);
        assert_in_range(before_ms, 1, 1000);
    }
    assert_int_equal(before_ms, 1000);
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
    expect_state(bench, "ok");
    assert_int_equal(bench->memory.rows_count, 1);
    assert_int_equal(health_of(bench).retries, 12);
    put(bench, 2); /* patience begins anew */
    bench->memory.apply_times = 1;
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_WAIT);
    assert_true(recorder_wait_ms(bench->recorder) < 100);
}

static void a_conflict_stops_it(void **state) {
    struct bench *bench = *state;
    assert_int_equal(recorder_open(bench->recorder), RECORDER_GO_ON);
    put(bench, 1);
    bench->memory.apply_says = STORE_CONFLICT;
    bench->memory.apply_times = 1;
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_STOPPED);
    expect_state(bench, "stopped");
    assert_int_equal(recorder_stop(bench->recorder, "for its own reasons"), RECORDER_STOPPED);
}

static void a_damaged_store_begins_again(void **state) {
    struct bench *bench = *state;
    assert_int_equal(recorder_open(bench->recorder), RECORDER_GO_ON);
    put(bench, 1);
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
    recorder_caught_up(bench->recorder);
    put(bench, 2);
    bench->memory.apply_says = STORE_DAMAGED;
    bench->memory.apply_times = 1;
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_REBUILD);
    bench->memory.reset_says = STORE_LATER;
    bench->memory.reset_times = 1;
    assert_int_equal(recorder_reset(bench->recorder), RECORDER_WAIT);
    assert_int_equal(recorder_reset(bench->recorder), RECORDER_GO_ON);
    assert_false(recorder_is_dirty(bench->recorder)); /* what was put is dropped */
    expect_state(bench, "catching_up");
    assert_int_equal(recorder_open(bench->recorder), RECORDER_GO_ON);
    assert_int_equal(recorder_applied(bench->recorder)->seq, 0);
    put(bench, 1);
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
    assert_int_equal(health_of(bench).rebuilds, 1);
    assert_int_equal(recorder_refuse(bench->recorder, "is another's"), RECORDER_REBUILD);
}

static void opening_may_take_several_attempts(void **state) {
    struct bench *bench = *state;
    bench->memory.at = position_of(9);
    bench->memory.open_says = STORE_LATER;
    bench->memory.open_times = 2;
    assert_int_equal(recorder_open(bench->recorder), RECORDER_WAIT);
    assert_int_equal(recorder_open(bench->recorder), RECORDER_WAIT);
    assert_int_equal(recorder_applied(bench->recorder)->seq, 0);
    assert_int_equal(recorder_open(bench->recorder), RECORDER_GO_ON);
    assert_int_equal(recorder_applied(bench->recorder)->seq, 9);
    put(bench, 10);
    assert_int_equal(recorder_commit(bench->recorder), RECORDER_GO_ON);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(changes_are_committed_with_their_position),
        TEST(a_batch_fills),
        TEST(a_batch_is_kept_until_the_store_has_it),
        TEST(a_conflict_stops_it),
        TEST(a_damaged_store_begins_again),
        TEST(opening_may_take_several_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
