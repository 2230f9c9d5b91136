/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal when nothing goes wrong, when the disk is full, and when it has died.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/journal_rig.h"

#define SEGMENT_BYTES RIG_SEGMENT_BYTES
#define COUNT_MAX RIG_COUNT_MAX

static int set_up(void **state) {
    *state = journal_rig_new(1);
    return 0;
}

static int tear_down(void **state) {
    return journal_rig_free(*state) ? 0 : -1;
}

static int try_open(struct journal_rig *rig) {
    const char *wrong;
    return journal_rig_open(rig, &wrong);
}

static void open_and_compare(struct journal_rig *rig) {
    size_t acknowledged = rig->history.acknowledged;
    const char *wrong;
    if (journal_rig_open(rig, &wrong) != 0) fail_msg("%s", rig->err.text);
    if (wrong != NULL) fail_msg("%s", wrong);
    assert_int_equal(rig->history.read, acknowledged);
}

static void reopen(struct journal_rig *rig) {
    journal_rig_close(rig);
    open_and_compare(rig);
}

static int append(struct journal_rig *rig, size_t count) {
    return journal_rig_append(rig, count);
}

static void give_segment(struct journal_rig *rig) {
    assert_true(journal_wants_segment(rig->journal));
    if (journal_rig_prepare(rig) != 0) fail_msg("%s", rig->err.text);
    assert_false(journal_wants_segment(rig->journal));
}

static void begins_empty(void **state) {
    struct journal_rig *rig = *state;
    open_and_compare(rig);
    assert_int_equal(journal_next_seq(rig->journal), 1);
    assert_non_null(disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT).p);
    struct journal_summary summary;
    journal_get_summary(rig->journal, &summary);
    assert_int_equal(summary.records, 0);
    assert_int_equal(summary.first_seq, 0);
    reopen(rig);
    assert_int_equal(journal_next_seq(rig->journal), 1);
}

static void keeps_what_was_appended(void **state) {
    struct journal_rig *rig = *state;
    open_and_compare(rig);
    size_t counts[] = {1, 3, 64, 1, 17};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        assert_int_equal(append(rig, counts[i]), 0);
        if (i == 2) reopen(rig);
    }
    reopen(rig);
    struct journal_summary summary;
    journal_get_summary(rig->journal, &summary);
    assert_int_equal(summary.segments, 1);
    assert_int_equal(summary.records, 86);
    assert_int_equal(summary.first_seq, 1);
    assert_int_equal(summary.last_seq, 86 + 4); /* a MARK behind each commit takes one */
    assert_int_equal(summary.torn_bytes, 0);
    assert_int_equal(journal_next_seq(rig->journal), 92);
}

/* The bytes are changed in place and are afterwards what the journal holds. */
static void places_records(void **state) {
    struct journal_rig *rig = *state;
    open_and_compare(rig);
    assert_int_equal(append(rig, 2), 0);
    uint64_t seq = journal_next_seq(rig->journal);
    assert_int_equal(append(rig, 2), 0);
    const char *at = rig->batch;
    for (uint16_t i = 0; i < 2; i++) {
        struct record record;
        size_t bytes;
        assert_int_equal(record_decode(slice_of(at, RECORD_BYTES_MAX), &record, &bytes), RECORD_OK);
        assert_int_equal(record.seq, seq + i);
        assert_int_equal(record.batch, i + 1); /* 0 is the MARK before */
        at += bytes;
    }
    struct slice file = disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT);
    assert_non_null(memmem(file.p, file.n, rig->batch, (size_t)(at - rig->batch)));
}

/* A commit is one write, one sync, and the MARK. */
static void commits_with_one_sync(void **state) {
    struct journal_rig *rig = *state;
    open_and_compare(rig);
    uint64_t calls = disk_sim_calls(rig->sim, DISK_SIM_ANY);
    uint64_t syncs = disk_sim_calls(rig->sim, DISK_SIM_FDATASYNC);
    assert_int_equal(append(rig, 64), 0);
    assert_int_equal(disk_sim_calls(rig->sim, DISK_SIM_ANY) - calls, 3);
    assert_int_equal(disk_sim_calls(rig->sim, DISK_SIM_FDATASYNC) - syncs, 1);
}

/* A prepared segment has its blocks, written and synced, before it is needed. */
static void prepares_with_a_sync(void **state) {
    struct journal_rig *rig = *state;
    open_and_compare(rig);
    uint64_t syncs = disk_sim_calls(rig->sim, DISK_SIM_FDATASYNC);
    give_segment(rig);
    assert_int_equal(disk_sim_peek(rig->sim, "data/journal.next").n, SEGMENT_BYTES);
    assert_int_equal(disk_sim_calls(rig->sim, DISK_SIM_FDATASYNC) - syncs, 1);
}

