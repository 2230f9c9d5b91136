/* SPDX-License-Identifier: Apache-2.0
 *
 * The record codec: its bytes are those of the drawing, what decodes also encodes to the same
 * bytes, every rule is enforced in both directions, and no damage is ever taken for a record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "log/record.h"
#include "sim/random_sim.h"

enum {
    AT_VERSION = 4,
    AT_TYPE = 5,
    AT_BYTES = 8,
    AT_BODY = RECORD_HEADER_BYTES,
    FORGERIES = 200000,
};

struct encoded {
    _Alignas(8) char bytes[2 * RECORD_BYTES_MAX]; /* room for records that are too long */
    size_t n;
};

#define BASE32 SLICE("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
#define EVENT .event_id = SLICE("sample_event")
#define PERSON .operator= SLICE("admin"), .reason = SLICE("because \xed\x95\x9c\xea\xb5\xad")

static const struct record samples[] = {
    {.type = RECORD_OPEN,
     .seq = 1,
     .ms = 1,
     EVENT,
     PERSON,
     .open = {.stock = 1000,
              .starts_ms = 0,
              .ends_ms = TIME_MS_MAX,
              .key_id = UINT64_MAX,
              .code = {.prefix = SLICE("SALE-26-"), .alphabet = BASE32, .length = 16}}},
    {.type = RECORD_OPEN,
     .ms = TIME_MS_MAX,
     .event_id = SLICE("A"),
     .open = {.stock = 1,
              .starts_ms = 5,
              .ends_ms = 6,
              .code = {.alphabet = SLICE("0123456789"), .length = CODE_LENGTH_MAX}}},
    {.type = RECORD_FENCE, .seq = 3, .ms = 2, EVENT, .fence = {.gen = 2, .nonce = 77}},
    {.type = RECORD_WIN,
     .seq = 4,
     .batch = UINT16_MAX,
     .ms = 3,
     EVENT,
     .win = {.gen = 1,
             .serial = 17,
             .reserve_seq = 9,
             .user_id = SLICE("user-000001"),
             .claim_id = SLICE("a0b1-!~")}},
    {.type = RECORD_WIN,
     .seq = UINT64_MAX,
     .segment = UINT64_MAX,
     .ms = 3,
     EVENT,
     .win = {.gen = UINT32_MAX, .serial = STOCK_MAX, .user_id = SLICE("_")}},
    {.type = RECORD_RETURN,
     .seq = 5,
     .ms = 4,
     EVENT,
     PERSON,
     .give_back = {.serial = 17, .user_id = SLICE("u.v~w:x@y+z-")}},
    {.type = RECORD_RESTOCK, .seq = 6, .ms = 5, EVENT, PERSON, .restock = {.stock = STOCK_MAX}},
    {.type = RECORD_RESCHEDULE,
     .seq = 7,
     .ms = 6,
     EVENT,
     PERSON,
     .reschedule = {.starts_ms = 10, .ends_ms = 11}},
    {.type = RECORD_PAUSE, .seq = 8, .ms = 7, EVENT, PERSON},
    {.type = RECORD_RESUME, .seq = 9, .ms = 8, EVENT, .reason = SLICE("again")},
    {.type = RECORD_CLOSE, .seq = 10, .ms = 9, EVENT},
    {.type = RECORD_MARK, .seq = 11, .segment = 3, .ms = 10},
    {.type = RECORD_SEGMENT,
     .seq = 12,
     .segment = 4,
     .ms = 0,
     .segment_head = {.first_seq = 13,
                      .previous_segment = 3,
                      .previous_crc = 0xdeadbeef,
                      .segment_bytes = 64 << 20}},
};

static void encode(struct encoded *encoded, const struct record *record) {
    memset(encoded->bytes, 0xee, sizeof(encoded->bytes)); /* padding must be written */
    encoded->n = record_encode(encoded->bytes, record);
}

static struct slice slice(const struct encoded *encoded) {
    return slice_of(encoded->bytes, encoded->n);
}

static void set_bytes(struct encoded *encoded, uint32_t bytes) {
    for (int i = 0; i < 4; i++) encoded->bytes[AT_BYTES + i] = (char)(bytes >> (8 * i));
}

