/* SPDX-License-Identifier: Apache-2.0
 *
 * A copy holds what was durable when it was asked for, whatever is written meanwhile, has nothing
 * torn, and can be written on. One that failed says so.
 */
#include "log/journal_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SEGMENT_BYTES = 64 * 1024 };

static char from[64], to[64];
static struct journal *writer;
static struct err err;

static int ignore(void *ctx, const struct record *record, struct slice encoded) {
    (void)record, (void)encoded;
    if (ctx != NULL) ++*(uint64_t *)ctx;
    return 0;
}

static struct journal *open_journal(const char *folder, uint64_t *count) {
    const struct journal_options options = {.folder = folder,
                                            .segment_bytes = SEGMENT_BYTES,
                                            .disk = &disk_system,
                                            .random = &random_system};
    struct journal *journal;
    if (journal_open(&journal, &options, ignore, count, &err) != 0) fail_msg("%s", err.text);
    return journal;
}

static void append(int times) {
    const struct record record = {.type = RECORD_WIN,
                                  .ms = 1,
                                  .event_id = slice_of("EV", 2),
                                  .win = {.gen = 1, .serial = 1, .user_id = slice_of("u", 1)}};
    _Alignas(8) char bytes[RECORD_BYTES_MAX];
    for (int i = 0; i < times; i++) {
        if (journal_wants_segment(writer))
            journal_give_segment(writer, journal_segment_prepare(writer, &err));
        size_t n = record_encode(bytes, &record);
        assert_true(n > 0);
        assert_int_equal(journal_append(writer, bytes, n, 1), 0);
    }
}

static int set_up(void **state) {
    (void)state;
    strcpy(from, "/tmp/coupond-copy-from-XXXXXX");
    strcpy(to, "/tmp/coupond-copy-to-XXXXXX");
    if (mkdtemp(from) == NULL || mkdtemp(to) == NULL) return -1;
    writer = open_journal(from, NULL);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *ftw) {
    (void)info, (void)flag, (void)ftw;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    journal_close(writer);
    return nftw(from, remove_one, 8, FTW_DEPTH) + nftw(to, remove_one, 8, FTW_DEPTH);
}

/* Opens the copy as a server would. */
static void check_copy(const struct journal_summary *summary, uint64_t records) {
    uint64_t count = 0;
    struct journal *journal = open_journal(to, &count);
    struct journal_summary found;
    journal_get_summary(journal, &found);
    journal_close(journal);
    assert_int_equal(found.torn_bytes, 0);
    assert_int_equal(count, records);
    assert_int_equal(summary->records, records);
    assert_int_equal(found.last_seq, summary->last_seq);
    assert_int_equal(found.segments, summary->segments);
}

static void all_segments_are_copied(void **state) {
    (void)state;
    struct journal_summary summary;
    append(3000);
    assert_int_equal(journal_copy(&disk_system, from, to, &summary, &err), 0);
    assert_true(summary.segments > 2);
    check_copy(&summary, 3000);
    struct stat info;
    char path[128];
    snprintf(path, sizeof path, "%s/journal-0000000000000001.log", to);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, SEGMENT_BYTES);
    assert_true(info.st_blocks * 512 >= SEGMENT_BYTES); /* zeros are written, not left out */
}

static void an_empty_journal_is_copied(void **state) {
    (void)state;
    struct journal_summary summary;
    assert_int_equal(journal_copy(&disk_system, from, to, &summary, &err), 0);
    check_copy(&summary, 0);
}

/* ---- A disk on which something happens at a call ---- */

static struct disk disk;
static int lists, appended_at_list, fail_at, calls;

static int list_later(struct disk *self, const char *path,
                      void (*on_name)(void *ctx, const char *name), void *ctx) {
    (void)self;
    if (++lists == appended_at_list) append(2000);
    return disk_system.list(&disk_system, path, on_name, ctx);
}

static void what_comes_meanwhile_is_left_out(void **state) {
    (void)state;
    disk = disk_system;
    disk.list = list_later;
    lists = 0;
    appended_at_list = 2; /* between verifying and copying: this segment grows, and others come */
    append(700);
    struct journal_summary summary;
    assert_int_equal(journal_copy(&disk, from, to, &summary, &err), 0);
    assert_int_equal(lists, 2);
    check_copy(&summary, 700);
}

static void a_torn_tail_is_left_out(void **state) {
    (void)state;
    append(5);
    struct journal_summary summary;
    assert_int_equal(journal_copy(&disk_system, from, to, &summary, &err), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/journal-0000000000000001.log", from);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "torn", 4, (off_t)summary.end_offset + 64), 4);
    close(fd);
    snprintf(path, sizeof path, "%s/journal-0000000000000001.log", to);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(journal_copy(&disk_system, from, to, &summary, &err), 0);
    assert_true(summary.torn_bytes > 0);
    check_copy(&summary, 5);
}

static void a_damaged_journal_is_not_copied(void **state) {
    (void)state;
    append(50);
    char path[128];
    snprintf(path, sizeof path, "%s/journal-0000000000000001.log", from);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "damage", 6, 1024), 6);
    close(fd);
    struct journal_summary summary;
    assert_int_equal(journal_copy(&disk_system, from, to, &summary, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "damaged"));
    snprintf(path, sizeof path, "%s/journal-0000000000000001.log", to);
    assert_int_equal(access(path, F_OK), -1);
}

static ssize_t failing_pwrite(struct disk *self, int fd, const void *bytes, size_t n,
                              uint64_t offset) {
    (void)self;
    return ++calls == fail_at ? -ENOSPC : disk_system.pwrite(&disk_system, fd, bytes, n, offset);
}

static int failing_fdatasync(struct disk *self, int fd) {
    (void)self;
    return ++calls == fail_at ? -EIO : disk_system.fdatasync(&disk_system, fd);
}

static void clear_copy(void) {
    assert_int_equal(nftw(to, remove_one, 8, FTW_DEPTH), 0);
    assert_int_equal(mkdir(to, 0700), 0);
}

/* Tries each call until one time all of them go well. */
static int fail_each(int code) {
    struct journal_summary summary;
    int failures = 0;
    for (fail_at = 1;; fail_at++, failures++) {
        calls = 0;
        int got = journal_copy(&disk, from, to, &summary, &err);
        if (got == 0) break;
        assert_int_equal(got, code);
        assert_non_null(strstr(err.text, "cannot copy"));
        clear_copy();
    }
    return failures;
}

static void each_failing_write_is_told(void **state) {
    (void)state;
    append(1500);
    disk = disk_system;
    disk.pwrite = failing_pwrite;
    assert_true(fail_each(-ENOSPC) >= 2);
}

static void each_failing_sync_is_told(void **state) {
    (void)state;
    append(1500);
    disk = disk_system;
    disk.fdatasync = failing_fdatasync;
    assert_true(fail_each(-EIO) >= 2);
}

static void no_journal_no_copy(void **state) {
    (void)state;
    struct journal_summary summary;
    assert_int_equal(journal_copy(&disk_system, to, from, &summary, &err), -ENOENT);
    assert_int_equal(journal_copy(&disk_system, from, from, &summary, &err), -EEXIST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(all_segments_are_copied),          TEST(an_empty_journal_is_copied),
        TEST(what_comes_meanwhile_is_left_out), TEST(a_torn_tail_is_left_out),
        TEST(a_damaged_journal_is_not_copied),  TEST(each_failing_write_is_told),
        TEST(each_failing_sync_is_told),        TEST(no_journal_no_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