static void rolls_over_many_segments(void **state) {
    struct journal_rig *rig = *state;
    open_and_compare(rig);
    for (int i = 0; i < 400; i++) {
        if (journal_wants_segment(rig->journal)) give_segment(rig);
        assert_int_equal(append(rig, 1 + random_sim_below(&rig->random, COUNT_MAX)), 0);
        if (i % 57 == 0) reopen(rig);
    }
    reopen(rig);
    struct journal_summary summary;
    journal_get_summary(rig->journal, &summary);
    assert_true(summary.segments > 15);
    assert_int_equal(summary.records, rig->history.acknowledged);
}

/* Fills `bytes` with PAUSE records of one length until `bytes_max` or `count_max` is reached. */
static size_t fill_batch(char *out, size_t bytes_max, size_t count_max, size_t reason_bytes,
                         size_t *count) {
    char text[REASON_BYTES_MAX];
    memset(text, 'r', sizeof(text));
    const struct record pause = {
        .type = RECORD_PAUSE, .event_id = SLICE("e"), .reason = slice_of(text, reason_bytes)};
    size_t bytes = 0, each = record_encode(out, &pause);
    for (*count = 0; *count < count_max && bytes + each <= bytes_max; (*count)++) {
        bytes += record_encode(out + bytes, &pause);
    }
    return bytes;
}

/* Appends batches up to the last byte that room has promised at the beginning; every one fits. */
static void use_up_room(struct journal_rig *rig, char *batch, size_t count_max) {
    uint64_t room = journal_room_bytes(rig->journal);
    for (;;) {
        size_t most = 1 + random_sim_below(&rig->random, count_max), count;
        size_t reason = random_sim_below(&rig->random, 4) == 0 ? REASON_BYTES_MAX : 0;
        size_t bytes = fill_batch(batch, room, most, reason, &count);
        if (count == 0) return;
        assert_true(bytes <= journal_room_bytes(rig->journal));
        assert_int_equal(journal_append(rig->journal, batch, bytes, count), 0);
        room -= bytes;
        assert_true(journal_room_bytes(rig->journal) >= room);
    }
}

static int ignore(void *ctx, const struct record *record, struct slice encoded) {
    (void)ctx, (void)record, (void)encoded;
    return 0;
}

/* What journal_room_bytes promises holds for any batches, single short records and whole segments
 * alike. */
static void room_is_a_guarantee(void **state) {
    struct journal_rig *rig = *state;
    char *batch = malloc(1024 * 1024);
    uint64_t sizes[] = {SEGMENT_BYTES, 4096 * 17, 4096 * 100};
    size_t counts[] = {1, 2, 30, 1024};
    for (int turn = 0; turn < 90; turn++) {
        journal_rig_close(rig);
        rig->options.segment_bytes = sizes[random_sim_below(&rig->random, ARRAY_LEN(sizes))];
        assert_int_equal(journal_open(&rig->journal, &rig->options, ignore, NULL, &rig->err), 0);
        if (turn % 4 != 0) give_segment(rig);
        use_up_room(rig, batch, counts[random_sim_below(&rig->random, ARRAY_LEN(counts))]);
    }
    free(batch);
}

static void full_disk_loses_nothing(void **state) {
    struct journal_rig *rig = *state;
    disk_sim_set_capacity(rig->sim, 2 * SEGMENT_BYTES + 100);
    open_and_compare(rig);
    give_segment(rig);
    uint64_t before = journal_room_bytes(rig->journal);
    while (journal_room_bytes(rig->journal) > 64 * 200) {
        assert_int_equal(append(rig, 1 + random_sim_below(&rig->random, 20)), 0);
        if (!journal_wants_segment(rig->journal)) continue;
        assert_null(journal_segment_prepare(rig->journal, &rig->err));
        assert_int_equal(rig->err.code, -ENOSPC);
        assert_true(rig->err.retriable && !rig->err.fatal);
        assert_null(disk_sim_peek(rig->sim, "data/journal.next").p);
    }
    assert_true(journal_room_bytes(rig->journal) < before);
    reopen(rig);
    disk_sim_set_capacity(rig->sim, 0);
    give_segment(rig);
    assert_int_equal(append(rig, COUNT_MAX), 0);
    reopen(rig);
}

static void no_first_segment_on_a_full_disk(void **state) {
    struct journal_rig *rig = *state;
    disk_sim_set_capacity(rig->sim, SEGMENT_BYTES - 1);
    assert_int_equal(try_open(rig), -ENOSPC);
    assert_null(rig->journal);
    assert_non_null(strstr(rig->err.text, "data/journal.next"));
    assert_null(disk_sim_peek(rig->sim, "data/journal.next").p);
    disk_sim_set_capacity(rig->sim, SEGMENT_BYTES);
    open_and_compare(rig);
}

/* A prepared segment that a run before left is used again, whatever is in it: its space is not
 * given away on a disk that has no more. */