/* A good CRC over whatever the record says now. */
static void sign(struct encoded *encoded) {
    record_place(encoded->bytes, 1, 2, 0);
}

static enum record_status decode(const struct encoded *encoded) {
    struct record record;
    return record_decode(slice(encoded), &record, NULL);
}

#define assert_same_text(a, b) assert_true(slice_eq(a, b))

static void assert_same_own_fields(const struct record *a, const struct record *b) {
    switch (a->type) {
    case RECORD_OPEN:
        assert_int_equal(a->open.stock, b->open.stock);
        assert_int_equal(a->open.starts_ms, b->open.starts_ms);
        assert_int_equal(a->open.ends_ms, b->open.ends_ms);
        assert_int_equal(a->open.key_id, b->open.key_id);
        assert_int_equal(a->open.code.length, b->open.code.length);
        assert_same_text(a->open.code.prefix, b->open.code.prefix);
        assert_same_text(a->open.code.alphabet, b->open.code.alphabet);
        break;
    case RECORD_FENCE:
        assert_int_equal(a->fence.gen, b->fence.gen);
        assert_int_equal(a->fence.nonce, b->fence.nonce);
        break;
    case RECORD_WIN:
        assert_int_equal(a->win.gen, b->win.gen);
        assert_int_equal(a->win.serial, b->win.serial);
        assert_int_equal(a->win.reserve_seq, b->win.reserve_seq);
        assert_same_text(a->win.user_id, b->win.user_id);
        assert_same_text(a->win.claim_id, b->win.claim_id);
        break;
    case RECORD_RETURN:
        assert_int_equal(a->give_back.serial, b->give_back.serial);
        assert_same_text(a->give_back.user_id, b->give_back.user_id);
        break;
    case RECORD_RESTOCK:
        assert_int_equal(a->restock.stock, b->restock.stock);
        break;
    case RECORD_RESCHEDULE:
        assert_int_equal(a->reschedule.starts_ms, b->reschedule.starts_ms);
        assert_int_equal(a->reschedule.ends_ms, b->reschedule.ends_ms);
        break;
    case RECORD_SEGMENT:
        assert_int_equal(a->segment_head.first_seq, b->segment_head.first_seq);
        assert_int_equal(a->segment_head.previous_segment, b->segment_head.previous_segment);
        assert_int_equal(a->segment_head.previous_crc, b->segment_head.previous_crc);
        assert_int_equal(a->segment_head.segment_bytes, b->segment_head.segment_bytes);
        break;
    default:
        break;
    }
}

static void assert_same(const struct record *a, const struct record *b) {
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->segment, b->segment);
    assert_int_equal(a->batch, b->batch);
    assert_int_equal(a->ms, b->ms);
    assert_same_text(a->event_id, b->event_id);
    assert_same_text(a->operator, b->operator);
    assert_same_text(a->reason, b->reason);
    assert_same_own_fields(a, b);
}

static void every_type_survives_the_round_trip(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct encoded encoded;
        encode(&encoded, &samples[i]);
        assert_true(encoded.n >= RECORD_HEADER_BYTES && encoded.n % RECORD_ALIGN == 0);
        assert_int_equal(record_padded_bytes(encoded.bytes), encoded.n);
        struct record record;
        size_t padded = 0;
        struct slice more = slice_of(encoded.bytes, sizeof(encoded.bytes));
        assert_int_equal(record_decode(more, &record, &padded), RECORD_OK);
        assert_int_equal(padded, encoded.n);
        assert_same(&record, &samples[i]);
    }
}

/* Computed from the drawing by another program. */
static const char win_bytes[] = "\x43\x50\x4e\x4c\x01\x03\x02\x00\x56\x00\x00\x00\xfc\xcc\x71\x72"
                                "\x2a\x00\x00\x00\x00\x00\x00\x00\x10\x32\x54\x76\x98\xba\xdc\xfe"
                                "\x7b\xe8\x97\xb6\x9a\x01\x00\x00\x03\x00\x00\x00\x11\x00\x00\x00"
                                "\x88\x77\x66\x55\x44\x33\x22\x11\x0c\x00\x73\x61\x6d\x70\x6c\x65"
                                "\x5f\x65\x76\x65\x6e\x74\x00\x00\x00\x00\x06\x00\x75\x73\x65\x72"
                                "\x2d\x31\x02\x00\x6b\x31\x00\x00";

