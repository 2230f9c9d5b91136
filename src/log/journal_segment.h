/* SPDX-License-Identifier: Apache-2.0
 *
 * One file of the journal: its name, how it is made ahead of its use, how it begins. Used by the
 * parts of the journal; everybody else sees journal.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/disk.h"
#include "lib/err.h"
#include "lib/random.h"
#include "log/record.h"

enum {
    JOURNAL_SEGMENT_BYTES_MIN = 64 * 1024,
    JOURNAL_SEGMENT_BYTES_MAX = 1024 * 1024 * 1024, /* a segment is read whole into memory */
    JOURNAL_PATH_BYTES = 4096,
    JOURNAL_NAME_BYTES = 32, /* room for "/journal-<16 digits>.log" and its NUL */
};

struct journal_segment {
    int fd; /* open for reading and writing */
    uint64_t id;
    uint64_t bytes;
};

/* What the next record must fit to. Zero before the first record of all. */
struct journal_chain {
    uint64_t next_seq;
    uint64_t segment; /* id of the last segment */
    uint32_t crc;     /* of the last record */
};

/* Whether `bytes` may be the size of a segment. */
bool journal_segment_bytes_is_valid(uint64_t bytes);

/* "FOLDER/journal-<first_seq>.log". The folder's name must leave JOURNAL_NAME_BYTES of room. */
void journal_segment_path(char path[JOURNAL_PATH_BYTES], const char *folder, uint64_t first_seq);

/* Reads the first seq out of the name of a segment; false when it is the name of something else. */
bool journal_segment_name_read(const char *name, uint64_t *first_seq);

/* Makes FOLDER/journal.next: `bytes` of zeros, synced, with a new random id. One that is already
 * there, from a run before, is used again for the space it holds. On failure NULL, err, and no
 * journal.next. */
struct journal_segment *journal_segment_make(struct disk *disk, struct random_source *random,
                                             const char *folder, uint64_t bytes, struct err *err);

/* Turns journal.next into the next segment of the journal: its first record, synced, then its
 * name, then the directory. Takes one seq; `chain` is moved on to it. 0 or a negative errno. */
int journal_segment_begin(struct journal_segment *segment, struct disk *disk, const char *folder,
                          struct journal_chain *chain) MUST_CHECK;

/* The padded length of the record that journal_segment_begin writes. */
size_t journal_segment_head_bytes(void);

/* Closes the file (errors of close say nothing about synced data). NULL is allowed. */
void journal_segment_free(struct journal_segment *segment, struct disk *disk);

/* Writes zeros from `offset` up to `end`. 0 or a negative errno. */
int journal_write_zeros(struct disk *disk, int fd, uint64_t offset, uint64_t end) MUST_CHECK;
