/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec of the log's records: one description of each body, walked to write it and walked to
 * read it, and one set of rules that both directions obey. So whatever decodes also encodes, to the
 * same bytes.
 *
 * Bodies, little-endian, without gaps. A text is u16 length and that many bytes. Every body begins
 * with ms i64; then come the numbers of its type, then the texts:
 *
 *     OPEN        ms | stock u32 | starts i64 | ends i64 | key_id u64 | length u8
 *                    | event | operator | reason | prefix | alphabet
 *     FENCE       ms | gen u32 | nonce u64 | event | operator | reason
 *     WIN         ms | gen u32 | serial u32 | reserve_seq u64
 *                    | event | operator | reason | user | claim
 *     RETURN      ms | serial u32 | event | operator | reason | user
 *     RESTOCK     ms | stock u32 | event | operator | reason
 *     RESCHEDULE  ms | starts i64 | ends i64 | event | operator | reason
 *     PAUSE, RESUME, CLOSE
 *                 ms | event | operator | reason
 *     MARK        ms
 *     SEGMENT     ms | first_seq u64 | previous_segment u64 | previous_crc u32 | segment_bytes u64
 */
#include "log/record.h"

#include <endian.h>
#include <string.h>

#include "lib/crc32c.h"

static const unsigned char MAGIC[4] = {'C', 'P', 'N', 'L'};

/* As it is in memory and in the log: numbers little-endian. */
struct header {
    unsigned char magic[4];
    uint8_t version;
    uint8_t type;
    uint16_t batch;
    uint32_t bytes;
    uint32_t crc;
    uint64_t seq;
    uint64_t segment;
};
static_assert(sizeof(struct header) == RECORD_HEADER_BYTES, "the header is as record.h draws it");
static_assert(offsetof(struct header, seq) == 16, "the header has no gaps");

static bool type_is_known(uint8_t type) {
    return type >= RECORD_OPEN && type <= RECORD_SEGMENT;
}

static bool type_has_event(enum record_type type) {
    return type != RECORD_MARK && type != RECORD_SEGMENT;
}

const char *record_type_name(enum record_type type) {
    static const char *const names[] = {
        [RECORD_OPEN] = "open",       [RECORD_FENCE] = "fence",
        [RECORD_WIN] = "win",         [RECORD_RETURN] = "return",
        [RECORD_RESTOCK] = "restock", [RECORD_RESCHEDULE] = "reschedule",
        [RECORD_PAUSE] = "pause",     [RECORD_RESUME] = "resume",
        [RECORD_CLOSE] = "close",     [RECORD_MARK] = "mark",
        [RECORD_SEGMENT] = "segment", [RECORD_REDEEM] = "redeem",
        [RECORD_HOLD] = "hold",
    };
    bool is_named = (size_t)type < ARRAY_LEN(names) && names[type] != NULL;
    return is_named ? names[type] : "unknown";
}

/* ---- Rules ---- */

/* What a character may be part of: one look-up for each, on the losing path. */
enum { OF_EVENT_ID = 1, OF_USER_ID = 2, OF_PREFIX = 4, OF_ALPHABET = 8 };

#define OF_ALL (OF_EVENT_ID | OF_USER_ID | OF_PREFIX | OF_ALPHABET)

static const unsigned char character_class[256] = {
    ['0' ... '9'] = OF_ALL,
    ['A' ... 'Z'] = OF_ALL,
    ['a' ... 'z'] = OF_ALL,
    ['_'] = OF_EVENT_ID | OF_USER_ID,
    ['-'] = OF_EVENT_ID | OF_USER_ID | OF_PREFIX,
    ['.'] = OF_USER_ID,
    ['~'] = OF_USER_ID,
    [':'] = OF_USER_ID,
    ['@'] = OF_USER_ID,
    ['+'] = OF_USER_ID,
};

static bool all_of(struct slice text, unsigned char class) {
    unsigned char common = 0xff;
    for (size_t i = 0; i < text.n; i++) common &= character_class[(unsigned char)text.p[i]];
    return (common & class) != 0;
}

bool event_id_is_valid(struct slice id) {
    return id.n >= 1 && id.n <= EVENT_ID_BYTES_MAX && all_of(id, OF_EVENT_ID);
}

