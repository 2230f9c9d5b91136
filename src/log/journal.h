/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: the log of the embedded mode, as files of one folder. Append-only segments, written
 * ahead with zeros so that a commit changes no metadata and a full disk cannot meet a winner; one
 * write and one fdatasync for all records of a batch.
 *
 *     DIR/lock                        held by the one process that may write
 *     DIR/journal-<first seq>.log     segments, 16 digits, in order; the last one is being written
 *     DIR/journal.next                the next segment, zeros, being or already prepared
 *
 * Ensures, when journal_append has returned 0: the batch survives kill -9 and power loss. When it
 * has failed: the journal is dead until the process starts again and reads back what is there.
 * Behind each commit a MARK record is written without a sync of its own: where it survives, it
 * shows that damage to what is before it is damage and not a torn write.
 *
 * At start: every record is verified (CRC, sequence, chain of segments). A bad record that no later
 * commit proves durable is a torn tail: cut (zeroed, synced) with a log line. Any other refuses.
 *
 * This part has no thread and no clock: see journal_thread.h for the running server's use of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/disk.h"
#include "lib/err.h"
#include "lib/random.h"
#include "lib/slice.h"
#include "log/record.h"

struct journal;
struct journal_segment; /* one file, prepared or in use */

struct journal_options {
    const char *folder; /* must exist */
    uint64_t segment_bytes; /* size of a new segment, at least 64 KiB, a multiple of 4096 */
    struct disk *disk;
    struct random_source *random;
    bool read_only; /* for `log check` and `log dump`: repairs nothing, needs no lock, tolerates a
                       writer */
};

/* Opens the journal in options->folder (makes the first segment where there is none), calls
 * `on_record` for every record of it in order (never MARK or SEGMENT; `encoded` is the record's own
 * bytes, `record` the decoded form, both valid during the call; returning other than 0 ends the
 * opening with that code), and cuts a torn tail. On failure `err` names the file, the offset and
 * the tool that shows more, and *journal is NULL. */
int journal_open(struct journal **journal, const struct journal_options *options,
                 int (*on_record)(void *ctx, const struct record *record, struct slice encoded),
                 void *ctx, struct err *err) MUST_CHECK;
void journal_close(struct journal *journal);

/* Writes `count` encoded records of `bytes` bytes in all behind the last one: places each (seq,
 * segment, batch), one pwrite, one fdatasync, then the MARK. The bytes are changed in place and are
 * afterwards what the journal holds. Moves on to the prepared segment when the batch does not fit
 * into this one; `bytes` is at most journal_room_bytes. 0, or a negative errno after which the
 * journal is dead (every later call fails with the same). At most 1,024 records and 1 MiB. */
int journal_append(struct journal *journal, void *records, size_t bytes, size_t count) MUST_CHECK;

/* The seq the next record will get; 1 in an empty journal. MARK and SEGMENT records take one too: a
 * batch that moves on to a new segment gets one more. */
uint64_t journal_next_seq(const struct journal *journal);

/* Bytes of records that will surely fit, in whatever batches: any sequence of them whose bytes come
 * to this much. About half of what is left of this segment and the prepared one: the other half is
 * for MARKs, of which single short records bring the most, and for what a roll-over may waste. */
uint64_t journal_room_bytes(const struct journal *journal);

/* True when a prepared segment is wanted and not there yet. */
bool journal_wants_segment(const struct journal *journal);

/* Makes the file of the next segment: allocates, writes zeros, syncs. Touches nothing that
 * journal_append touches, so another thread may do it meanwhile. NULL and err on failure (disk full:
 * the half-made file is removed). */
struct journal_segment *journal_segment_prepare(const struct journal *journal, struct err *err);

/* Hands over what journal_segment_prepare made. From the thread that appends. */
void journal_give_segment(struct journal *journal, struct journal_segment *segment);

/* What a read of the whole folder found, for `coupond log check`. */
struct journal_summary {
    uint64_t segments, records, bytes; /* records without MARK and SEGMENT */
    uint64_t first_seq, last_seq;      /* 0 when empty */
    uint64_t torn_bytes;               /* behind the last good record */
    uint64_t last_segment, end_offset; /* first seq of the last file by its name, and where its
                                          records end */
};
void journal_get_summary(const struct journal *journal, struct journal_summary *summary);
