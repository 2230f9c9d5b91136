/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's threads on real files: group commit, failure, a full disk, an end with a batch on
 * its way, and readers beside a writer.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/logger.h"
#include "log/journal_thread.h"
#include "sim/journal_history.h"

enum { SEGMENT_BYTES = 64 * 1024, COUNT_MAX = 64 };

/* The real disk, with some calls failing on demand. */
struct faulty_disk {
    struct disk disk;
    atomic_bool is_full;      /* fallocate says so */
    atomic_int syncs_to_fail; /* the nth fdatasync from now; 0: none */
    atomic_bool is_stuck;     /* no fdatasync returns */
    atomic_int writes;
};

struct fixture {
    char folder[64];
    struct faulty_disk faulty;
    struct random_sim random;
    struct journal_history history;
    struct journal_options options;
    struct journal *journal;
    struct log *log;
    int woken;
    size_t told, failed;
    int code;
    struct err err;
    _Alignas(8) char batch[COUNT_MAX * RECORD_BYTES_MAX];
};

static struct faulty_disk *faulty_of(struct disk *disk) {
    return CONTAINER_OF(disk, struct faulty_disk, disk);
}

static int faulty_fallocate(struct disk *disk, int fd, uint64_t bytes) {
    if (atomic_load(&faulty_of(disk)->is_full)) return -ENOSPC;
    return disk_system.fallocate(&disk_system, fd, bytes);
}

static int faulty_fdatasync(struct disk *disk, int fd) {
    while (atomic_load(&faulty_of(disk)->is_stuck)) usleep(1000);
    atomic_int *left = &faulty_of(disk)->syncs_to_fail;
    if (atomic_load(left) > 0 && atomic_fetch_sub(left, 1) == 1) return -EIO;
    return disk_system.fdatasync(&disk_system, fd);
}

static ssize_t faulty_pwrite(struct disk *disk, int fd, const void *from, size_t bytes,
                             uint64_t offset) {
    atomic_fetch_add(&faulty_of(disk)->writes, 1);
    return disk_system.pwrite(&disk_system, fd, from, bytes, offset);
}

/* ---- The engine's side ---- */

static void wake(void *ctx) {
    struct fixture *f = ctx;
    uint64_t one = 1;
    assert_int_equal(write(f->woken, &one, sizeof(one)), sizeof(one));
}

static void on_records(void *ctx, struct slice records) {
    struct fixture *f = ctx;
    assert_ptr_equal(records.p, f->batch);
    struct record record;
    for (size_t bytes; records.n > 0; records.p += bytes, records.n -= bytes) {
        assert_int_equal(record_decode(records, &record, &bytes), RECORD_OK);
        assert_true(record.seq >= 1 && record.segment != 0);
        f->told++;
    }
    journal_history_acknowledge(&f->history);
}

static void on_failed(void *ctx, int code) {
    struct fixture *f = ctx;
    f->failed++;
    f->code = code;
}

static bool hand_over(struct fixture *f, size_t count) {
    size_t written = f->history.written;
    size_t bytes = journal_history_batch(&f->history, f->batch, sizeof(f->batch), count);
    if (bytes > f->log->ops->room_bytes(f->log)) {
        f->history.written = written;
        return false;
    }
    f->log->ops->append(f->log, f->batch, bytes, count);
    return true;
}

/* Until the batch on its way has been told. */
static void wait_idle(struct fixture *f) {
    uint64_t count;
    while (!f->log->ops->is_idle(f->log)) {
        assert_int_equal(read(f->woken, &count, sizeof(count)), sizeof(count));
        f->log->ops->pump(f->log);
    }
}

/* Appends batches until `total` records were told; the journal gets its segments meanwhile. */
static void write_records(struct fixture *f, size_t total) {
    while (f->told < total) {
        if (hand_over(f, 1 + random_sim_below(&f->random, COUNT_MAX)))
            wait_idle(f);
        else
            usleep(1000);
    }
}

/* Until the segment ahead is there, so that nothing else syncs. */
static void wait_prepared(struct fixture *f) {
    while (f->log->ops->room_bytes(f->log) < SEGMENT_BYTES / 4 * 3) usleep(1000);
}

/* ---- Set-up ---- */

