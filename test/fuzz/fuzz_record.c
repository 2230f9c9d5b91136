/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a record. Read as they are, and once more under a good CRC, because few inputs have
 * one by themselves: what decodes must encode again to the same bytes, and keep the rules.
 */
#include "fuzz/fuzz.h"

#include <endian.h>

#include "lib/base.h"
#include "log/record.h"

enum { AT_BATCH = 6, AT_BYTES = 8, AT_SEQ = 16, AT_SEGMENT = 24 };

static void check_inside(struct slice text, struct slice bytes) {
    if (text.n > 0) ASSERT(text.p >= bytes.p && text.p + text.n <= bytes.p + bytes.n);
}

static void check_record(const struct record *record, struct slice bytes) {
    _Alignas(8) char again[RECORD_BYTES_MAX];
    ASSERT(record_encode(again, record) == bytes.n);
    ASSERT(memcmp(again, bytes.p, bytes.n) == 0);
    check_inside(record->event_id, bytes);
    check_inside(record->operator, bytes);
    check_inside(record->reason, bytes);
    if (record->type == RECORD_WIN) {
        ASSERT(record->win.serial >= 1 && record->win.serial <= STOCK_MAX);
        ASSERT(user_id_is_valid(record->win.user_id));
        check_inside(record->win.user_id, bytes);
        check_inside(record->win.claim_id, bytes);
    }
}

static void check_bytes(struct slice bytes) {
    struct record record;
    size_t padded = 0;
    enum record_status status = record_decode(bytes, &record, &padded);
    if (status == RECORD_BAD) return;
    ASSERT(padded >= RECORD_HEADER_BYTES && padded <= RECORD_BYTES_MAX && padded <= bytes.n);
    ASSERT(padded % RECORD_ALIGN == 0 && padded == record_padded_bytes(bytes.p));
    if (status == RECORD_OK) check_record(&record, slice_of(bytes.p, padded));
}

/* A good CRC, where the length in the header leaves something to sign. */
static void sign(char *p, size_t size) {
    uint16_t batch;
    uint32_t bytes;
    uint64_t seq, segment;
    memcpy(&batch, p + AT_BATCH, sizeof(batch));
    memcpy(&bytes, p + AT_BYTES, sizeof(bytes));
    memcpy(&seq, p + AT_SEQ, sizeof(seq));
    memcpy(&segment, p + AT_SEGMENT, sizeof(segment));
    if (le32toh(bytes) < RECORD_HEADER_BYTES || le32toh(bytes) > size) return;
    record_place(p, le64toh(seq), le64toh(segment), le16toh(batch));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_bytes(slice_of(data, size));
    if (size < RECORD_HEADER_BYTES) return 0;
    char *copy = fuzz_copy(data, size);
    sign(copy, size);
    check_bytes(slice_of(copy, size));
    free(copy);
    return 0;
}
