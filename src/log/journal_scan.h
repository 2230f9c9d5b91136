/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the bytes of one segment, verifies every record, and judges where they end. Pure: no I/O.
 *
 *     offset 0                             commit              offset
 *     +---------+----------------+------+--+------+------------+- - - - - - - - - - - -+
 *     | SEGMENT | commit 1       | MARK commit 2  | MARK  ...  | zeros, torn, damage?  |
 *     +---------+----------------+------+---------+------------+- - - - - - - - - - - -+
 *
 * A commit is the MARK behind the one before it and then its records: `batch` counts from the MARK.
 * It is only written once the commit before it is durable. So a good record of a commit that begins
 * behind a bad position proves that position to have been durable: that is damage. Without such a
 * record the bad position belongs to the last commit, which may never have been synced: a torn
 * write, of which any part may be missing while later parts are there.
 */
#pragma once

#include <stdint.h>

#include "lib/slice.h"
#include "log/journal_segment.h"
#include "log/record.h"

struct journal_scan {
    struct journal_chain chain;
    uint64_t offset; /* where the next record is expected */
    uint64_t commit; /* where the last commit begins: what is before it is proven durable */
    enum record_type last_type;
    uint64_t records, records_bytes; /* without MARK and SEGMENT; over all segments */
    uint64_t first_seq, last_seq;    /* of those; 0 when none */
    int code;                        /* what on_record returned */
};

enum journal_finding {
    JOURNAL_CLEAN,   /* zeros up to the end */
    JOURNAL_TORN,    /* something that need not have been durable */
    JOURNAL_DAMAGED, /* something that had been durable is not there */
    JOURNAL_NEWER,   /* a record of a version or type that this program does not know */
    JOURNAL_STOPPED, /* on_record said so */
};

struct journal_reader {
    int (*on_record)(void *ctx, const struct record *record, struct slice encoded);
    void *ctx;
};

/* Reads the first record of a segment. RECORD_BAD when there is none. Fills `*head`. */
enum record_status journal_scan_head(struct slice bytes, struct record *head);

/* Whether a segment that begins with `head` belongs behind what was read so far. */
bool journal_scan_fits(const struct journal_scan *scan, const struct record *head);

/* Goes to the first record behind `head`, which fits and whose encoded form is at `encoded`. */
void journal_scan_enter(struct journal_scan *scan, const struct record *head, const void *encoded);

/* Reads on from scan->offset in `segment`, all bytes of a segment, and stops where the records end.
 * May be called again after more was read into `segment`. */
enum journal_finding journal_scan_records(struct journal_scan *scan, struct slice segment,
                                          const struct journal_reader *reader);

/* Where the zeros begin that reach to the end of `segment`; not before `offset`. */
uint64_t journal_scan_zeros(struct slice segment, uint64_t offset);