static void open_journal(struct fixture *f) {
    journal_history_rewind(&f->history);
    int code =
        journal_open(&f->journal, &f->options, journal_history_on_record, &f->history, &f->err);
    if (code != 0) fail_msg("%s", f->err.text);
    const char *wrong = journal_history_settle(&f->history);
    if (wrong != NULL) fail_msg("%s", wrong);
}

static void start(struct fixture *f) {
    open_journal(f);
    f->log = journal_thread_start(f->journal, &clock_system, wake, f);
    assert_non_null(f->log);
    f->log->sink = (struct log_sink){.ctx = f, .on_records = on_records, .on_failed = on_failed};
}

static void stop(struct fixture *f) {
    if (f->log != NULL) journal_thread_stop(f->log);
    journal_close(f->journal);
    f->log = NULL;
    f->journal = NULL;
}

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->folder, "/tmp/coupond-journal-XXXXXX");
    if (mkdtemp(f->folder) == NULL) return -1;
    f->faulty.disk = disk_system;
    f->faulty.disk.fallocate = faulty_fallocate;
    f->faulty.disk.fdatasync = faulty_fdatasync;
    f->faulty.disk.pwrite = faulty_pwrite;
    random_sim_init(&f->random, 1);
    journal_history_init(&f->history, 2);
    f->options = (struct journal_options){.folder = f->folder,
                                          .segment_bytes = SEGMENT_BYTES,
                                          .disk = &f->faulty.disk,
                                          .random = &random_system};
    f->woken = eventfd(0, EFD_CLOEXEC);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->faulty.is_stuck, false);
    stop(f);
    close(f->woken);
    nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    journal_history_deinit(&f->history);
    free(f);
    return 0;
}

/* ---- Tests ---- */

static uint64_t recorded(const struct histogram *histogram) {
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        count += counter_read(&histogram->buckets[i]);
    return count;
}

static void commits_are_counted(void **state) {
    struct fixture *f = *state;
    start(f);
    wait_prepared(f);
    const struct journal_counts *counts = journal_thread_counts(f->log);
    uint64_t prepared = counter_read(&counts->segments_prepared);
    assert_int_equal(prepared, 1);
    uint64_t room = f->log->ops->room_bytes(f->log);
    assert_true(hand_over(f, 10));
    wait_idle(f);
    assert_true(hand_over(f, 3));
    wait_idle(f);
    assert_int_equal(recorded(&counts->commit_ns), 2);
    assert_true(counter_read(&counts->commit_ns.sum) > 0);
    assert_int_equal(recorded(&counts->commit_records), 2);
    assert_int_equal(counter_read(&counts->commit_records.sum), 13);
    assert_int_equal(counter_read(&counts->commit_records.buckets[2]), 1); /* up to 4 */
    assert_int_equal(counter_read(&counts->commit_records.buckets[4]), 1); /* up to 16 */
    assert_true(counter_read(&counts->written_bytes) >= room - f->log->ops->room_bytes(f->log));
    assert_int_equal(counter_read(&counts->segments_failed), 0);

    atomic_store(&f->faulty.syncs_to_fail, 1);
    assert_true(hand_over(f, 1));
    wait_idle(f);
    assert_int_equal(f->failed, 1);
    assert_int_equal(recorded(&counts->commit_ns), 2); /* one that failed is none */
}

static void tells_what_is_durable(void **state) {
    struct fixture *f = *state;
    for (int life = 1; life <= 3; life++) {
        start(f);
        assert_true(f->log->ops->is_idle(f->log));
        assert_true(f->log->ops->has_reserve(f->log));
        write_records(f, (size_t)life * 2000);
        stop(f);
    }
    open_journal(f);
    assert_int_equal(f->history.read, f->told);
    struct journal_summary summary;
    journal_get_summary(f->journal, &summary);
    assert_true(summary.segments > 5);
    assert_int_equal(f->failed, 0);
}

/* While a batch is on its way its room is used, and pump tells nothing; then it tells it once. */
static void is_busy_until_pumped(void **state) {
    struct fixture *f = *state;
    start(f);
    wait_prepared(f);
    uint64_t before = f->log->ops->room_bytes(f->log);
    atomic_store(&f->faulty.is_stuck, true);
    assert_true(hand_over(f, 10));
    assert_true(f->log->ops->room_bytes(f->log) < before);
    f->log->ops->pump(f->log);
    assert_int_equal(f->told, 0);
    assert_false(f->log->ops->is_idle(f->log));

    atomic_store(&f->faulty.is_stuck, false);
    uint64_t count;
    assert_int_equal(read(f->woken, &count, sizeof(count)), sizeof(count));
    assert_false(f->log->ops->is_idle(f->log));
    assert_int_equal(f->told, 0);
    f->log->ops->pump(f->log);
    f->log->ops->pump(f->log);
    assert_int_equal(f->told, 10);
    assert_true(f->log->ops->is_idle(f->log));
    assert_true(f->log->ops->room_bytes(f->log) < before);
}