static void takes_up_a_prepared_file(void **state) {
    struct journal_rig *rig = *state;
    disk_sim_set_capacity(rig->sim, 2 * SEGMENT_BYTES);
    open_and_compare(rig);
    char junk[SEGMENT_BYTES];
    memset(junk, 'x', sizeof(junk));
    size_t sizes[] = {0, 1, sizeof(junk)};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        disk_sim_put(rig->sim, "data/journal.next", slice_of(junk, sizes[i]));
        reopen(rig);
        give_segment(rig);
    }
    while (disk_sim_peek(rig->sim, "data/journal.next").p != NULL)
        assert_int_equal(append(rig, 9), 0);
    reopen(rig);
}

static void replaces_a_prepared_file_that_is_too_large(void **state) {
    struct journal_rig *rig = *state;
    static char junk[2 * SEGMENT_BYTES];
    disk_sim_put(rig->sim, "data/journal.next", slice_of(junk, sizeof(junk)));
    open_and_compare(rig);
    assert_int_equal(disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT).n, SEGMENT_BYTES);
}

/* After a failure nothing is written any more, and every call tells the same. */
static void dies_of_a_failed_call(void **state) {
    struct journal_rig *rig = *state;
    enum disk_sim_call calls[] = {DISK_SIM_PWRITE, DISK_SIM_FDATASYNC};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        reopen(rig);
        give_segment(rig);
        disk_sim_fail(rig->sim, calls[i], 1, -EIO);
        assert_int_equal(append(rig, 3), -EIO);
        uint64_t before = disk_sim_calls(rig->sim, DISK_SIM_ANY);
        assert_int_equal(append(rig, 1), -EIO);
        assert_int_equal(disk_sim_calls(rig->sim, DISK_SIM_ANY), before);
        assert_int_equal(journal_room_bytes(rig->journal), 0);
        assert_false(journal_wants_segment(rig->journal));
        uint64_t writes = disk_sim_calls(rig->sim, DISK_SIM_PWRITE);
        uint64_t syncs = disk_sim_calls(rig->sim, DISK_SIM_FDATASYNC);
        journal_rig_close(rig);
        assert_int_equal(disk_sim_calls(rig->sim, DISK_SIM_PWRITE), writes);
        assert_int_equal(disk_sim_calls(rig->sim, DISK_SIM_FDATASYNC), syncs);
        assert_int_equal(try_open(rig), 0);
    }
}

static void refuses_bad_options(void **state) {
    struct journal_rig *rig = *state;
    uint64_t sizes[] = {0, 4096, SEGMENT_BYTES + 1, UINT64_C(2) << 30};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        rig->options.segment_bytes = sizes[i];
        assert_int_equal(try_open(rig), -EINVAL);
    }
    static char folder[5000];
    memset(folder, 'x', sizeof(folder) - 1);
    rig->options.folder = folder;
    assert_int_equal(try_open(rig), -ENAMETOOLONG);
}

static int stop_at_third(void *ctx, const struct record *record, struct slice encoded) {
    (void)encoded;
    *(uint64_t *)ctx = record->seq;
    return record->seq == 3 ? -ECANCELED : 0;
}

static void reader_may_stop(void **state) {
    struct journal_rig *rig = *state;
    open_and_compare(rig);
    assert_int_equal(append(rig, 5), 0);
    journal_rig_close(rig);
    uint64_t seq = 0;
    assert_int_equal(journal_open(&rig->journal, &rig->options, stop_at_third, &seq, &rig->err),
                     -ECANCELED);
    assert_null(rig->journal);
    assert_int_equal(seq, 3);
    open_and_compare(rig);
}

static void read_only_changes_nothing(void **state) {
    struct journal_rig *rig = *state;
    rig->options.read_only = true;
    assert_int_equal(try_open(rig), -ENOENT);
    rig->options.read_only = false;
    open_and_compare(rig);
    assert_int_equal(append(rig, 5), 0);
    reopen(rig);
    journal_rig_close(rig);
    uint64_t writes = disk_sim_calls(rig->sim, DISK_SIM_PWRITE);
    rig->options.read_only = true;
    open_and_compare(rig);
    assert_int_equal(journal_room_bytes(rig->journal), 0);
    assert_false(journal_wants_segment(rig->journal));
    assert_int_equal(disk_sim_calls(rig->sim, DISK_SIM_PWRITE), writes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(begins_empty),
        TEST(keeps_what_was_appended),
        TEST(places_records),
        TEST(commits_with_one_sync),
        TEST(prepares_with_a_sync),
        TEST(rolls_over_many_segments),
        TEST(room_is_a_guarantee),
        TEST(full_disk_loses_nothing),
        TEST(no_first_segment_on_a_full_disk),
        TEST(takes_up_a_prepared_file),
        TEST(replaces_a_prepared_file_that_is_too_large),
        TEST(dies_of_a_failed_call),
        TEST(refuses_bad_options),
        TEST(reader_may_stop),
        TEST(read_only_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