/* The first character is one of [A-Za-z0-9_]: what both kinds of id share, without the hyphen. */
bool user_id_is_valid(struct slice id) {
    return id.n >= 1 && id.n <= USER_ID_BYTES_MAX && all_of(id, OF_USER_ID) &&
           all_of(slice_of(id.p, 1), OF_EVENT_ID) && id.p[0] != '-';
}

bool claim_id_is_valid(struct slice id) {
    if (id.n < 1 || id.n > CLAIM_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] <= ' ' || id.p[i] > '~') return false;
    }
    return true;
}

/* The bytes of the well-formed UTF-8 character (RFC 3629) at `p`, of at most `n` bytes; 0 when it
 * is none, or a control character. */
static size_t character_bytes(const unsigned char *p, size_t n) {
    /* The least code point of each length; for two bytes the first behind the C1 controls. */
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};

    if (p[0] < 0x80) return p[0] >= ' ' && p[0] != 0x7f;
    if (p[0] < 0xc0 || p[0] > 0xf4) return 0;
    size_t bytes = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (bytes > n) return 0;
    uint32_t point = p[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        point = point << 6 | (p[i] & 0x3fu);
    }
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[bytes] || point > 0x10ffff || is_surrogate ? 0 : bytes;
}

bool record_text_is_valid(struct slice text, size_t bytes_max) {
    if (text.n > bytes_max) return false;
    const unsigned char *p = (const unsigned char *)text.p;
    for (size_t i = 0, bytes; i < text.n; i += bytes) {
        bytes = character_bytes(p + i, text.n - i);
        if (bytes == 0) return false;
    }
    return true;
}

static bool is_distinct(struct slice text) {
    bool seen[256] = {false};
    for (size_t i = 0; i < text.n; i++) {
        bool *this = &seen[(unsigned char)text.p[i]];
        if (*this) return false;
        *this = true;
    }
    return true;
}

/* letters ^ length >= 2 ^ 80 */
static bool has_80_bits(size_t letters, size_t length) {
    unsigned __int128 codes = 1;
    for (size_t i = 0; i < length; i++) {
        codes *= letters;
        if (codes >> 80 != 0) return true;
    }
    return false;
}

static bool code_format_is_valid(const struct code_format *code) {
    return code->prefix.n <= CODE_PREFIX_BYTES_MAX && all_of(code->prefix, OF_PREFIX) &&
           code->alphabet.n >= 10 && code->alphabet.n <= CODE_ALPHABET_BYTES_MAX &&
           all_of(code->alphabet, OF_ALPHABET) && is_distinct(code->alphabet) &&
           code->length <= CODE_LENGTH_MAX && has_80_bits(code->alphabet.n, code->length);
}

static bool count_is_valid(uint32_t count) {
    return count >= 1 && count <= STOCK_MAX;
}

static bool times_are_valid(int64_t starts_ms, int64_t ends_ms) {
    return starts_ms >= TIME_MS_MIN && starts_ms < ends_ms;
}

static bool own_fields_are_valid(const struct record *record) {
    switch (record->type) {
    case RECORD_OPEN:
        return count_is_valid(record->open.stock) &&
               times_are_valid(record->open.starts_ms, record->open.ends_ms) &&
               code_format_is_valid(&record->open.code);
    case RECORD_FENCE:
        return record->fence.gen >= 1;
    case RECORD_WIN:
        return record->win.gen >= 1 && count_is_valid(record->win.serial) &&
               user_id_is_valid(record->win.user_id) &&
               (record->win.claim_id.n == 0 || claim_id_is_valid(record->win.claim_id));
    case RECORD_RETURN:
        return count_is_valid(record->give_back.serial) &&
               user_id_is_valid(record->give_back.user_id);
    case RECORD_RESTOCK:
        return count_is_valid(record->restock.stock);
    case RECORD_RESCHEDULE:
        return times_are_valid(record->reschedule.starts_ms, record->reschedule.ends_ms);
    case RECORD_PAUSE:
    case RECORD_RESUME:
    case RECORD_CLOSE:
    case RECORD_MARK:
    case RECORD_SEGMENT:
        return true;
    case RECORD_REDEEM:
    case RECORD_HOLD:
        break;
    }
    return false;
}

static bool is_valid(const struct record *record) {
    if (record->ms < TIME_MS_MIN) return false;
    if (!own_fields_are_valid(record)) return false;
    if (!type_has_event(record->type))
        return record->event_id.n == 0 && record->operator.n == 0 && record->reason.n == 0;
    return event_id_is_valid(record->event_id) &&
           record_text_is_valid(record->operator, OPERATOR_BYTES_MAX) &&
           record_text_is_valid(record->reason, REASON_BYTES_MAX);
}