static void bytes_are_those_of_the_drawing(void **state) {
    (void)state;
    const struct record win = {.type = RECORD_WIN,
                               .seq = 42,
                               .segment = 0xfedcba9876543210,
                               .batch = 2,
                               .ms = 1764000000123,
                               EVENT,
                               .win = {.gen = 3,
                                       .serial = 17,
                                       .reserve_seq = 0x1122334455667788,
                                       .user_id = SLICE("user-1"),
                                       .claim_id = SLICE("k1")}};
    struct encoded encoded;
    encode(&encoded, &win);
    assert_int_equal(encoded.n, sizeof(win_bytes) - 1);
    assert_memory_equal(encoded.bytes, win_bytes, encoded.n);
    uint32_t crc;
    memcpy(&crc, win_bytes + 12, sizeof(crc));
    assert_int_equal(record_crc(encoded.bytes), crc);
}

static void placing_changes_the_place_alone(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct encoded encoded, expected;
        encode(&encoded, &samples[i]);
        record_place(encoded.bytes, 1000 + i, 0xabcdef, 9);
        struct record placed = samples[i];
        placed.seq = 1000 + i;
        placed.segment = 0xabcdef;
        placed.batch = 9;
        encode(&expected, &placed);
        assert_int_equal(encoded.n, expected.n);
        assert_memory_equal(encoded.bytes, expected.bytes, expected.n);
    }
}

/* ---- Damage ---- */

static void every_flipped_bit_is_found(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct encoded encoded;
        encode(&encoded, &samples[i]);
        for (size_t bit = 0; bit < encoded.n * 8; bit++) {
            encoded.bytes[bit / 8] = (char)(encoded.bytes[bit / 8] ^ (1 << bit % 8));
            assert_int_equal(decode(&encoded), RECORD_BAD);
            encoded.bytes[bit / 8] = (char)(encoded.bytes[bit / 8] ^ (1 << bit % 8));
        }
        assert_int_equal(decode(&encoded), RECORD_OK);
    }
}

static void every_truncation_is_found(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct encoded encoded;
        encode(&encoded, &samples[i]);
        struct record record;
        for (size_t n = 0; n < encoded.n; n++) {
            assert_int_equal(record_decode(slice_of(encoded.bytes, n), &record, NULL), RECORD_BAD);
        }
    }
}

/* Whatever is OK encodes again to the same bytes; returns what it is. */
static enum record_status check_encodes_again(const struct encoded *encoded) {
    struct record record;
    size_t padded;
    enum record_status status = record_decode(slice(encoded), &record, &padded);
    if (status == RECORD_OK) {
        struct encoded again;
        encode(&again, &record);
        assert_int_equal(again.n, padded);
        assert_memory_equal(again.bytes, encoded->bytes, padded);
    }
    return status;
}

/* Each body byte takes each value, under a good CRC. */
static void forged_bodies_are_refused_or_encode_again(void **state) {
    (void)state;
    size_t seen[3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct encoded encoded;
        encode(&encoded, &samples[i]);
        for (size_t at = AT_BODY; at < encoded.n; at++) {
            char kept = encoded.bytes[at];
            for (int value = 0; value < 256; value++) {
                encoded.bytes[at] = (char)value;
                sign(&encoded);
                seen[check_encodes_again(&encoded)]++;
            }
            encoded.bytes[at] = kept;
        }
    }
    assert_true(seen[RECORD_OK] > 10000 && seen[RECORD_BAD] > 10000);
    assert_int_equal(seen[RECORD_NEWER], 0);
}

