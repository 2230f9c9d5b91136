/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes of a journal that were verified never change: segments are only written behind their last
 * record. So one pass verifies and finds the end, and a second one copies up to there.
 */
#include "log/journal_copy.h"

#include <errno.h>
#include <string.h>

#include "lib/failpoint.h"
#include "lib/random.h"
#include "log/journal_segment.h"

struct copy {
    struct disk *disk;
    const char *from, *to;
    const struct journal_summary *summary;
    uint64_t copied; /* segments */
    struct err *err;
};

static int ignore_record(void *ctx, const struct record *record, struct slice encoded) {
    (void)ctx, (void)record, (void)encoded;
    return 0;
}

static int verify(const struct copy *copy, struct journal_summary *summary) {
    const struct journal_options options = {
        .folder = copy->from, .disk = copy->disk, .random = &random_system, .read_only = true};
    struct journal *journal;
    int code = journal_open(&journal, &options, ignore_record, NULL, copy->err);
    if (code != 0) return code;
    journal_get_summary(journal, summary);
    journal_close(journal);
    return 0;
}

/* The verified bytes, then the zeros that a segment has ahead of its use: on the disk, so that a
 * commit into the copy changes no metadata either. */
static int copy_bytes(const struct copy *copy, int from, int to, bool is_last) {
    struct disk *disk = copy->disk;
    int64_t size = disk->size(disk, from);
    if (size < 0) return (int)size;
    uint64_t end = (uint64_t)size;
    uint64_t filled = is_last && copy->summary->end_offset < end ? copy->summary->end_offset : end;
    int code = disk->fallocate(disk, to, end);
    if (code == -EOPNOTSUPP) code = 0;
    if (code == 0) code = disk_copy(disk, from, to, filled);
    FAILPOINT("backup_segment_copied");
    if (code == 0) code = journal_write_zeros(disk, to, filled, end);
    return code == 0 ? disk->fdatasync(disk, to) : code;
}

static int copy_segment(struct copy *copy, uint64_t first_seq) {
    char from_path[JOURNAL_PATH_BYTES], to_path[JOURNAL_PATH_BYTES];
    journal_segment_path(from_path, copy->from, first_seq);
    journal_segment_path(to_path, copy->to, first_seq);
    struct disk *disk = copy->disk;
    int from = disk->open(disk, from_path, DISK_READ);
    if (from < 0) return err_set(copy->err, from, "cannot open %s: %s", from_path, strerror(-from));
    int to = disk->open(disk, to_path, DISK_CREATE_NEW);
    int code = to < 0 ? to : copy_bytes(copy, from, to, first_seq == copy->summary->last_segment);
    disk->close(disk, from);
    if (to >= 0) disk->close(disk, to);
    copy->copied += code == 0;
    if (code == 0) return 0;
    return err_set(copy->err, code, "cannot copy %s to %s: %s", from_path, to_path,
                   strerror(-code));
}

/* Segments that came after the one that was verified last are not of this copy. */
static void on_name(void *ctx, const char *name) {
    struct copy *copy = ctx;
    uint64_t first_seq;
    if (copy->err->code != 0 || !journal_segment_name_read(name, &first_seq)) return;
    if (first_seq <= copy->summary->last_segment) (void)copy_segment(copy, first_seq);
}

int journal_copy(struct disk *disk, const char *from, const char *to,
                 struct journal_summary *summary, struct err *err) {
    *err = (struct err){0};
    struct copy copy = {.disk = disk, .from = from, .to = to, .summary = summary, .err = err};
    if (strlen(to) + JOURNAL_NAME_BYTES > JOURNAL_PATH_BYTES)
        return err_set(err, -ENAMETOOLONG, "the name of the folder to copy to is too long");
    int code = verify(&copy, summary);
    if (code != 0) return code;
    code = disk->list(disk, from, on_name, &copy);
    if (err->code != 0) return err->code;
    if (code != 0) return err_set(err, code, "cannot list %s: %s", from, strerror(-code));
    if (copy.copied != summary->segments)
        return err_set(err, -EAGAIN, "segments of %s were removed while they were copied", from);
    return 0;
}
