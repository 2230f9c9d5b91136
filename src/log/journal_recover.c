/* SPDX-License-Identifier: Apache-2.0
 *
 * From files to records: lists the segments, reads each whole, has it judged, refuses damage by
 * name and repairs the end of the last one.
 */
#include "log/journal_recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"
#include "lib/logger.h"

/* A torn commit reaches no further than this behind the last good record: 1 MiB and a MARK. */
enum { TORN_BYTES_MAX = 1024 * 1024 + 4096 };

struct folder_list {
    uint64_t *first_seqs;
    size_t count, capacity;
    bool has_failed;
};

struct recover {
    const struct journal_options *options;
    const struct journal_reader *reader;
    struct journal_recovery *out;
    struct err *err;
    char path[JOURNAL_PATH_BYTES];      /* of the segment that is being read */
    char last_path[JOURNAL_PATH_BYTES]; /* of the one before it */
    int fd;
    struct slice segment; /* its bytes, whole; those that the file lacks are zeros */
    uint64_t file_bytes;  /* how many of them the file has */
    char *buffer;
    uint64_t buffer_bytes;
};

/* ---- What is refused ---- */

static int refuse(struct recover *recover, int code, const char *path, uint64_t offset,
                  const char *what) {
    const char *folder = recover->options->folder;
    err_set(recover->err, code,
            "%s, offset %" PRIu64 ": %s; nothing was changed, `coupond log check %s` and `coupond "
            "log dump %s` show what is there",
            path, offset, what, folder, folder);
    recover->err->fatal = true;
    return code;
}

static int refuse_damage(struct recover *recover, const char *path, uint64_t offset) {
    return refuse(recover, -EBADMSG, path, offset,
                  "the record is damaged, and what follows proves that it had been durable");
}

static int refuse_newer(struct recover *recover, uint64_t offset) {
    return refuse(recover, -EPROTONOSUPPORT, recover->path, offset,
                  "a newer coupond wrote this record; start that version");
}

static int refuse_missing(struct recover *recover) {
    char missing[JOURNAL_PATH_BYTES];
    uint64_t next_seq = recover->out->scan.chain.next_seq;
    journal_segment_path(missing, recover->options->folder, next_seq + 1);
    err_set(recover->err, -EBADMSG,
            "%s is missing: the records from %" PRIu64 " on are not there, but %s follows", missing,
            next_seq, recover->path);
    recover->err->fatal = true;
    return -EBADMSG;
}

static int fail(struct recover *recover, int code, const char *doing) {
    return err_set(recover->err, code, "cannot %s %s: %s", doing, recover->path, strerror(-code));
}

/* ---- The files ---- */

static void on_name(void *ctx, const char *name) {
    struct folder_list *list = ctx;
    uint64_t first_seq;
    if (list->has_failed || !journal_segment_name_read(name, &first_seq)) return;
    if (list->count == list->capacity) {
        list->capacity = 2 * list->capacity + 16;
        size_t bytes = list->capacity * sizeof(list->first_seqs[0]);
        uint64_t *grown = realloc(list->first_seqs, bytes);
        list->has_failed = grown == NULL;
        if (grown == NULL) return;
        list->first_seqs = grown;
    }
    list->first_seqs[list->count++] = first_seq;
}