/* ---- Bodies ---- */

/* A walk over a body: it copies fields out to `to`, or in from `from`; the other one is NULL. A
 * read past `end` fails the walk and leaves the field alone. */
struct walk {
    unsigned char *to;
    const unsigned char *from;
    size_t at, end;
    bool failed;
};

static bool walk_has(struct walk *walk, size_t bytes) {
    if (walk->end - walk->at < bytes) walk->failed = true;
    return !walk->failed;
}

static void walk_raw(struct walk *walk, void *field, size_t bytes) {
    if (!walk_has(walk, bytes)) return;
    if (walk->to != NULL)
        memcpy(walk->to + walk->at, field, bytes);
    else
        memcpy(field, walk->from + walk->at, bytes);
    walk->at += bytes;
}

static void walk_u8(struct walk *walk, uint8_t *number) {
    walk_raw(walk, number, 1);
}

static void walk_u16(struct walk *walk, uint16_t *number) {
    uint16_t little = htole16(*number);
    walk_raw(walk, &little, sizeof(little));
    *number = le16toh(little);
}

static void walk_u32(struct walk *walk, uint32_t *number) {
    uint32_t little = htole32(*number);
    walk_raw(walk, &little, sizeof(little));
    *number = le32toh(little);
}

static void walk_u64(struct walk *walk, uint64_t *number) {
    uint64_t little = htole64(*number);
    walk_raw(walk, &little, sizeof(little));
    *number = le64toh(little);
}

static void walk_i64(struct walk *walk, int64_t *number) {
    uint64_t bits = (uint64_t)*number;
    walk_u64(walk, &bits);
    *number = (int64_t)bits;
}

static void walk_text(struct walk *walk, struct slice *text) {
    uint16_t bytes = (uint16_t)text->n;
    walk_u16(walk, &bytes);
    if (!walk_has(walk, bytes)) return;
    if (walk->from != NULL)
        *text = slice_of(walk->from + walk->at, bytes);
    else if (bytes > 0)
        memcpy(walk->to + walk->at, text->p, bytes);
    walk->at += bytes;
}

static void walk_numbers(struct walk *walk, struct record *record) {
    walk_i64(walk, &record->ms);
    switch (record->type) {
    case RECORD_OPEN:
        walk_u32(walk, &record->open.stock);
        walk_i64(walk, &record->open.starts_ms);
        walk_i64(walk, &record->open.ends_ms);
        walk_u64(walk, &record->open.key_id);
        walk_u8(walk, &record->open.code.length);
        break;
    case RECORD_FENCE:
        walk_u32(walk, &record->fence.gen);
        walk_u64(walk, &record->fence.nonce);
        break;
    case RECORD_WIN:
        walk_u32(walk, &record->win.gen);
        walk_u32(walk, &record->win.serial);
        walk_u64(walk, &record->win.reserve_seq);
        break;
    case RECORD_RETURN:
        walk_u32(walk, &record->give_back.serial);
        break;
    case RECORD_RESTOCK:
        walk_u32(walk, &record->restock.stock);
        break;
    case RECORD_RESCHEDULE:
        walk_i64(walk, &record->reschedule.starts_ms);
        walk_i64(walk, &record->reschedule.ends_ms);
        break;
    case RECORD_SEGMENT:
        walk_u64(walk, &record->segment_head.first_seq);
        walk_u64(walk, &record->segment_head.previous_segment);
        walk_u32(walk, &record->segment_head.previous_crc);
        walk_u64(walk, &record->segment_head.segment_bytes);
        break;
    default:
        break;
    }
}

static void walk_texts(struct walk *walk, struct record *record) {
    if (!type_has_event(record->type)) return;
    walk_text(walk, &record->event_id);
    walk_text(walk, &record->operator);
    walk_text(walk, &record->reason);
    switch (record->type) {
    case RECORD_OPEN:
        walk_text(walk, &record->open.code.prefix);
        walk_text(walk, &record->open.code.alphabet);
        break;
    case RECORD_WIN:
        walk_text(walk, &record->win.user_id);
        walk_text(walk, &record->win.claim_id);
        break;
    case RECORD_RETURN:
        walk_text(walk, &record->give_back.user_id);
        break;
    default:
        break;
    }
}

