/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of the log and their bytes: the same in the journal and in Kafka.
 *
 *      0        4   5   6        8        12       16            24            32
 *      +--------+---+---+--------+--------+--------+-------------+-------------+--------- - -
 *      | magic  |ver|typ| batch  | bytes  | crc32c |     seq     |   segment   | body, padded
 *      +--------+---+---+--------+--------+--------+-------------+-------------+--------- - -
 *
 * All numbers are little-endian. `bytes` is the length of header and body without padding; the
 * next record begins at the next multiple of 8; padding bytes are zero and covered by nothing but
 * that rule. The CRC covers header (with crc32c = 0) and body. `seq` numbers the records of one log
 * from 1 without a gap. `segment` is the random id of the journal segment that the record was
 * written into (0 in Kafka), so that stale blocks never validate. `batch` is the record's place in
 * the group commit that wrote it, from 0: seq - batch is the first record of that commit, so a good
 * record proves that everything before its batch had been durable when it was written.
 *
 * Pure: no I/O, no clock, no allocation. Decoding is total: any bytes give one of three answers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"

enum {
    RECORD_HEADER_BYTES = 32,
    RECORD_VERSION = 1,
    RECORD_ALIGN = 8,
    RECORD_BYTES_MAX = 2048, /* no record, padded, is longer */

    EVENT_ID_BYTES_MAX = 64,
    USER_ID_BYTES_MAX = 64,
    CLAIM_ID_BYTES_MAX = 64,
    OPERATOR_BYTES_MAX = 64,
    REASON_BYTES_MAX = 256,
    CODE_PREFIX_BYTES_MAX = 16,
    CODE_ALPHABET_BYTES_MAX = 64,
    CODE_LENGTH_MAX = 64,
    STOCK_MAX = 1000000, /* coupons of one event */
};

/* The newest version that is read: all programs read a version before any of them writes it. */
#ifndef RECORD_VERSION_READ
#define RECORD_VERSION_READ RECORD_VERSION
#endif

/* The instant of an event that has no start or no end. */
#define TIME_MS_MIN INT64_C(0)
#define TIME_MS_MAX INT64_MAX

/* Numbers are on disk: never reuse one. */
enum record_type {
    RECORD_OPEN = 1,   /* creates an event; nothing else does */
    RECORD_FENCE = 2,  /* a new incarnation of the reservations */
    RECORD_WIN = 3,    /* a reserved serial for a user */
    RECORD_RETURN = 4, /* the holder gives the coupon back */
    RECORD_RESTOCK = 5,
    RECORD_RESCHEDULE = 6,
    RECORD_PAUSE = 7,
    RECORD_RESUME = 8,
    RECORD_CLOSE = 9,
    RECORD_MARK = 10,    /* the journal's own: everything before it is durable */
    RECORD_SEGMENT = 11, /* the journal's own: first record of a segment */
    RECORD_REDEEM = 32,  /* reserved, neither written nor read */
    RECORD_HOLD = 33,    /* reserved, neither written nor read */
};

/* How the codes of an event look: prefix, then `length` characters of `alphabet`, then one check
 * character of it. */
struct code_format {
    struct slice prefix;   /* 0 to 16 of [A-Za-z0-9-] */
    struct slice alphabet; /* 10 to 64 distinct characters of [A-Za-z0-9] (so at most 62) */
    uint8_t length;        /* characters; length * log2(alphabet.n) >= 80 bits; at most 64 */
};

/* A decoded record. Slices point into the bytes that were decoded, or, when encoding, wherever the
 * caller keeps them. */
struct record {
    enum record_type type;
    uint64_t seq;
    uint64_t segment;
    uint16_t batch;
    int64_t ms; /* the writer's latched clock, never negative; of a WIN the instant of the claim */
    struct slice event_id; /* all but MARK and SEGMENT */
    struct slice operator; /* who, where a person caused it; may be empty */
    struct slice reason;   /* why; may be empty */
    union {
        struct {
            uint32_t stock;             /* 1 to STOCK_MAX */
            int64_t starts_ms, ends_ms; /* starts < ends */
            uint64_t key_id;            /* of the secret that codes are derived under */
            struct code_format code;
        } open;
        struct {
            uint32_t gen;
            uint64_t nonce;
        } fence;
        struct {
            uint32_t gen;
            uint32_t serial;      /* from 1 */
            uint64_t reserve_seq; /* number of the reservation in its reserve, for tracing */
            struct slice user_id;
            struct slice claim_id; /* the caller's Idempotency-Key; may be empty */
        } win;
        struct {
            uint32_t serial;
            struct slice user_id;
        } give_back; /* RETURN */
        struct {
            uint32_t stock; /* the new total */
        } restock;
        struct {
            int64_t starts_ms, ends_ms;
        } reschedule;
        struct {
            uint64_t first_seq;        /* of the first record behind this one */
            uint64_t previous_segment; /* id of the segment before, 0 for the first */
            uint32_t previous_crc;     /* crc32c of the last record before this segment */
            uint64_t segment_bytes;    /* size that the file was given */
        } segment_head;                /* SEGMENT */
    };
};

enum record_status {
    RECORD_OK,
    RECORD_BAD,   /* not a record, cut short, or damaged */
    RECORD_NEWER, /* whole and undamaged, of a version or type this program does not know */
};

/* Encodes `record` at `out` (RECORD_BYTES_MAX bytes of room, 8-byte aligned) with its padding, seq,
 * segment, batch and CRC. Returns the padded length in bytes, or 0 when a field is outside its
 * rule (the same rules that decoding enforces). */
size_t record_encode(void *out, const struct record *record) MUST_CHECK;

/* Gives an encoded record its place in a log: seq, segment and batch, and a new CRC. */
void record_place(void *encoded, uint64_t seq, uint64_t segment, uint16_t batch);

/* Reads the record at the start of `bytes`; on RECORD_OK fills `*record`, on RECORD_NEWER only its
 * type, seq, segment and batch; on RECORD_BAD its contents mean nothing. On RECORD_OK and
 * RECORD_NEWER `*padded_bytes` (may be NULL) is where the next record begins. Padding must be
 * zero and inside `bytes`. */
enum record_status record_decode(struct slice bytes, struct record *record, size_t *padded_bytes);

/* A record that is a message of its own, wherever that lies: it is copied to `aligned`, which
 * `record` borrows from. RECORD_BAD also when anything is behind it. */
enum record_status record_read(char aligned[RECORD_BYTES_MAX], struct slice message,
                               struct record *record) MUST_CHECK;

/* The padded length that the header at `encoded` (from record_encode or RECORD_OK) tells. */
size_t record_padded_bytes(const void *encoded);

/* The CRC field of an encoded record. */
uint32_t record_crc(const void *encoded);

/* "open", "win", …; "unknown" for a number that is none. */
const char *record_type_name(enum record_type type);

/* The rules of ids and texts, one place for every door they come in by. */
bool event_id_is_valid(struct slice id); /* [A-Za-z0-9_-]{1,64} */
bool user_id_is_valid(struct slice id);  /* [A-Za-z0-9_][A-Za-z0-9._~:@+-]{0,63} */
bool claim_id_is_valid(struct slice id); /* 1 to 64 printable ASCII characters, no space */

/* The rule of operator and reason: UTF-8 of at most `bytes_max` bytes without control characters,
 * neither those of ASCII nor U+0080 to U+009F. */
bool record_text_is_valid(struct slice text, size_t bytes_max);
