/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal, opened: where the next commit goes, and the moves of a commit.
 *
 *     append:  [no room in this segment: sync it, begin the prepared one]
 *              place the records -> pwrite -> fdatasync -> pwrite of the MARK -> 0
 *
 * Any failure in there leaves the medium in a state that only a start can judge: the journal is
 * dead from then on, nothing is tried again.
 */
#include "log/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"
#include "log/journal_recover.h"

enum {
    BATCH_BYTES_MAX = 1024 * 1024,
    BATCH_RECORDS_MAX = 1024,
    RECORD_BYTES_MIN = RECORD_HEADER_BYTES + 8, /* every body has at least its ms */
};

struct journal {
    struct disk *disk;
    struct random_source *random;
    char *folder;
    uint64_t segment_bytes;
    struct journal_segment *current;  /* NULL when read_only */
    struct journal_segment *prepared; /* NULL when there is none yet */
    struct journal_chain chain;
    uint64_t tail;       /* where in `current` the next record goes */
    uint64_t commit_seq; /* of the first record of the coming commit: its MARK, if it has one */
    size_t head_bytes, mark_bytes;
    int dead; /* the code that every append fails with; 0 while alive */
    struct journal_summary summary;
};

/* ---- Room ---- */

/* Each batch is charged for in `bytes` as if all its records were as short as a record can be, each
 * with a MARK of its own: a batch of b bytes, which takes b + MARK, is charged at least that. */
static uint64_t less_marks(const struct journal *journal, uint64_t bytes) {
    return bytes * RECORD_BYTES_MIN / (RECORD_BYTES_MIN + journal->mark_bytes);
}

/* The first batch that does not fit into this segment, of b bytes, leaves less than b + MARK of it
 * unused, and takes b + MARK of the next one. It is charged 2 b. So what is unused is paid for but
 * for two MARKs, and it fits into the next segment with all that comes behind it. Each append of n
 * bytes lessens this by at most n. */
uint64_t journal_room_bytes(const struct journal *journal) {
    if (journal->current == NULL || journal->dead != 0) return 0;
    uint64_t left = journal->current->bytes - journal->tail;
    if (journal->prepared == NULL) return less_marks(journal, left);
    uint64_t next = journal->prepared->bytes - journal->head_bytes;
    return less_marks(journal, left + next - 2 * journal->mark_bytes);
}

static bool fits(const struct journal *journal, size_t bytes) {
    return journal->tail + bytes + journal->mark_bytes <= journal->current->bytes;
}

/* ---- Moves ---- */

static int die(struct journal *journal, int code) {
    if (code != 0) journal->dead = code;
    return code;
}

static size_t encode_mark(void *out, const struct journal *journal) {
    const struct record mark = {
        .type = RECORD_MARK, .seq = journal->chain.next_seq, .segment = journal->chain.segment};
    size_t bytes = record_encode(out, &mark);
    ASSERT(bytes > 0);
    return bytes;
}

/* The first record of the next commit, written ahead: it says that the commit before is durable. */
static int write_mark(struct journal *journal) {
    _Alignas(8) char mark[RECORD_BYTES_MAX];
    size_t bytes = encode_mark(mark, journal);
    journal->commit_seq = journal->chain.next_seq;
    int code = disk_write_all(journal->disk, journal->current->fd, mark, bytes, journal->tail);
    journal->tail += bytes;
    journal->chain.next_seq++;
    journal->chain.crc = record_crc(mark);
    return code;
}

static void enter(struct journal *journal, struct journal_segment *segment) {
    journal_segment_free(journal->current, journal->disk);
    journal->current = segment;
    journal->tail = journal->head_bytes;
    journal->commit_seq = journal->chain.next_seq;
}

/* Begins the prepared segment. The one before must be durable to its last MARK: at a start
 * everything in a segment that is not the last one has to be there. */
static int roll_over(struct journal *journal) {
    ASSERT(journal->prepared != NULL);
    int code = journal->disk->fdatasync(journal->disk, journal->current->fd);
    if (code != 0) return code;
    FAILPOINT("roll_after_sync");
    code =
        journal_segment_begin(journal->prepared, journal->disk, journal->folder, &journal->chain);
    if (code != 0) return code;
    enter(journal, journal->prepared);
    journal->prepared = NULL;
    return 0;
}

/* Gives each record its place. What is counted here is what the caller said. */
static void place(struct journal *journal, char *records, size_t bytes, size_t count) {
    char *at = records;
    for (size_t i = 0; i < count; i++) {
        ASSERT(at + RECORD_BYTES_MIN <= records + bytes);
        uint64_t seq = journal->chain.next_seq++;
        record_place(at, seq, journal->chain.segment, (uint16_t)(seq - journal->commit_seq));
        journal->chain.crc = record_crc(at);
        at += record_padded_bytes(at);
    }
    ASSERT(at == records + bytes);
}

int journal_append(struct journal *journal, void *records, size_t bytes, size_t count) {
    if (journal->dead != 0) return journal->dead;
    ASSERT(journal->current != NULL);
    ASSERT(count >= 1 && count <= BATCH_RECORDS_MAX && bytes <= BATCH_BYTES_MAX);
    ASSERT(bytes <= journal_room_bytes(journal));
    int code = fits(journal, bytes) ? 0 : roll_over(journal);
    if (code != 0) return die(journal, code);
    ASSERT(fits(journal, bytes));

    place(journal, records, bytes, count);
    struct disk *disk = journal->disk;
    int fd = journal->current->fd;
    FAILPOINT("before_write");
    code = disk_write_all(disk, fd, records, bytes, journal->tail);
    FAILPOINT("after_write_before_sync");
    if (code == 0) code = disk->fdatasync(disk, fd);
    if (code != 0) return die(journal, code);
    FAILPOINT("after_sync_before_mark");
    journal->tail += bytes;
    return die(journal, write_mark(journal));
}