static int compare(const void *a, const void *b) {
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static int list_segments(struct recover *recover, struct folder_list *list) {
    struct disk *disk = recover->options->disk;
    int code = disk->list(disk, recover->options->folder, on_name, list);
    if (code == 0 && list->has_failed) code = -ENOMEM;
    if (code != 0)
        return err_set(recover->err, code, "cannot list %s: %s", recover->options->folder,
                       strerror(-code));
    if (list->count > 0) qsort(list->first_seqs, list->count, sizeof(uint64_t), compare);
    return 0;
}

static int grow_buffer(struct recover *recover, uint64_t bytes) {
    if (bytes <= recover->buffer_bytes) return 0;
    free(recover->buffer);
    recover->buffer = malloc(bytes);
    recover->buffer_bytes = recover->buffer == NULL ? 0 : bytes;
    return recover->buffer == NULL ? fail(recover, -ENOMEM, "read") : 0;
}

/* Reads what is in the file between `offset` and the end of the segment. */
static int read_from(struct recover *recover, uint64_t offset) {
    if (offset >= recover->file_bytes) return 0;
    size_t bytes = (size_t)(recover->file_bytes - offset);
    struct disk *disk = recover->options->disk;
    int code = disk_read_all(disk, recover->fd, recover->buffer + offset, bytes, offset);
    return code != 0 ? fail(recover, code, "read") : 0;
}

/* Opens the file and reads its first record into `encoded`, RECORD_BYTES_MAX bytes. */
static int open_segment(struct recover *recover, struct record *head, char *encoded) {
    struct disk *disk = recover->options->disk;
    recover->fd =
        disk->open(disk, recover->path, recover->options->read_only ? DISK_READ : DISK_WRITE);
    if (recover->fd < 0) return fail(recover, recover->fd, "open");
    int64_t size = disk->size(disk, recover->fd);
    if (size < 0) return fail(recover, (int)size, "read");
    recover->file_bytes = (uint64_t)size;

    size_t bytes = (size_t)recover->file_bytes;
    bytes = size_min(bytes, RECORD_BYTES_MAX);
    int code = disk_read_all(disk, recover->fd, encoded, bytes, 0);
    if (code != 0) return fail(recover, code, "read");
    memset(encoded + bytes, 0, RECORD_BYTES_MAX - bytes);
    switch (journal_scan_head(slice_of(encoded, RECORD_BYTES_MAX), head)) {
    case RECORD_OK:
        return 0;
    case RECORD_NEWER:
        return refuse_newer(recover, 0);
    case RECORD_BAD:
        break;
    }
    return refuse(recover, -EBADMSG, recover->path, 0,
                  "the first record of the segment is damaged");
}

/* Reads the whole segment, with zeros in place of what was cut off its file. */
static int read_segment(struct recover *recover, const struct record *head) {
    uint64_t bytes = head->segment_head.segment_bytes;
    int code = grow_buffer(recover, bytes);
    if (code != 0) return code;
    if (recover->file_bytes > bytes) recover->file_bytes = bytes;
    if (recover->file_bytes < bytes)
        logger_line(LOG_WARN, "journal",
                    "event=segment_is_short file=%s bytes=%" PRIu64 " wanted=%" PRIu64,
                    recover->path, recover->file_bytes, bytes);
    memset(recover->buffer + recover->file_bytes, 0, (size_t)(bytes - recover->file_bytes));
    recover->segment = slice_of(recover->buffer, (size_t)bytes);
    return read_from(recover, 0);
}

/* Whether this segment belongs behind the one before it; if not, which of the two is wrong. */
static int check_place(struct recover *recover, const struct record *head, uint64_t name_seq) {
    const struct journal_scan *scan = &recover->out->scan;
    if (head->segment_head.first_seq != name_seq)
        return refuse(recover, -EBADMSG, recover->path, 0,
                      "the file holds other records than its name says; it was renamed");
    if (journal_scan_fits(scan, head)) return 0;
    bool is_behind_it =
        scan->chain.segment != 0 && head->segment_head.previous_segment == scan->chain.segment;
    if (is_behind_it) return refuse_damage(recover, recover->last_path, scan->offset);
    if (head->seq > scan->chain.next_seq) return refuse_missing(recover);
    return refuse(recover, -EBADMSG, recover->path, 0,
                  "the segment does not belong behind the one before it");
}

/* ---- The records ---- */

/* A commit that was on its way while the segment was read may be seen in part. When a later record
 * was seen, all of it is in the file by now: one more look tells tearing from damage. Ends because
 * each turn reads on, or finds the same as before. */
static int read_again(struct recover *recover, enum journal_finding *finding) {
    struct journal_scan *scan = &recover->out->scan;
    for (;;) {
        uint64_t offset = scan->offset;
        enum journal_finding before = *finding;
        int code = read_from(recover, offset);
        if (code != 0) return code;
        *finding = journal_scan_records(scan, recover->segment, recover->reader);
        bool is_bad = *finding == JOURNAL_TORN || *finding == JOURNAL_DAMAGED;
        bool is_new = scan->offset > offset || *finding != before;
        if (!is_bad || !is_new) return 0;
    }
}

static int judge(struct recover *recover, enum journal_finding finding, bool is_last) {
    const struct journal_scan *scan = &recover->out->scan;
    switch (finding) {
    case JOURNAL_CLEAN:
        return 0;
    case JOURNAL_TORN:
        return is_last ? 0 : refuse_damage(recover, recover->path, scan->offset);
    case JOURNAL_DAMAGED:
        return refuse_damage(recover, recover->path, scan->offset);
    case JOURNAL_NEWER:
        return refuse_newer(recover, scan->offset);
    case JOURNAL_STOPPED:
        break;
    }
    if (recover->err->code == 0 && scan->code < 0)
        err_set(recover->err, scan->code,
                "%s, offset %" PRIu64 ": record %" PRIu64 " was refused: %s", recover->path,
                scan->offset, scan->chain.next_seq, strerror(-scan->code));
    return scan->code;
}

static int read_records(struct recover *recover, bool is_last) {
    struct journal_scan *scan = &recover->out->scan;
    enum journal_finding finding = journal_scan_records(scan, recover->segment, recover->reader);
    bool may_be_moving = is_last && recover->options->read_only;
    if (may_be_moving && (finding == JOURNAL_TORN || finding == JOURNAL_DAMAGED)) {
        int code = read_again(recover, &finding);
        if (code != 0) return code;
    }
    return judge(recover, finding, is_last);
}

/* ---- The end ---- */

/* Makes sure of the end of the last segment, whatever happened to the process before this one:
 *   - its last commit may have been read from a cache that was never synced, or whose sync failed
 *     and was forgotten: it is written once more;
 *   - a stale part of a torn commit could one day fit behind a new one: zeros, as far as a commit
 *     reaches, even where zeros are read;
 *   - its name may not be durable yet.
 * What is written over what is good is the same bytes, so a power cut in here harms nothing. */
static int settle(struct recover *recover, uint64_t zeros_from) {
    struct disk *disk = recover->options->disk;
    const struct journal_scan *scan = &recover->out->scan;
    size_t commit_bytes = (size_t)(scan->offset - scan->commit);
    int code = disk_write_all(disk, recover->fd, recover->segment.p + scan->commit, commit_bytes,
                              scan->commit);
    FAILPOINT("recover_commit_rewritten");
    if (code == 0) {
        uint64_t end = scan->offset + TORN_BYTES_MAX;
        if (end < zeros_from || recover->file_bytes < recover->segment.n) end = recover->segment.n;
        if (end > recover->segment.n) end = recover->segment.n;
        code = journal_write_zeros(disk, recover->fd, scan->offset, end);
    }
    FAILPOINT("recover_tail_cut");
    if (code == 0) code = disk->fdatasync(disk, recover->fd);
    FAILPOINT("recover_synced");
    if (code == 0) code = disk->sync_directory(disk, recover->options->folder);
    return code != 0 ? fail(recover, code, "settle the end of") : 0;
}

static int finish_last(struct recover *recover) {
    struct journal_recovery *out = recover->out;
    uint64_t zeros_from = journal_scan_zeros(recover->segment, out->scan.offset);
    out->summary.torn_bytes = zeros_from - out->scan.offset;
    if (recover->options->read_only) return 0;
    int code = settle(recover, zeros_from);
    if (code != 0) return code;
    if (out->summary.torn_bytes > 0)
        logger_line(LOG_WARN, "journal",
                    "event=torn_tail_cut file=%s offset=%" PRIu64 " bytes=%" PRIu64, recover->path,
                    out->scan.offset, out->summary.torn_bytes);

    out->last = malloc(sizeof(*out->last));
    if (out->last == NULL) return fail(recover, -ENOMEM, "open");
    *out->last = (struct journal_segment){
        .fd = recover->fd, .id = out->scan.chain.segment, .bytes = recover->segment.n};
    recover->fd = -1; /* is the journal's now */
    return 0;
}

static int recover_segment(struct recover *recover, uint64_t name_seq, bool is_last) {
    _Alignas(8) char encoded[RECORD_BYTES_MAX];
    struct record head;
    journal_segment_path(recover->path, recover->options->folder, name_seq);
    int code = open_segment(recover, &head, encoded);
    if (code == 0) code = check_place(recover, &head, name_seq);
    if (code == 0) code = read_segment(recover, &head);
    if (code == 0) {
        journal_scan_enter(&recover->out->scan, &head, encoded);
        code = read_records(recover, is_last);
    }
    if (code == 0 && is_last) code = finish_last(recover);
    if (recover->fd >= 0) recover->options->disk->close(recover->options->disk, recover->fd);
    recover->fd = -1;
    memcpy(recover->last_path, recover->path, sizeof(recover->path));
    return code;
}

static void summarize(struct journal_recovery *out, const struct folder_list *list) {
    out->summary.segments = list->count;
    out->summary.last_segment = list->count == 0 ? 0 : list->first_seqs[list->count - 1];
    out->summary.end_offset = out->scan.offset;
    out->summary.records = out->scan.records;
    out->summary.bytes = out->scan.records_bytes;
    out->summary.first_seq = out->scan.first_seq;
    out->summary.last_seq = out->scan.last_seq;
}

int journal_recover(struct journal_recovery *recovery, const struct journal_options *options,
                    const struct journal_reader *reader, struct err *err) {
    struct recover recover = {
        .options = options, .reader = reader, .out = recovery, .err = err, .fd = -1};
    struct folder_list list = {0};
    *recovery = (struct journal_recovery){0};
    int code = list_segments(&recover, &list);
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        code = recover_segment(&recover, list.first_seqs[i], i + 1 == list.count);
    }
    summarize(recovery, &list);
    free(list.first_seqs);
    free(recover.buffer);
    return code;
}