/* Several bytes at once, type and length among them. */
static void random_forgeries_are_refused_or_encode_again(void **state) {
    (void)state;
    struct random_sim random;
    random_sim_init(&random, 1);
    size_t seen[3] = {0};
    for (int i = 0; i < FORGERIES; i++) {
        struct encoded encoded;
        encode(&encoded, &samples[random_sim_below(&random, ARRAY_LEN(samples))]);
        for (uint64_t n = 1 + random_sim_below(&random, 4); n > 0; n--) {
            size_t at = AT_BODY + random_sim_below(&random, encoded.n - AT_BODY);
            uint64_t values =
                random_sim_chance(&random, 128) ? 4 : 256; /* small ones matter more */
            encoded.bytes[at] = (char)random_sim_below(&random, values);
        }
        if (random_sim_chance(&random, 64))
            encoded.bytes[AT_TYPE] = (char)random_sim_below(&random, 14);
        if (random_sim_chance(&random, 64))
            set_bytes(&encoded,
                      (uint32_t)(AT_BODY + random_sim_below(&random, encoded.n - AT_BODY + 1)));
        sign(&encoded);
        seen[check_encodes_again(&encoded)]++;
    }
    assert_true(seen[RECORD_OK] > 1000 && seen[RECORD_BAD] > 1000 && seen[RECORD_NEWER] > 100);
}

/* ---- Headers ---- */

static void unknown_versions_and_types_are_newer(void **state) {
    (void)state;
    const struct {
        int version, type;
        enum record_status status;
    } cases[] = {
        {0, RECORD_CLOSE, RECORD_BAD},
        {1, RECORD_CLOSE, RECORD_OK},
        {2, RECORD_CLOSE, RECORD_NEWER},
        {255, 99, RECORD_NEWER},
        {1, 0, RECORD_NEWER},
        {1, 12, RECORD_NEWER},
        {1, RECORD_REDEEM, RECORD_NEWER},
        {1, RECORD_HOLD, RECORD_NEWER},
        {1, 255, RECORD_NEWER},
        {0, RECORD_HOLD, RECORD_BAD},
    };
    struct record close = {.type = RECORD_CLOSE, .ms = 1, EVENT, PERSON};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct encoded encoded;
        encode(&encoded, &close);
        encoded.bytes[AT_VERSION] = (char)cases[i].version;
        encoded.bytes[AT_TYPE] = (char)cases[i].type;
        record_place(encoded.bytes, 7, 8, 9);
        struct record record;
        size_t padded = 0;
        assert_int_equal(record_decode(slice(&encoded), &record, &padded), cases[i].status);
        if (cases[i].status == RECORD_BAD) continue;
        assert_int_equal(padded, encoded.n);
        assert_int_equal(record.type, cases[i].type);
        assert_true(record.seq == 7 && record.segment == 8 && record.batch == 9);
        encoded.bytes[encoded.n / 2] ^= 1; /* newer, but damaged */
        assert_int_equal(decode(&encoded), RECORD_BAD);
    }
}

static void newer_records_may_have_any_body(void **state) {
    (void)state;
    struct encoded encoded;
    encode(&encoded, &samples[0]);
    for (uint32_t bytes = 0; bytes <= RECORD_BYTES_MAX + 64; bytes++) {
        memset(encoded.bytes + AT_BODY, 0, sizeof(encoded.bytes) - AT_BODY);
        encoded.bytes[AT_VERSION] = 2;
        encoded.n = round_up(bytes, RECORD_ALIGN);
        set_bytes(&encoded, bytes);
        bool fits = bytes >= RECORD_HEADER_BYTES && bytes <= RECORD_BYTES_MAX;
        if (bytes >= RECORD_HEADER_BYTES) sign(&encoded);
        assert_int_equal(decode(&encoded), fits ? RECORD_NEWER : RECORD_BAD);
        if (bytes % RECORD_ALIGN == 0 || !fits) continue;
        encoded.bytes[encoded.n - 1] = 1; /* padding that is not zero */
        assert_int_equal(decode(&encoded), RECORD_BAD);
    }
}

static void a_body_of_another_length_is_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct encoded encoded;
        encode(&encoded, &samples[i]);
        uint32_t bytes;
        memcpy(&bytes, encoded.bytes + AT_BYTES, sizeof(bytes));
        memset(encoded.bytes + bytes, 0, RECORD_BYTES_MAX - bytes);
        encoded.n = RECORD_BYTES_MAX;
        for (uint32_t other = RECORD_HEADER_BYTES; other < bytes + 40; other++) {
            struct encoded forged = encoded;
            set_bytes(&forged, other);
            memset(forged.bytes + other, 0, RECORD_BYTES_MAX - other);
            sign(&forged);
            assert_int_equal(decode(&forged), other == bytes ? RECORD_OK : RECORD_BAD);
        }
    }
}