static void failure_is_told_once_and_nothing_is_written_after(void **state) {
    struct fixture *f = *state;
    start(f);
    write_records(f, 100);
    wait_prepared(f);
    atomic_store(&f->faulty.syncs_to_fail, 1);
    size_t told = f->told;
    assert_true(hand_over(f, 5));
    wait_idle(f);
    assert_int_equal(f->failed, 1);
    assert_int_equal(f->code, -EIO);
    assert_int_equal(f->told, told);
    assert_int_equal(f->log->ops->room_bytes(f->log), 0);
    int writes = atomic_load(&f->faulty.writes);
    f->log->ops->pump(f->log);
    stop(f);
    assert_int_equal(atomic_load(&f->faulty.writes), writes);
    assert_int_equal(f->failed, 1);
    open_journal(f); /* a start tells whether the five are there; what was told is */
}

static void full_disk_is_told_and_ends(void **state) {
    struct fixture *f = *state;
    start(f);
    stop(f);
    atomic_store(&f->faulty.is_full, true);
    start(f);
    while (f->log->ops->has_reserve(f->log)) usleep(1000);
    assert_true(counter_read(&journal_thread_counts(f->log)->segments_failed) >= 1);
    while (hand_over(f, 20)) wait_idle(f); /* goes on in what it has, then refuses */
    assert_int_equal(f->failed, 0);
    assert_true(f->told > 100);
    atomic_store(&f->faulty.is_full, false);
    while (!f->log->ops->has_reserve(f->log)) usleep(10000);
    size_t told = f->told;
    write_records(f, told + 500);
    assert_int_equal(f->failed, 0);
}

static void stops_with_a_batch_on_its_way(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        start(f);
        size_t before = f->history.written;
        assert_true(hand_over(f, 3));
        journal_history_acknowledge(&f->history); /* stop waits for it */
        stop(f);
        open_journal(f);
        assert_int_equal(f->history.read, before + 3);
        journal_close(f->journal);
        f->journal = NULL;
        uint64_t count;
        assert_int_equal(read(f->woken, &count, sizeof(count)), sizeof(count));
    }
}

/* ---- Readers beside the writer ---- */

struct reading {
    const struct fixture *f;
    atomic_bool is_over;
    size_t openings, most;
    char failure[512];
};

static int count_in_order(void *ctx, const struct record *record, struct slice encoded) {
    size_t *count = ctx;
    (void)encoded;
    return record->win.serial == ++*count ? 0 : -EILSEQ;
}

static void *keep_reading(void *ctx) {
    struct reading *reading = ctx;
    struct journal_options options = reading->f->options;
    options.read_only = true;
    while (!atomic_load(&reading->is_over) && reading->failure[0] == '\0') {
        struct journal *journal;
        struct err err;
        size_t count = 0;
        int code = journal_open(&journal, &options, count_in_order, &count, &err);
        if (code != 0) snprintf(reading->failure, sizeof(reading->failure), "%s", err.text);
        if (count < reading->most) strcpy(reading->failure, "fewer records than before");
        journal_close(journal);
        reading->most = count;
        reading->openings++;
    }
    return NULL;
}

static void readers_beside_the_writer(void **state) {
    struct fixture *f = *state;
    start(f);
    write_records(f, 1);
    struct reading reading = {.f = f};
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, keep_reading, &reading), 0);
    write_records(f, 20000);
    atomic_store(&reading.is_over, true);
    pthread_join(reader, NULL);
    if (reading.failure[0] != '\0') fail_msg("%s", reading.failure);
    assert_true(reading.openings > 10);
    assert_true(reading.most > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    logger_set_level(LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        TEST(tells_what_is_durable),      TEST(commits_are_counted),
        TEST(is_busy_until_pumped),       TEST(failure_is_told_once_and_nothing_is_written_after),
        TEST(full_disk_is_told_and_ends), TEST(stops_with_a_batch_on_its_way),
        TEST(readers_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