/* ---- Segments ahead ---- */

bool journal_wants_segment(const struct journal *journal) {
    return journal->dead == 0 && journal->current != NULL && journal->prepared == NULL;
}

struct journal_segment *journal_segment_prepare(const struct journal *journal, struct err *err) {
    return journal_segment_make(journal->disk, journal->random, journal->folder,
                                journal->segment_bytes, err);
}

void journal_give_segment(struct journal *journal, struct journal_segment *segment) {
    ASSERT(segment != NULL && journal->prepared == NULL);
    journal->prepared = segment;
}

/* ---- Opening and closing ---- */

static struct journal *journal_new(const struct journal_options *options) {
    struct journal *journal = calloc(1, sizeof(*journal));
    char *folder = strdup(options->folder);
    if (journal == NULL || folder == NULL) {
        free(journal);
        free(folder);
        return NULL;
    }
    _Alignas(8) char mark[RECORD_BYTES_MAX];
    journal->disk = options->disk;
    journal->random = options->random;
    journal->folder = folder;
    journal->segment_bytes = options->segment_bytes;
    journal->head_bytes = journal_segment_head_bytes();
    journal->mark_bytes = encode_mark(mark, journal);
    ASSERT(journal->mark_bytes >= RECORD_BYTES_MIN); /* journal_room_bytes counts on it */
    return journal;
}

/* The first segment of a journal that has none. */
static int begin(struct journal *journal, struct err *err) {
    struct journal_segment *segment = journal_segment_prepare(journal, err);
    if (segment == NULL) return err->code;
    int code = journal_segment_begin(segment, journal->disk, journal->folder, &journal->chain);
    if (code != 0) {
        journal_segment_free(segment, journal->disk);
        return err_set(err, code, "cannot begin the journal in %s: %s", journal->folder,
                       strerror(-code));
    }
    enter(journal, segment);
    return 0;
}

/* Goes on behind what was read. Its last commit was not followed by a MARK, or the MARK was lost:
 * by now that commit is durable, so it gets one. */
static int go_on(struct journal *journal, const struct journal_recovery *found, struct err *err) {
    journal->current = found->last;
    journal->tail = found->scan.offset;
    journal->commit_seq = journal->chain.next_seq;
    enum record_type last = found->scan.last_type;
    if (last == RECORD_MARK || last == RECORD_SEGMENT || !fits(journal, 0)) return 0;
    int code = write_mark(journal);
    if (code == 0) return 0;
    return err_set(err, die(journal, code), "cannot write to the journal in %s: %s",
                   journal->folder, strerror(-code));
}

static int check_options(const struct journal_options *options, struct err *err) {
    if (strlen(options->folder) + JOURNAL_NAME_BYTES > JOURNAL_PATH_BYTES)
        return err_set(err, -ENAMETOOLONG, "the name of the data folder is too long");
    if (!options->read_only && !journal_segment_bytes_is_valid(options->segment_bytes))
        return err_set(err, -EINVAL,
                       "the size of a journal segment must be a multiple of 4096 "
                       "from 64 KiB to 1 GiB, not %llu bytes",
                       (unsigned long long)options->segment_bytes);
    return 0;
}

static int open_found(struct journal *journal, const struct journal_options *options,
                      const struct journal_reader *reader, struct err *err) {
    struct journal_recovery found;
    int code = journal_recover(&found, options, reader, err);
    if (code != 0) return code;
    journal->chain = found.scan.chain;
    journal->summary = found.summary;
    if (found.summary.segments > 0) return options->read_only ? 0 : go_on(journal, &found, err);
    if (options->read_only)
        return err_set(err, -ENOENT, "there is no journal in %s", options->folder);
    return begin(journal, err);
}

int journal_open(struct journal **journal, const struct journal_options *options,
                 int (*on_record)(void *ctx, const struct record *record, struct slice encoded),
                 void *ctx, struct err *err) {
    *journal = NULL;
    *err = (struct err){0};
    int code = check_options(options, err);
    if (code != 0) return code;
    struct journal *opened = journal_new(options);
    if (opened == NULL) return err_set(err, -ENOMEM, "no memory for the journal");

    const struct journal_reader reader = {.on_record = on_record, .ctx = ctx};
    code = open_found(opened, options, &reader, err);
    if (code != 0) {
        journal_close(opened);
        return code;
    }
    *journal = opened;
    return 0;
}

void journal_close(struct journal *journal) {
    if (journal == NULL) return;
    /* The last MARK has no commit behind it to sync it. Nothing depends on its being there. */
    if (journal->current != NULL && journal->dead == 0)
        (void)journal->disk->fdatasync(journal->disk, journal->current->fd);
    journal_segment_free(journal->prepared, journal->disk);
    journal_segment_free(journal->current, journal->disk);
    free(journal->folder);
    free(journal);
}

uint64_t journal_next_seq(const struct journal *journal) {
    return journal->chain.next_seq;
}

void journal_get_summary(const struct journal *journal, struct journal_summary *summary) {
    *summary = journal->summary;
}