static void a_length_near_the_largest_number_is_bad(void **state) {
    (void)state;
    struct encoded encoded;
    encode(&encoded, &samples[0]);
    for (uint32_t less = 0; less < 40; less++) {
        set_bytes(&encoded, UINT32_MAX - less);
        assert_int_equal(decode(&encoded), RECORD_BAD);
    }
}

/* ---- Rules ---- */

static void assert_encodes(const struct record *record, bool expected) {
    struct encoded encoded;
    encode(&encoded, record);
    assert_int_equal(encoded.n != 0, expected);
    if (expected) assert_int_equal(decode(&encoded), RECORD_OK);
}

static struct record sample(enum record_type type) {
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        if (samples[i].type == type) return samples[i];
    }
    fail();
    return samples[0];
}

static char many_a[300];

static struct slice a_times(size_t n) {
    memset(many_a, 'a', sizeof(many_a));
    return slice_of(many_a, n);
}

/* Puts `value` into a copy of a sample's field and expects it to encode, or not. */
#define check_field(type_, field, value, expected)                                                 \
    do {                                                                                           \
        struct record record_ = sample(type_);                                                     \
        record_.field = (value);                                                                   \
        assert_encodes(&record_, expected);                                                        \
    } while (0)

static void numbers_have_their_rules(void **state) {
    (void)state;
    check_field(RECORD_PAUSE, ms, -1, false);
    check_field(RECORD_MARK, ms, INT64_MIN, false);
    check_field(RECORD_PAUSE, ms, 0, true);
    check_field(RECORD_OPEN, open.stock, 0, false);
    check_field(RECORD_OPEN, open.stock, STOCK_MAX, true);
    check_field(RECORD_OPEN, open.stock, STOCK_MAX + 1, false);
    check_field(RECORD_OPEN, open.starts_ms, -1, false);
    check_field(RECORD_OPEN, open.ends_ms, 0, false);
    check_field(RECORD_OPEN, open.ends_ms, 1, true);
    check_field(RECORD_FENCE, fence.gen, 0, false);
    check_field(RECORD_WIN, win.gen, 0, false);
    check_field(RECORD_WIN, win.serial, 0, false);
    check_field(RECORD_WIN, win.serial, STOCK_MAX + 1, false);
    check_field(RECORD_RETURN, give_back.serial, 0, false);
    check_field(RECORD_RETURN, give_back.serial, STOCK_MAX + 1, false);
    check_field(RECORD_RESTOCK, restock.stock, 0, false);
    check_field(RECORD_RESTOCK, restock.stock, STOCK_MAX + 1, false);
    check_field(RECORD_RESCHEDULE, reschedule.ends_ms, 10, false);
    check_field(RECORD_RESCHEDULE, reschedule.starts_ms, INT64_MIN, false);
    check_field(RECORD_PAUSE, type, RECORD_REDEEM, false);
    check_field(RECORD_PAUSE, type, RECORD_HOLD, false);
    check_field(RECORD_PAUSE, type, (enum record_type)0, false);
    check_field(RECORD_PAUSE, type, (enum record_type)99, false);
}

static void ids_have_their_rules(void **state) {
    (void)state;
    check_field(RECORD_PAUSE, event_id, SLICE(""), false);
    check_field(RECORD_PAUSE, event_id, a_times(64), true);
    check_field(RECORD_PAUSE, event_id, a_times(65), false);
    check_field(RECORD_MARK, event_id, SLICE("e"), false);
    check_field(RECORD_MARK, operator, SLICE("o"), false);
    check_field(RECORD_SEGMENT, reason, SLICE("r"), false);
    check_field(RECORD_WIN, win.user_id, SLICE(""), false);
    check_field(RECORD_WIN, win.user_id, a_times(64), true);
    check_field(RECORD_WIN, win.user_id, a_times(65), false);
    check_field(RECORD_WIN, win.claim_id, SLICE(""), true);
    check_field(RECORD_WIN, win.claim_id, a_times(64), true);
    check_field(RECORD_WIN, win.claim_id, a_times(65), false);
    check_field(RECORD_RETURN, give_back.user_id, SLICE("-"), false);
    check_field(RECORD_PAUSE, operator, a_times(64), true);
    check_field(RECORD_PAUSE, operator, a_times(65), false);
    check_field(RECORD_PAUSE, reason, a_times(256), true);
    check_field(RECORD_PAUSE, reason, a_times(257), false);
}

