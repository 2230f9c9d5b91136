/* SPDX-License-Identifier: Apache-2.0
 *
 * Power cuts, kills and failing calls at every step of a run: after any of them the journal opens,
 * and holds every batch that was acknowledged, unaltered, in order, once (I3, I4).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/logger.h"
#include "sim/journal_rig.h"

enum { LIVES = 2, BATCHES = 14 };

static uint64_t seeds(uint64_t short_run, uint64_t long_run) {
    return getenv("COUPOND_TEST_LONG") == NULL ? short_run : long_run;
}

/* ---- A run ---- */

/* Opens, appends, closes, twice over, with several segments; ends at the first failure. Returns its
 * code. A failure to prepare is none: the journal goes on in what it has. */
static int run(struct journal_rig *rig, const char **wrong) {
    static const size_t sizes[] = {1, 2, 5, 40, RIG_COUNT_MAX, RIG_COUNT_MAX, RIG_COUNT_MAX};
    for (int life = 0; life < LIVES; life++) {
        int code = journal_rig_open(rig, wrong);
        if (code != 0 || *wrong != NULL) return code;
        for (int i = 0; i < BATCHES; i++) {
            (void)!journal_rig_prepare(rig);
            size_t count = sizes[random_sim_below(&rig->random, ARRAY_LEN(sizes))];
            if (journal_room_bytes(rig->journal) < count * 200) continue;
            code = journal_rig_append(rig, count);
            if (code != 0) return code;
        }
        journal_rig_close(rig);
    }
    return 0;
}

/* What a restart finds must be right; then it goes on for a while and is right again. */
static void assert_recovers(struct journal_rig *rig, const char *how, uint64_t seed) {
    const char *wrong;
    journal_rig_close(rig);
    int code = journal_rig_open(rig, &wrong);
    if (code != 0) fail_msg("%s, seed %llu: %s", how, (unsigned long long)seed, rig->err.text);
    if (wrong != NULL) fail_msg("%s, seed %llu: %s", how, (unsigned long long)seed, wrong);
}

/* Calls of a whole run without faults: its length in steps. */
static uint64_t count_calls(uint64_t seed, enum disk_sim_call call) {
    struct journal_rig *rig = journal_rig_new(seed);
    const char *wrong;
    assert_int_equal(run(rig, &wrong), 0);
    assert_null(wrong);
    assert_true(disk_sim_calls(rig->sim, DISK_SIM_RENAME) >= 2); /* it rolls over */
    uint64_t calls = disk_sim_calls(rig->sim, call);
    assert_true(journal_rig_free(rig));
    return calls;
}

/* ---- Power ---- */

static void power_cut_at_each_step(void **state) {
    (void)state;
    uint64_t count = seeds(12, 400);
    for (uint64_t seed = 0; seed < count; seed++) {
        uint64_t steps = count_calls(seed, DISK_SIM_ANY);
        assert_true(steps > 60);
        for (uint64_t step = 1; step <= steps; step++) {
            struct journal_rig *rig = journal_rig_new(seed);
            const char *wrong;
            disk_sim_cut_power_at(rig->sim, step);
            (void)!run(rig, &wrong);
            assert_null(wrong);
            journal_rig_close(rig);
            disk_sim_crash(rig->sim);
            assert_recovers(rig, "power cut", seed * 1000 + step);
            assert_true(journal_rig_free(rig));
        }
    }
}

/* One journal through many power cuts, some of them during the recovery from the one before. */
static void many_power_cuts_in_a_row(void **state) {
    (void)state;
    uint64_t count = seeds(60, 3000);
    for (uint64_t seed = 0; seed < count; seed++) {
        struct journal_rig *rig = journal_rig_new(seed);
        for (int cut = 0; cut < 25; cut++) {
            const char *wrong = NULL;
            uint64_t span = random_sim_chance(&rig->random, 128) ? 12 : 80;
            disk_sim_cut_power_at(rig->sim, 1 + random_sim_below(&rig->random, span));
            int code = run(rig, &wrong);
            if (wrong != NULL) fail_msg("seed %d, cut %d: %s", (int)seed, cut, wrong);
            if (code != 0 && code != -EIO) fail_msg("seed %d: %s", (int)seed, rig->err.text);
            journal_rig_close(rig);
            disk_sim_crash(rig->sim);
        }
        assert_recovers(rig, "power cuts", seed);
        assert_true(journal_rig_free(rig));
    }
}

