/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin_request.h"

#include <stdarg.h>
#include <stdio.h>

#include "claim/coupon_code.h"
#include "lib/base.h"
#include "lib/rfc3339.h"

static bool refuse(struct admin_request *request, const char *field, const char *format, ...)
    PRINTF_LIKE(3, 4);

static bool refuse(struct admin_request *request, const char *field, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(request->detail, sizeof request->detail, format, arguments);
    va_end(arguments);
    request->status = field == NULL ? 400 : 422;
    request->code = field == NULL ? "bad_json" : "invalid_field";
    request->field = field;
    return false;
}

bool admin_request_read(struct admin_request *request, struct slice text) {
    json_error_t error;
    *request = (struct admin_request){0};
    request->json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (request->json == NULL)
        return refuse(request, NULL, "The body is not a good JSON object (line %d, column %d).",
                      error.line, error.column);
    if (!json_is_object(request->json))
        return refuse(request, NULL, "The body must be a JSON object.");
    return true;
}

void admin_request_free(struct admin_request *request) { json_decref(request->json); }

static struct slice text_of(const json_t *value) {
    return slice_of(json_string_value(value), json_string_length(value));
}

/* A text field, empty when absent or null. */
static bool get_text(struct admin_request *request, const json_t *object, const char *key,
                     const char *field, size_t bytes_max, struct slice *text) {
    const json_t *value = json_object_get(object, key);
    *text = slice_of("", 0);
    if (value == NULL || json_is_null(value)) return true;
    if (!json_is_string(value)) return refuse(request, field, "%s must be a string.", field);
    *text = text_of(value);
    if (text->n > bytes_max)
        return refuse(request, field, "%s is longer than %zu bytes.", field, bytes_max);
    if (!record_text_is_valid(*text, bytes_max))
        return refuse(request, field, "%s must not hold control characters.", field);
    return true;
}

/* An instant: `absent` when the body does not name it, `none` when it is null. */
static bool get_instant(struct admin_request *request, const char *field, int64_t absent,
                        int64_t none, int64_t *ms) {
    const json_t *value = json_object_get(request->json, field);
    *ms = value == NULL ? absent : none;
    if (value == NULL || json_is_null(value)) return true;
    if (!json_is_string(value) || !rfc3339_parse(text_of(value), ms))
        return refuse(request, field, "%s must be an instant like 2026-12-01T09:00:00Z or null.",
                      field);
    return true;
}

/* Both ends of an event; those that the body does not name are `starts` and `ends`. */
static bool get_times(struct admin_request *request, int64_t starts, int64_t ends,
                      int64_t *starts_ms, int64_t *ends_ms) {
    if (!get_instant(request, "starts_at", starts, TIME_MS_MIN, starts_ms) ||
        !get_instant(request, "ends_at", ends, TIME_MS_MAX, ends_ms))
        return false;
    if (*starts_ms >= *ends_ms)
        return refuse(request, "ends_at", "ends_at must be later than starts_at.");
    return true;
}

static bool get_count(struct admin_request *request, const char *field, json_int_t max,
                      uint32_t *count) {
    const json_t *value = json_object_get(request->json, field);
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > max)
        return refuse(request, field, "%s must be a whole number from 1 to %lld.", field,
                      (long long)max);
    *count = (uint32_t)json_integer_value(value);
    return true;
}

static bool get_code_length(struct admin_request *request, const json_t *code, uint8_t *length) {
    const json_t *value = json_object_get(code, "length");
    if (value == NULL || json_is_null(value)) return true;
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > CODE_LENGTH_MAX)
        return refuse(request, "code.length", "code.length must be a whole number from 1 to %d.",
                      CODE_LENGTH_MAX);
    *length = (uint8_t)json_integer_value(value);
    return true;
}

static bool get_code(struct admin_request *request, struct code_format *format) {
    const json_t *code = json_object_get(request->json, "code");
    *format = code_format_default;
    if (code == NULL || json_is_null(code)) return true;
    if (!json_is_object(code))
        return refuse(request, "code", "code must be an object with prefix, alphabet and length.");
    struct slice alphabet;
    if (!get_text(request, code, "prefix", "code.prefix", CODE_PREFIX_BYTES_MAX, &format->prefix) ||
        !get_text(request, code, "alphabet", "code.alphabet", CODE_ALPHABET_BYTES_MAX, &alphabet) ||
        !get_code_length(request, code, &format->length))
        return false;
    if (alphabet.n != 0) format->alphabet = alphabet;
    const char *problem = code_format_problem(format);
    return problem == NULL || refuse(request, "code", "%s", problem);
}

bool admin_request_who(struct admin_request *request, struct record *record) {
    if (!get_text(request, request->json, "operator", "operator", OPERATOR_BYTES_MAX,
                  &record->operator) ||
        !get_text(request, request->json, "reason", "reason", REASON_BYTES_MAX, &record->reason))
        return false;
    if (record->operator.n == 0) record->operator = SLICE("admin");
    return true;
}

bool admin_request_open(struct admin_request *request, uint64_t key_id, struct record *record) {
    *record = (struct record){.type = RECORD_OPEN};
    record->open.key_id = key_id;
    const json_t *event_id = json_object_get(request->json, "event_id");
    if (!json_is_string(event_id) || !event_id_is_valid(text_of(event_id)))
        return refuse(request, "event_id",
                      "event_id must be a string of 1 to 64 characters of A-Z a-z 0-9 _ -.");
    record->event_id = text_of(event_id);
    return get_count(request, "total_stock", STOCK_MAX, &record->open.stock) &&
           get_times(request, TIME_MS_MIN, TIME_MS_MAX, &record->open.starts_ms,
                     &record->open.ends_ms) &&
           get_code(request, &record->open.code) && admin_request_who(request, record);
}

static bool get_user(struct admin_request *request, struct slice *user_id) {
    const json_t *value = json_object_get(request->json, "user_id");
    if (!json_is_string(value) || !user_id_is_valid(text_of(value)))
        return refuse(request, "user_id", "user_id must name the holder of a coupon.");
    *user_id = text_of(value);
    return true;
}

bool admin_request_change(struct admin_request *request, enum record_type type,
                          struct record *record) {
    record->type = type;
    bool is_good = true;
    if (type == RECORD_RESTOCK)
        is_good = get_count(request, "total_stock", STOCK_MAX, &record->restock.stock);
    if (type == RECORD_RESCHEDULE)
        is_good = get_times(request, record->reschedule.starts_ms, record->reschedule.ends_ms,
                            &record->reschedule.starts_ms, &record->reschedule.ends_ms);
    if (type == RECORD_RETURN) is_good = get_user(request, &record->give_back.user_id);
    return is_good && admin_request_who(request, record);
}