/* Every byte value, first and second in an id. */
static void ids_take_exactly_their_characters(void **state) {
    (void)state;
    const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    for (int value = 0; value < 256; value++) {
        char text[2] = {'a', (char)value};
        bool is_letter = value != 0 && strchr(letters, value) != NULL;
        bool is_user = is_letter || (value != 0 && strchr(".~:@+-", value) != NULL);
        bool is_printable = value > ' ' && value < 127;
        struct slice first = slice_of(text + 1, 1), second = slice_of(text, 2);
        assert_int_equal(event_id_is_valid(first), is_letter || value == '-');
        assert_int_equal(event_id_is_valid(second), is_letter || value == '-');
        assert_int_equal(user_id_is_valid(first), is_letter);
        assert_int_equal(user_id_is_valid(second), is_user);
        assert_int_equal(claim_id_is_valid(first), is_printable);
        assert_int_equal(claim_id_is_valid(second), is_printable);
    }
    assert_false(event_id_is_valid(SLICE("")));
    assert_false(user_id_is_valid(SLICE("")));
    assert_false(claim_id_is_valid(SLICE("")));
}

static void words_of_people_are_utf8_without_control_characters(void **state) {
    (void)state;
    const struct {
        struct slice text;
        bool is_valid;
    } cases[] = {
        {SLICE("plain ~"), true},
        {SLICE("\xc2\xa0"), true},         /* U+00A0, the first behind the C1 controls */
        {SLICE("\xdf\xbf"), true},         /* U+07FF */
        {SLICE("\xe0\xa0\x80"), true},     /* U+0800 */
        {SLICE("\xed\x9f\xbf"), true},     /* U+D7FF */
        {SLICE("\xee\x80\x80"), true},     /* U+E000 */
        {SLICE("\xef\xbf\xbf"), true},     /* U+FFFF */
        {SLICE("\xf0\x90\x80\x80"), true}, /* U+10000 */
        {SLICE("\xf4\x8f\xbf\xbf"), true}, /* U+10FFFF */
        {SLICE("\x1f"), false},            /* controls */
        {SLICE("a\nb"), false},
        {SLICE("a\0b"), false},
        {SLICE("\x7f"), false},
        {SLICE("\xc2\x80"), false}, /* C1 controls */
        {SLICE("\xc2\x9f"), false},
        {SLICE("\x80"), false}, /* a continuation alone */
        {SLICE("\xbf"), false},
        {SLICE("\xc0\x80"), false}, /* longer than need be */
        {SLICE("\xc1\xbf"), false},
        {SLICE("\xe0\x9f\xbf"), false},
        {SLICE("\xf0\x8f\xbf\xbf"), false},
        {SLICE("\xed\xa0\x80"), false}, /* surrogates */
        {SLICE("\xed\xbf\xbf"), false},
        {SLICE("\xf4\x90\x80\x80"), false}, /* past the last */
        {SLICE("\xf5\x80\x80\x80"), false},
        {SLICE("\xff"), false},
        {SLICE("\xc3"), false}, /* cut short */
        {SLICE("\xe2\x82"), false},
        {SLICE("\xf0\x9f\x98"), false},
        {SLICE("\xc3\x28"), false}, /* no continuation */
        {SLICE("\xe2\x82\x28"), false},
        {SLICE("\xe2\xc2\x80"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_field(RECORD_CLOSE, reason, cases[i].text, cases[i].is_valid);
        check_field(RECORD_CLOSE, operator, cases[i].text, cases[i].is_valid);
    }
}

static void code_formats_have_their_rules(void **state) {
    (void)state;
    const struct slice letters =
        SLICE("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    const struct {
        struct slice prefix, alphabet;
        uint8_t length;
        bool is_valid;
    } cases[] = {
        {SLICE(""), BASE32, 16, true},
        {SLICE(""), BASE32, 15, false},
        {SLICE(""), BASE32, 0, false},
        {SLICE(""), BASE32, 64, true},
        {SLICE(""), BASE32, 65, false},
        {SLICE(""), BASE32, 255, false},
        {SLICE(""), {letters.p, 10}, 25, true},
        {SLICE(""), {letters.p, 10}, 24, false}, /* 79.7 bits */
        {SLICE(""), {letters.p, 9}, 64, false},
        {SLICE(""), letters, 14, true},
        {SLICE(""), letters, 13, false},
        {SLICE(""), SLICE("0123456789A0"), 30, false},
        {SLICE(""), SLICE("0123456789-"), 30, false},
        {SLICE(""), SLICE("0123456789\0"), 30, false},
        {SLICE(""), a_times(65), 30, false},
        {SLICE("a-Z0"), BASE32, 16, true},
        {a_times(16), BASE32, 16, true},
        {a_times(17), BASE32, 16, false},
        {SLICE("a_b"), BASE32, 16, false},
        {SLICE("a\0b"), BASE32, 16, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct code_format format = {cases[i].prefix, cases[i].alphabet, cases[i].length};
        check_field(RECORD_OPEN, open.code, format, cases[i].is_valid);
    }
}

static void the_longest_record_fits(void **state) {
    (void)state;
    struct record open = sample(RECORD_OPEN);
    open.event_id = open.operator= a_times(64);
    open.reason = a_times(256);
    open.open.code.prefix = a_times(16);
    assert_encodes(&open, true);
}

static void a_message_is_one_whole_record(void **state) {
    (void)state;
    _Alignas(8) char aligned[RECORD_BYTES_MAX];
    char message[1 + 2 * RECORD_BYTES_MAX];
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct encoded encoded = {0};
        struct record record;
        encoded.n = record_encode(encoded.bytes, &samples[i]);
        memcpy(message + 1, encoded.bytes, sizeof encoded.bytes); /* not aligned, zeroes behind */
        assert_int_equal(record_read(aligned, slice_of(message + 1, encoded.n), &record),
                         RECORD_OK);
        assert_int_equal(record.type, samples[i].type);
        assert_int_equal(record_read(aligned, slice_of(message + 1, encoded.n - 1), &record),
                         RECORD_BAD);
        assert_int_equal(record_read(aligned, slice_of(message + 1, encoded.n + 8), &record),
                         RECORD_BAD);
    }
    struct record record;
    assert_int_equal(record_read(aligned, slice_of(message, 0), &record), RECORD_BAD);
    assert_int_equal(record_read(aligned, slice_of(message, sizeof message), &record), RECORD_BAD);
}

static void types_have_names(void **state) {
    (void)state;
    const char *const names[] = {"unknown", "open",       "fence",  "win",    "return",
                                 "restock", "reschedule", "pause",  "resume", "close",
                                 "mark",    "segment",    "unknown"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_equal(record_type_name((enum record_type)i), names[i]);
    assert_string_equal(record_type_name(RECORD_REDEEM), "redeem");
    assert_string_equal(record_type_name(RECORD_HOLD), "hold");
    assert_string_equal(record_type_name((enum record_type)34), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_survives_the_round_trip),
        cmocka_unit_test(bytes_are_those_of_the_drawing),
        cmocka_unit_test(placing_changes_the_place_alone),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(forged_bodies_are_refused_or_encode_again),
        cmocka_unit_test(random_forgeries_are_refused_or_encode_again),
        cmocka_unit_test(unknown_versions_and_types_are_newer),
        cmocka_unit_test(newer_records_may_have_any_body),
        cmocka_unit_test(a_body_of_another_length_is_bad),
        cmocka_unit_test(a_length_near_the_largest_number_is_bad),
        cmocka_unit_test(numbers_have_their_rules),
        cmocka_unit_test(ids_have_their_rules),
        cmocka_unit_test(ids_take_exactly_their_characters),
        cmocka_unit_test(words_of_people_are_utf8_without_control_characters),
        cmocka_unit_test(code_formats_have_their_rules),
        cmocka_unit_test(the_longest_record_fits),
        cmocka_unit_test(a_message_is_one_whole_record),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
