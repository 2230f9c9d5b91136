/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the body of an admin write; the first one says of which. What is accepted makes a
 * record that the log takes and gives back unchanged; what is refused is refused in words.
 */
#include "fuzz/fuzz.h"

#include "api/admin_request.h"

static const enum record_type types[] = {
    RECORD_OPEN,   RECORD_RESTOCK, RECORD_RESCHEDULE, RECORD_PAUSE,
    RECORD_RESUME, RECORD_CLOSE,   RECORD_RETURN,
};

enum { STARTS_MS = 1000, ENDS_MS = 2000 }; /* of the event that a RESCHEDULE changes */

static void check_refusal(const struct admin_request *request) {
    ASSERT(request->detail[0] != '\0');
    if (request->status == 400) {
        ASSERT(request->field == NULL && strcmp(request->code, "bad_json") == 0);
    } else {
        ASSERT(request->status == 422 && request->field != NULL);
        ASSERT(strcmp(request->code, "invalid_field") == 0);
    }
}

static void check_times(const struct record *record) {
    const bool is_open = record->type == RECORD_OPEN;
    if (!is_open && record->type != RECORD_RESCHEDULE) return;
    int64_t starts_ms = is_open ? record->open.starts_ms : record->reschedule.starts_ms;
    int64_t ends_ms = is_open ? record->open.ends_ms : record->reschedule.ends_ms;
    ASSERT(starts_ms >= TIME_MS_MIN && starts_ms < ends_ms);
}

/* Through the log and back. */
static void check_record(const struct record *record) {
    _Alignas(8) char bytes[RECORD_BYTES_MAX], again[RECORD_BYTES_MAX];
    struct record decoded;
    size_t padded;
    const size_t n = record_encode(bytes, record);
    ASSERT(n > 0);
    ASSERT(record_decode(slice_of(bytes, n), &decoded, &padded) == RECORD_OK && padded == n);
    ASSERT(record_encode(again, &decoded) == n && memcmp(bytes, again, n) == 0);
    ASSERT(decoded.type == record->type && slice_eq(decoded.event_id, record->event_id));
    ASSERT(slice_eq(decoded.operator, record->operator) && decoded.operator.n> 0);
    ASSERT(slice_eq(decoded.reason, record->reason));
    check_times(&decoded);
}

static bool make(struct admin_request *request, enum record_type type, struct record *record) {
    if (type == RECORD_OPEN) return admin_request_open(request, 1, record);
    *record = (struct record){.type = type, .event_id = SLICE("event")};
    if (type == RECORD_RESCHEDULE) {
        record->reschedule.starts_ms = STARTS_MS;
        record->reschedule.ends_ms = ENDS_MS;
    }
    if (type == RECORD_RETURN) record->give_back.serial = 1;
    return admin_request_change(request, type, record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct admin_request request;
    struct record record;
    if (size == 0) return 0;
    char *text = fuzz_copy(data + 1, size - 1);
    if (admin_request_read(&request, slice_of(text, size - 1)) &&
        make(&request, types[data[0] % ARRAY_LEN(types)], &record))
        check_record(&record);
    else
        check_refusal(&request);
    admin_request_free(&request);
    free(text);
    return 0;
}