/* kill -9 in place of a power cut; what a start after it has shown must survive a power cut, too:
 * the engine has told people about it. */
static void kill_then_power_cut(void **state) {
    (void)state;
    uint64_t count = seeds(12, 400);
    for (uint64_t seed = 0; seed < count; seed++) {
        uint64_t steps = count_calls(seed, DISK_SIM_ANY);
        for (uint64_t step = 1; step <= steps; step += 1 + seed % 3) {
            struct journal_rig *rig = journal_rig_new(seed);
            const char *wrong;
            disk_sim_cut_power_at(rig->sim, step);
            (void)!run(rig, &wrong);
            journal_rig_close(rig);
            disk_sim_resume(rig->sim); /* only the process died at this step */
            assert_recovers(rig, "kill", seed * 1000 + step);
            if (journal_room_bytes(rig->journal) > 1000)
                assert_int_equal(journal_rig_append(rig, 2), 0);
            disk_sim_cut_power_at(rig->sim, 1); /* closing it syncs nothing */
            journal_rig_close(rig);
            disk_sim_crash(rig->sim);
            assert_recovers(rig, "power cut after kill", seed * 1000 + step);
            assert_true(journal_rig_free(rig));
        }
    }
}

/* ---- Failing calls ---- */

static void fail_call(uint64_t seed, enum disk_sim_call call, uint64_t nth, int code) {
    struct journal_rig *rig = journal_rig_new(seed);
    const char *wrong;
    disk_sim_fail(rig->sim, call, nth, code);
    int result = run(rig, &wrong);
    assert_null(wrong);
    if (result != 0 && result != code) fail_msg("%d in place of %d", result, code);
    journal_rig_close(rig);
    disk_sim_fail(rig->sim, call, 0, 0);

    /* The process starts again over the same page cache, which may show what no sync will save. */
    if (nth % 2 == 0) {
        assert_recovers(rig, "failed call", seed * 1000 + nth);
        journal_rig_close(rig);
    }
    disk_sim_crash(rig->sim);
    assert_recovers(rig, "power cut after a failed call", seed * 1000 + nth);
    assert_true(journal_rig_free(rig));
}

static void each_call_failing(void **state) {
    (void)state;
    uint64_t count = seeds(4, 100);
    for (uint64_t seed = 0; seed < count; seed++) {
        for (enum disk_sim_call call = DISK_SIM_OPEN; call < DISK_SIM_ANY; call++) {
            uint64_t calls = count_calls(seed, call);
            for (uint64_t nth = 1; nth <= calls; nth++) {
                fail_call(seed, call, nth, -EIO);
                fail_call(seed + 1, call, nth, -ENOSPC);
                fail_call(seed + 2, call, nth, DISK_SIM_SHORT);
            }
        }
    }
}

/* A disk without fallocate is a disk. */
static void fallocate_may_be_unknown(void **state) {
    (void)state;
    struct journal_rig *rig = journal_rig_new(5);
    disk_sim_fail(rig->sim, DISK_SIM_FALLOCATE, 1, -EOPNOTSUPP);
    const char *wrong;
    assert_int_equal(run(rig, &wrong), 0);
    assert_null(wrong);
    assert_true(journal_rig_free(rig));
}

/* ---- Bit rot meets power cut ---- */

/* After a crash, garble a random byte before the last acknowledged commit: refused, or nothing that
 * was acknowledged is missing. */