/* ---- Whole records ---- */

static struct header header_of(const void *encoded) {
    struct header header;
    memcpy(&header, encoded, sizeof(header));
    return header;
}

/* The CRC that belongs to this header over these bytes. */
static uint32_t crc_of(struct header header, const unsigned char *encoded) {
    header.crc = 0;
    uint32_t crc = crc32c(0, &header, sizeof(header));
    return crc32c(crc, encoded + sizeof(header), le32toh(header.bytes) - sizeof(header));
}

size_t record_encode(void *out, const struct record *record) {
    if (!is_valid(record)) return 0;
    struct record copy = *record; /* the walk could write into what it is given */
    struct walk walk = {.to = out, .at = RECORD_HEADER_BYTES, .end = RECORD_BYTES_MAX};
    walk_numbers(&walk, &copy);
    walk_texts(&walk, &copy);
    ASSERT(!walk.failed); /* the rules leave no record longer than RECORD_BYTES_MAX */

    struct header header = {.version = RECORD_VERSION,
                            .type = (uint8_t)record->type,
                            .bytes = htole32((uint32_t)walk.at)};
    memcpy(header.magic, MAGIC, sizeof(MAGIC));
    memcpy(out, &header, sizeof(header));
    size_t padded = round_up(walk.at, RECORD_ALIGN);
    memset(walk.to + walk.at, 0, padded - walk.at);
    record_place(out, record->seq, record->segment, record->batch);
    return padded;
}

void record_place(void *encoded, uint64_t seq, uint64_t segment, uint16_t batch) {
    struct header header = header_of(encoded);
    header.seq = htole64(seq);
    header.segment = htole64(segment);
    header.batch = htole16(batch);
    header.crc = htole32(crc_of(header, encoded));
    memcpy(encoded, &header, sizeof(header));
}

static bool is_zero(const char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (p[i] != 0) return false;
    }
    return true;
}

/* Whole and undamaged, of whatever version and type. */
static bool is_sound(struct slice bytes, struct header header) {
    size_t length = le32toh(header.bytes);
    size_t padded = round_up(length, RECORD_ALIGN);
    return memcmp(header.magic, MAGIC, sizeof(MAGIC)) == 0 && header.version != 0 &&
           length >= RECORD_HEADER_BYTES && padded <= RECORD_BYTES_MAX && padded <= bytes.n &&
           is_zero(bytes.p + length, padded - length) &&
           le32toh(header.crc) == crc_of(header, (const unsigned char *)bytes.p);
}

enum record_status record_decode(struct slice bytes, struct record *record, size_t *padded_bytes) {
    if (bytes.n < RECORD_HEADER_BYTES) return RECORD_BAD;
    struct header header = header_of(bytes.p);
    if (!is_sound(bytes, header)) return RECORD_BAD;

    size_t length = le32toh(header.bytes);
    if (padded_bytes != NULL) *padded_bytes = round_up(length, RECORD_ALIGN);
    *record = (struct record){.type = header.type,
                              .seq = le64toh(header.seq),
                              .segment = le64toh(header.segment),
                              .batch = le16toh(header.batch)};
    if (header.version > RECORD_VERSION_READ || !type_is_known(header.type)) return RECORD_NEWER;

    struct walk walk = {
        .from = (const unsigned char *)bytes.p, .at = RECORD_HEADER_BYTES, .end = length};
    walk_numbers(&walk, record);
    walk_texts(&walk, record);
    bool is_good = !walk.failed && walk.at == length && is_valid(record);
    return is_good ? RECORD_OK : RECORD_BAD;
}

enum record_status record_read(char aligned[RECORD_BYTES_MAX], struct slice message,
                               struct record *record) {
    size_t bytes = 0;
    if (message.n == 0 || message.n > RECORD_BYTES_MAX) return RECORD_BAD;
    memcpy(aligned, message.p, message.n);
    enum record_status status = record_decode(slice_of(aligned, message.n), record, &bytes);
    return status == RECORD_OK && bytes != message.n ? RECORD_BAD : status;
}

size_t record_padded_bytes(const void *encoded) {
    return round_up(le32toh(header_of(encoded).bytes), RECORD_ALIGN);
}

uint32_t record_crc(const void *encoded) {
    return le32toh(header_of(encoded).crc);
}
