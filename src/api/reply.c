/* SPDX-License-Identifier: Apache-2.0 */
#include "api/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "log/record.h"

#define SOLD_OUT_BODY                                                                              \
    "{\"success\":false,\"result\":\"sold_out\",\"message\":\"All coupons of this event are "      \
    "taken.\",\"coupon_id\":null,\"remaining_stock\":0,\"final\":true}"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *reply_reason(int status) {
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Unknown";
}

void output_add_number(struct output *out, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    output_add(out, digits + at, sizeof digits - at);
}

static void write_status_and_date(struct output *out, int status, const char *date) {
    output_count(out, status);
    if (status == 200) {
        output_add_literal(out, "HTTP/1.1 200 OK\r\nDate: ");
    } else {
        output_add_literal(out, "HTTP/1.1 ");
        output_add_number(out, (uint64_t)status);
        output_add_literal(out, " ");
        output_add_slice(out, slice_str(reply_reason(status)));
        output_add_literal(out, "\r\nDate: ");
    }
    output_add(out, date, HTTP_DATE_BYTES);
    output_add_literal(out, "\r\n");
}

static void write_type(struct output *out, struct slice type) {
    output_add_literal(out, "Content-Type: ");
    output_add_slice(out, type);
    output_add_literal(out, "\r\n");
}

/* The last fields of a head, and its end. */
static void write_fields(struct output *out, const struct reply *reply) {
    output_add_slice(out, reply->fields);
    output_add_slice(out, out->fields);
    carried_write_fields(out, &out->carried);
    if (reply->close) output_add_literal(out, "Connection: close\r\n");
    output_add_literal(out, "\r\n");
}

void reply_write(struct output *out, const char date[HTTP_DATE_BYTES], const struct reply *reply) {
    write_status_and_date(out, reply->status, date);
    if (reply->status != 204) {
        write_type(out, reply->type.n != 0 ? reply->type : SLICE("application/json"));
        output_add_literal(out, "Content-Length: ");
        output_add_number(out, reply->body.n);
        output_add_literal(out, "\r\n");
    }
    write_fields(out, reply);
    if (!reply->head_only) output_add_slice(out, reply->body);
}

void reply_write_stream_head(struct output *out, const char date[HTTP_DATE_BYTES],
                             const struct reply *reply, bool chunked) {
    write_status_and_date(out, 200, date);
    write_type(out, reply->type);
    if (chunked) output_add_literal(out, "Transfer-Encoding: chunked\r\n");
    write_fields(out, reply);
}

void reply_write_problem(struct output *out, const char date[HTTP_DATE_BYTES],
                         const struct problem *problem, bool close, bool head_only) {
    struct body body;
    body.n = 0;
    body_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":",
                reply_reason(problem->status), problem->status, problem->code);
    body_add_json_string(&body, slice_str(problem->detail));
    if (problem->field != NULL) {
        body_add(&body, SLICE(",\"field\":"));
        body_add_json_string(&body, slice_str(problem->field));
    }
    if (out->carried.request_id.n != 0) {
        body_add(&body, SLICE(",\"request_id\":"));
        body_add_json_string(&body, out->carried.request_id);
    }
    body_add(&body, SLICE("}"));

    struct body fields;
    fields.n = 0;
    body_add(&fields, problem->fields);
    if (problem->retry_after_s != 0)
        body_printf(&fields, "Retry-After: %u\r\n", problem->retry_after_s);
    reply_write(out, date,
                &(struct reply){.status = problem->status,
                                .type = SLICE("application/problem+json"),
                                .fields = body_slice(&fields),
                                .body = body_slice(&body),
                                .close = close,
                                .head_only = head_only});
}

void sold_out_reply_make(struct sold_out_reply *reply, const char date[HTTP_DATE_BYTES]) {
    int n = snprintf(reply->bytes, sizeof reply->bytes,
                     "HTTP/1.1 200 OK\r\nDate: %.*s\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     (int)HTTP_DATE_BYTES, date, sizeof(SOLD_OUT_BODY) - 1, SOLD_OUT_BODY);
    ASSERT(n > 0 && (size_t)n < sizeof reply->bytes);
    reply->n = (size_t)n;
    reply->fields_n = reply->n - (sizeof(SOLD_OUT_BODY) - 1) - strlen("\r\n");
}

void sold_out_reply_write(struct output *out, const struct sold_out_reply *reply) {
    output_count(out, 200);
    if (LIKELY(carried_is_empty(&out->carried))) {
        output_add(out, reply->bytes, reply->n);
        return;
    }
    output_add(out, reply->bytes, reply->fields_n);
    carried_write_fields(out, &out->carried);
    output_add(out, reply->bytes + reply->fields_n, reply->n - reply->fields_n);
}

/* Our own bodies are bounded by the rules of their fields: one that does not fit is our mistake. */
void body_printf(struct body *body, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof body->bytes - body->n;
    int n = vsnprintf(body->bytes + body->n, room, format, arguments);
    va_end(arguments);
    ASSERT(n >= 0 && (size_t)n < room);
    body->n += (size_t)n;
}

void body_add(struct body *body, struct slice text) {
    ASSERT(text.n <= sizeof body->bytes - body->n);
    if (text.n != 0) memcpy(body->bytes + body->n, text.p, text.n);
    body->n += text.n;
}

void body_add_json_string(struct body *body, struct slice text) {
    body_add(body, SLICE("\""));
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\')
            body_printf(body, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            body_printf(body, "\\u%04x", c);
        else
            body_add(body, slice_of(text.p + i, 1));
    }
    body_add(body, SLICE("\""));
}

void body_add_instant(struct body *body, int64_t ms) {
    if (ms == TIME_MS_MIN || ms == TIME_MS_MAX) {
        body_add(body, SLICE("null"));
        return;
    }
    char text[RFC3339_BYTES];
    rfc3339_format(ms, text);
    body_printf(body, "\"%.*s\"", (int)sizeof text, text);
}
