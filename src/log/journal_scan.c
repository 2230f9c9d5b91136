/* SPDX-License-Identifier: Apache-2.0
 *
 * The judgement on the bytes of a segment: this far they are the journal, and what follows is
 * nothing, a torn write, or damage.
 */
#include "log/journal_scan.h"

#include <endian.h>
#include <string.h>

enum {
    SEGMENT_FIELD_OFFSET = 24, /* of record.h's drawing */
    ZEROS_STEP_BYTES = 64,
};

enum record_status journal_scan_head(struct slice bytes, struct record *head) {
    enum record_status status = record_decode(bytes, head, NULL);
    if (status != RECORD_OK) return status;
    bool is_head = head->type == RECORD_SEGMENT && head->batch == 0 && head->segment != 0 &&
                   head->segment_head.first_seq == head->seq + 1 &&
                   journal_segment_bytes_is_valid(head->segment_head.segment_bytes);
    return is_head ? RECORD_OK : RECORD_BAD;
}

bool journal_scan_fits(const struct journal_scan *scan, const struct record *head) {
    return head->seq == scan->chain.next_seq &&
           head->segment_head.previous_segment == scan->chain.segment &&
           head->segment_head.previous_crc == scan->chain.crc;
}

void journal_scan_enter(struct journal_scan *scan, const struct record *head, const void *encoded) {
    scan->chain.next_seq = head->seq + 1;
    scan->chain.segment = head->segment;
    scan->chain.crc = record_crc(encoded);
    scan->offset = scan->commit = record_padded_bytes(encoded);
    scan->last_type = RECORD_SEGMENT;
}

static struct slice from_offset(struct slice segment, uint64_t offset) {
    return slice_of(segment.p + offset, segment.n - (size_t)offset);
}

/* A step that compilers turn into a few wide ones: most of a segment is zeros. */
static bool is_zero(const char block[static ZEROS_STEP_BYTES]) {
    uint64_t words[ZEROS_STEP_BYTES / sizeof(uint64_t)], any = 0;
    memcpy(words, block, sizeof(words));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) any |= words[i];
    return any == 0;
}

uint64_t journal_scan_zeros(struct slice segment, uint64_t offset) {
    size_t end = segment.n;
    while (end >= offset + ZEROS_STEP_BYTES && is_zero(segment.p + end - ZEROS_STEP_BYTES))
        end -= ZEROS_STEP_BYTES;
    while (end > offset && segment.p[end - 1] == 0) end--;
    return end;
}

/* Whether `bytes` could begin with a record of this segment: the look that is cheap enough for
 * every eighth byte of a segment. */
static bool has_segment_id(struct slice bytes, uint64_t segment) {
    uint64_t word;
    memcpy(&word, bytes.p + SEGMENT_FIELD_OFFSET, sizeof(word));
    return le64toh(word) == segment;
}

/* What the bytes from the bad position up to `end` say about it. */
static enum journal_finding judge_rest(const struct journal_scan *scan, struct slice segment,
                                       uint64_t end) {
    enum journal_finding finding = JOURNAL_TORN;
    for (uint64_t at = scan->offset; at < end && at + RECORD_HEADER_BYTES <= segment.n;
         at += RECORD_ALIGN) {
        struct slice bytes = from_offset(segment, at);
        struct record record;
        if (!has_segment_id(bytes, scan->chain.segment)) continue;
        enum record_status status = record_decode(bytes, &record, NULL);
        if (status == RECORD_NEWER) return JOURNAL_NEWER;
        bool is_later = status == RECORD_OK && record.seq >= record.batch &&
                        record.seq - record.batch > scan->chain.next_seq;
        if (is_later) finding = JOURNAL_DAMAGED;
    }
    return finding;
}

/* Whether the record is the next one of this segment. */
static bool is_next(const struct journal_scan *scan, const struct record *record) {
    return record->segment == scan->chain.segment && record->seq == scan->chain.next_seq &&
           record->type != RECORD_SEGMENT;
}

static void move_on(struct journal_scan *scan, const struct record *record, struct slice encoded) {
    if (record->batch == 0) scan->commit = scan->offset;
    scan->offset += encoded.n;
    scan->chain.next_seq++;
    scan->chain.crc = record_crc(encoded.p);
    scan->last_type = record->type;
    if (record->type == RECORD_MARK) return;
    scan->records++;
    scan->records_bytes += encoded.n;
    if (scan->first_seq == 0) scan->first_seq = record->seq;
    scan->last_seq = record->seq;
}

enum journal_finding journal_scan_records(struct journal_scan *scan, struct slice segment,
                                          const struct journal_reader *reader) {
    for (;;) {
        struct slice rest = from_offset(segment, scan->offset);
        struct record record;
        size_t bytes;
        enum record_status status = record_decode(rest, &record, &bytes);
        if (status != RECORD_OK || !is_next(scan, &record)) break;
        struct slice encoded = slice_of(rest.p, bytes);
        if (record.type != RECORD_MARK)
            scan->code = reader->on_record(reader->ctx, &record, encoded);
        if (scan->code != 0) return JOURNAL_STOPPED;
        move_on(scan, &record, encoded);
    }
    uint64_t end = journal_scan_zeros(segment, scan->offset);
    return end == scan->offset ? JOURNAL_CLEAN : judge_rest(scan, segment, end);
}