static void garbled_after_a_power_cut(void **state) {
    (void)state;
    uint64_t count = seeds(400, 20000);
    for (uint64_t seed = 0; seed < count; seed++) {
        struct journal_rig *rig = journal_rig_new(seed);
        const char *wrong;
        disk_sim_cut_power_at(rig->sim, 30 + random_sim_below(&rig->random, 60));
        (void)!run(rig, &wrong);
        journal_rig_close(rig);
        disk_sim_crash(rig->sim);
        assert_recovers(rig, "power cut", seed);
        assert_int_equal(journal_rig_prepare(rig), 0);
        assert_int_equal(journal_rig_append(rig, 1), 0);
        journal_rig_close(rig);
        struct slice now = disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT);
        char *copy = malloc(now.n);
        memcpy(copy, now.p, now.n);
        copy[random_sim_below(&rig->random, 4000)] ^=
            (char)(1 + random_sim_below(&rig->random, 255));
        disk_sim_put(rig->sim, RIG_FIRST_SEGMENT, slice_of(copy, now.n));
        free(copy);
        if (journal_rig_open(rig, &wrong) == 0)
            assert_null(wrong);
        else
            assert_int_equal(rig->err.code, -EBADMSG);
        assert_null(rig->history.wrong);
        assert_true(journal_rig_free(rig));
    }
}

/* ---- Stale parts of a torn commit ---- */

static size_t encode_pause(char *out) {
    const struct record pause = {.type = RECORD_PAUSE, .event_id = SLICE("stale")};
    return record_encode(out, &pause);
}

static int find_reason(void *ctx, const struct record *record, struct slice encoded) {
    (void)encoded;
    if (record->reason.n > 0) *(bool *)ctx = true;
    return 0;
}

/* A commit of two equal records whose first never arrived. It is cut, but the sync of the zeros
 * fails, and from the next start on reads show zeros that the medium does not have. Now one record
 * of that length is written, its MARK is lost in a power cut, and the stale second one would fit
 * behind it: same place, same seq, same segment. */
static void stale_record_never_fits_again(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct journal_rig *rig = journal_rig_new(seed);
        const char *wrong;
        assert_int_equal(journal_rig_open(rig, &wrong), 0);
        journal_rig_close(rig);
        struct slice now = disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT);
        char *torn = malloc(now.n);
        memcpy(torn, now.p, now.n);
        struct record head;
        size_t at, bytes = encode_pause(rig->batch);
        assert_int_equal(record_decode(now, &head, &at), RECORD_OK);
        const struct record stale = {.type = RECORD_PAUSE,
                                     .event_id = SLICE("e"),
                                     .reason = SLICE("stale"),
                                     .seq = 2,
                                     .segment = head.segment,
                                     .batch = 1};
        assert_int_equal(record_encode(torn + at + bytes, &stale) > 0, true);
        disk_sim_put(rig->sim, RIG_FIRST_SEGMENT, slice_of(torn, now.n));
        free(torn);

        bool is_stale = false;
        disk_sim_fail(rig->sim, DISK_SIM_FDATASYNC, 1, -EIO);
        assert_int_equal(
            journal_open(&rig->journal, &rig->options, find_reason, &is_stale, &rig->err), -EIO);
        assert_int_equal(
            journal_open(&rig->journal, &rig->options, find_reason, &is_stale, &rig->err), 0);
        assert_int_equal(journal_append(rig->journal, rig->batch, bytes, 1), 0);
        disk_sim_cut_power_at(rig->sim, 1);
        journal_rig_close(rig);
        disk_sim_crash(rig->sim);
        assert_int_equal(
            journal_open(&rig->journal, &rig->options, find_reason, &is_stale, &rig->err), 0);
        if (is_stale) fail_msg("seed %d: a stale record is read", (int)seed);
        assert_true(journal_rig_free(rig));
    }
}

int main(void) {
    logger_set_level(LOG_ERROR + 1); /* thousands of torn tails are made on purpose */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cut_at_each_step),
        cmocka_unit_test(many_power_cuts_in_a_row),
        cmocka_unit_test(kill_then_power_cut),
        cmocka_unit_test(each_call_failing),
        cmocka_unit_test(fallocate_may_be_unknown),
        cmocka_unit_test(garbled_after_a_power_cut),
        cmocka_unit_test(stale_record_never_fits_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
