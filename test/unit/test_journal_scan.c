/* SPDX-License-Identifier: Apache-2.0
 *
 * The judgement on single records behind a good one: each rule that makes one the next, and what
 * proves that an earlier place had been durable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "log/journal_scan.h"

enum { SEGMENT_BYTES = 64 * 1024, ID = 77 };

static _Alignas(8) char segment[SEGMENT_BYTES];
static size_t used;
static struct record head;

/* Each test begins behind the head of a first segment and one good record, seq 1. */
static int set_up(void **state) {
    (void)state;
    memset(segment, 0, sizeof(segment));
    head = (struct record){.type = RECORD_SEGMENT,
                           .segment = ID,
                           .segment_head = {.first_seq = 1, .segment_bytes = SEGMENT_BYTES}};
    used = record_encode(segment, &head);
    const struct record good = {
        .type = RECORD_PAUSE, .seq = 1, .segment = ID, .event_id = SLICE("e")};
    used += record_encode(segment + used, &good);
    return 0;
}

static size_t put(enum record_type type, uint64_t seq, uint64_t id, uint16_t batch) {
    struct record record = {.type = type, .seq = seq, .segment = id, .batch = batch};
    if (type == RECORD_PAUSE) record.event_id = SLICE("e");
    if (type == RECORD_SEGMENT) record.segment_head = head.segment_head;
    size_t at = used;
    used += record_encode(segment + used, &record);
    return at;
}

static int count(void *ctx, const struct record *record, struct slice encoded) {
    (void)record, (void)encoded;
    ++*(size_t *)ctx;
    return 0;
}

/* The finding; `*seen` is how many records were shown. */
static enum journal_finding scan(size_t *seen) {
    struct journal_scan scan = {0};
    const struct journal_reader reader = {.on_record = count, .ctx = seen};
    struct record first;
    struct slice bytes = slice_of(segment, sizeof(segment));
    *seen = 0;
    assert_int_equal(journal_scan_head(bytes, &first), RECORD_OK);
    assert_true(journal_scan_fits(&scan, &first));
    journal_scan_enter(&scan, &first, segment);
    return journal_scan_records(&scan, bytes, &reader);
}

static void next_record_is_read(void **state) {
    (void)state;
    size_t seen;
    assert_int_equal(scan(&seen), JOURNAL_CLEAN);
    assert_int_equal(seen, 1);
    put(RECORD_MARK, 2, ID, 0);
    put(RECORD_PAUSE, 3, ID, 1);
    assert_int_equal(scan(&seen), JOURNAL_CLEAN);
    assert_int_equal(seen, 2); /* a MARK is not shown */
}

static void record_that_is_not_the_next(void **state) {
    (void)state;
    struct {
        enum record_type type;
        uint64_t seq, id;
        uint16_t batch;
        enum journal_finding finding;
    } cases[] = {
        {RECORD_PAUSE, 1, ID, 0, JOURNAL_TORN},     /* again */
        {RECORD_PAUSE, 2, ID + 1, 0, JOURNAL_TORN}, /* of another segment */
        {RECORD_PAUSE, 9, ID + 1, 0, JOURNAL_TORN}, /* proves nothing for this one */
        {RECORD_SEGMENT, 2, ID, 0, JOURNAL_TORN},   /* only at the beginning */
        {RECORD_PAUSE, 3, ID, 1, JOURNAL_TORN},     /* of the same commit as seq 2 */
        {RECORD_PAUSE, 3, ID, 0, JOURNAL_DAMAGED},  /* of a later one */
        {RECORD_MARK, 3, ID, 0, JOURNAL_DAMAGED},   /* seq 2 was durable */
        {RECORD_PAUSE, 40, ID, 38, JOURNAL_TORN},   {RECORD_PAUSE, 40, ID, 37, JOURNAL_DAMAGED},
        {RECORD_PAUSE, 5, ID, 9, JOURNAL_TORN}, /* nonsense: batch before the log began */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t gap = 0; gap <= 4096; gap += 2048) { /* at the bad place, or far behind it */
            set_up(NULL);
            if (gap > 0) segment[used + 1] = 'x';
            used += gap;
            put(cases[i].type, cases[i].seq, cases[i].id, cases[i].batch);
            size_t seen;
            assert_int_equal(scan(&seen), cases[i].finding);
            assert_int_equal(seen, 1);
        }
    }
}

static void newer_record(void **state) {
    (void)state;
    for (size_t gap = 0; gap <= 2048; gap += 2048) {
        for (uint64_t id = ID; id <= ID + 1; id++) {
            set_up(NULL);
            used += gap;
            size_t at = put(RECORD_PAUSE, 2, id, 0), seen;
            segment[at + 4] = 2; /* its version */
            record_place(segment + at, 2, id, 0);
            assert_int_equal(scan(&seen), id == ID ? JOURNAL_NEWER : JOURNAL_TORN);
        }
    }
}

static void heads(void **state) {
    (void)state;
    struct record found;
    char bytes[RECORD_BYTES_MAX];
    struct slice slice = slice_of(bytes, sizeof(bytes));
    uint64_t sizes[] = {0, 4096, SEGMENT_BYTES + 8, UINT64_C(1) << 40};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct record bad = head;
        bad.segment_head.segment_bytes = sizes[i];
        memset(bytes, 0, sizeof(bytes));
        assert_true(record_encode(bytes, &bad) > 0);
        assert_int_equal(journal_scan_head(slice, &found), RECORD_BAD);
    }
    struct record bad[] = {head, head, head};
    bad[0].batch = 1;
    bad[1].segment = 0;
    bad[2].segment_head.first_seq = 2;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        memset(bytes, 0, sizeof(bytes));
        assert_true(record_encode(bytes, &bad[i]) > 0);
        assert_int_equal(journal_scan_head(slice, &found), RECORD_BAD);
    }
    const struct record mark = {.type = RECORD_MARK, .segment = ID};
    memset(bytes, 0, sizeof(bytes));
    assert_true(record_encode(bytes, &mark) > 0);
    assert_int_equal(journal_scan_head(slice, &found), RECORD_BAD);
}

static void full_to_the_last_byte(void **state) {
    (void)state;
    for (uint64_t seq = 2; used + 40 <= sizeof(segment); seq++) put(RECORD_MARK, seq, ID, 0);
    size_t seen;
    assert_int_equal(scan(&seen), JOURNAL_CLEAN);
    segment[sizeof(segment) - 1] = 1;
    assert_int_equal(scan(&seen), JOURNAL_TORN);
}

static void zeros(void **state) {
    (void)state;
    char bytes[100] = "";
    for (size_t n = 0; n < sizeof(bytes); n++) {
        for (size_t at = 0; at < n; at++) {
            bytes[at] = 1;
            assert_int_equal(journal_scan_zeros(slice_of(bytes, n), 0), at + 1);
            assert_int_equal(journal_scan_zeros(slice_of(bytes, n), n), n);
            if (at + 1 < n)
                assert_int_equal(journal_scan_zeros(slice_of(bytes, n), at + 1), at + 1);
            bytes[at] = 0;
        }
        assert_int_equal(journal_scan_zeros(slice_of(bytes, n), 0), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(next_record_is_read, set_up),
        cmocka_unit_test_setup(record_that_is_not_the_next, set_up),
        cmocka_unit_test_setup(newer_record, set_up),
        cmocka_unit_test_setup(heads, set_up),
        cmocka_unit_test_setup(full_to_the_last_byte, set_up),
        cmocka_unit_test(zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
