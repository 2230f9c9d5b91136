/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the journal. A segment gets all its blocks, written and synced, before it is needed:
 * a later commit then changes no metadata, costs half, and cannot meet a full disk.
 */
#include "log/journal_segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"

enum { ZEROS_BYTES = 1024 * 1024, NAME_DIGITS = 16 };

static const char PREFIX[] = "journal-";
static const char SUFFIX[] = ".log";

bool journal_segment_bytes_is_valid(uint64_t bytes) {
    return bytes >= JOURNAL_SEGMENT_BYTES_MIN && bytes <= JOURNAL_SEGMENT_BYTES_MAX &&
           bytes % 4096 == 0;
}

/* ---- Names ---- */

void journal_segment_path(char path[JOURNAL_PATH_BYTES], const char *folder, uint64_t first_seq) {
    int n = snprintf(path, JOURNAL_PATH_BYTES, "%s/%s%0*" PRIu64 "%s", folder, PREFIX, NAME_DIGITS,
                     first_seq, SUFFIX);
    ASSERT(n > 0 && n < JOURNAL_PATH_BYTES);
}

static void next_path(char path[JOURNAL_PATH_BYTES], const char *folder) {
    int n = snprintf(path, JOURNAL_PATH_BYTES, "%s/journal.next", folder);
    ASSERT(n > 0 && n < JOURNAL_PATH_BYTES);
}

bool journal_segment_name_read(const char *name, uint64_t *first_seq) {
    size_t prefix = sizeof(PREFIX) - 1;
    if (strlen(name) != prefix + NAME_DIGITS + sizeof(SUFFIX) - 1) return false;
    if (memcmp(name, PREFIX, prefix) != 0) return false;
    if (strcmp(name + prefix + NAME_DIGITS, SUFFIX) != 0) return false;
    uint64_t number = 0;
    for (const char *c = name + prefix; c < name + prefix + NAME_DIGITS; c++) {
        if (*c < '0' || *c > '9') return false;
        number = number * 10 + (uint64_t)(*c - '0');
    }
    *first_seq = number;
    return true;
}

/* ---- Making ---- */

int journal_write_zeros(struct disk *disk, int fd, uint64_t offset, uint64_t end) {
    if (offset >= end) return 0;
    size_t piece = end - offset < ZEROS_BYTES ? (size_t)(end - offset) : ZEROS_BYTES;
    char *zeros = calloc(1, piece);
    if (zeros == NULL) return -ENOMEM;
    int code = 0;
    while (code == 0 && offset < end) {
        size_t bytes = size_min((size_t)(end - offset), piece);
        code = disk_write_all(disk, fd, zeros, bytes, offset);
        offset += bytes;
    }
    free(zeros);
    return code;
}

/* Opens the journal.next of a run before where it is not too large, otherwise a new one. */
static int open_next(struct disk *disk, const char *path, uint64_t bytes) {
    int fd = disk->open(disk, path, DISK_WRITE);
    if (fd >= 0) {
        int64_t size = disk->size(disk, fd);
        if (size >= 0 && (uint64_t)size <= bytes) return fd;
        disk->close(disk, fd);
        if (size < 0) return (int)size;
        int code = disk->unlink(disk, path);
        if (code != 0) return code;
    } else if (fd != -ENOENT) {
        return fd;
    }
    return disk->open(disk, path, DISK_CREATE_NEW);
}

static int fill_next(struct disk *disk, int fd, uint64_t bytes) {
    int code = disk->fallocate(disk, fd, bytes);
    if (code != 0 && code != -EOPNOTSUPP) return code;
    FAILPOINT("segment_allocated");
    code = journal_write_zeros(disk, fd, 0, bytes);
    FAILPOINT("segment_zeroed_before_sync");
    return code != 0 ? code : disk->fdatasync(disk, fd);
}

/* A failure of a segment that holds nothing yet hurts nobody: what is in use goes on. */
static struct journal_segment *fail(struct err *err, int code, const char *path, uint64_t bytes) {
    bool is_full = code == -ENOSPC || code == -EDQUOT;
    err_set(err, code, "cannot prepare %s of %" PRIu64 " bytes: %s%s", path, bytes, strerror(-code),
            is_full ? "; make room on its disk" : "");
    err->retriable = true;
    return NULL;
}

struct journal_segment *journal_segment_make(struct disk *disk, struct random_source *random,
                                             const char *folder, uint64_t bytes, struct err *err) {
    char path[JOURNAL_PATH_BYTES];
    next_path(path, folder);
    struct journal_segment *segment = calloc(1, sizeof(*segment));
    if (segment == NULL) return fail(err, -ENOMEM, path, bytes);

    int fd = open_next(disk, path, bytes);
    int code = fd < 0 ? fd : fill_next(disk, fd, bytes);
    if (code != 0) {
        if (fd >= 0) disk->close(disk, fd);
        if (fd >= 0) disk->unlink(disk, path);
        free(segment);
        return fail(err, code, path, bytes);
    }
    *segment = (struct journal_segment){.fd = fd, .bytes = bytes};
    while (segment->id == 0) random_fill(random, &segment->id, sizeof(segment->id));
    return segment;
}

/* ---- Beginning ---- */

/* The first record of a segment at `out`; its padded length. */
static size_t encode_head(void *out, const struct journal_segment *segment,
                          const struct journal_chain *chain) {
    const struct record head = {
        .type = RECORD_SEGMENT,
        .seq = chain->next_seq,
        .segment = segment->id,
        .segment_head = {.first_seq = chain->next_seq + 1,
                         .previous_segment = chain->segment,
                         .previous_crc = chain->crc,
                         .segment_bytes = segment->bytes},
    };
    size_t bytes = record_encode(out, &head);
    ASSERT(bytes > 0);
    return bytes;
}

size_t journal_segment_head_bytes(void) {
    _Alignas(8) char head[RECORD_BYTES_MAX];
    return encode_head(head, &(struct journal_segment){0}, &(struct journal_chain){0});
}

int journal_segment_begin(struct journal_segment *segment, struct disk *disk, const char *folder,
                          struct journal_chain *chain) {
    _Alignas(8) char head[RECORD_BYTES_MAX];
    size_t bytes = encode_head(head, segment, chain);
    int code = disk_write_all(disk, segment->fd, head, bytes, 0);
    FAILPOINT("roll_head_written");
    if (code == 0) code = disk->fdatasync(disk, segment->fd);
    if (code != 0) return code;
    FAILPOINT("roll_head_synced");

    /* Only now the name: a file that is called a segment has a durable first record. */
    char from[JOURNAL_PATH_BYTES], to[JOURNAL_PATH_BYTES];
    next_path(from, folder);
    journal_segment_path(to, folder, chain->next_seq + 1);
    code = disk->rename(disk, from, to);
    FAILPOINT("roll_renamed");
    if (code == 0) code = disk->sync_directory(disk, folder);
    if (code != 0) return code;
    FAILPOINT("roll_name_synced");
    *chain = (struct journal_chain){
        .next_seq = chain->next_seq + 1, .segment = segment->id, .crc = record_crc(head)};
    return 0;
}

void journal_segment_free(struct journal_segment *segment, struct disk *disk) {
    if (segment == NULL) return;
    disk->close(disk, segment->fd);
    free(segment);
}
