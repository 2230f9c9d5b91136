/* SPDX-License-Identifier: Apache-2.0 */
#include "api/carried.h"

#include "api/output.h"
#include "api/reply.h"
#include "lib/logger.h"

/* ---- reading ---- */

bool request_id_is_valid(struct slice id) {
    static const bool is_good[256] = {
        ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['.'] = true,
        ['_'] = true,         ['~'] = true,         [':'] = true,         ['@'] = true,
        ['+'] = true,         ['/'] = true,         ['='] = true,         ['-'] = true,
    };
    if (id.n == 0 || id.n > REQUEST_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < id.n; i++)
        if (!is_good[(unsigned char)id.p[i]]) return false;
    return true;
}

/* `n` small hexadecimal digits at `p`, and not all of them `none`. */
static bool is_hex(const char *p, size_t n, char none) {
    bool is_some = false;
    for (size_t i = 0; i < n; i++) {
        bool is_digit = (p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f');
        if (!is_digit) return false;
        is_some |= p[i] != none;
    }
    return is_some;
}

/* version "-" trace id "-" parent id "-" flags; a later version may have more behind it. */
struct slice traceparent_read(struct slice value) {
    const char *p = value.p;
    bool is_good = value.n >= TRACEPARENT_BYTES && p[2] == '-' && p[35] == '-' && p[52] == '-' &&
                   is_hex(p, 2, 'f') && is_hex(p + 3, 32, '0') && is_hex(p + 36, 16, '0') &&
                   is_hex(p + 53, 2, '\0');
    if (is_good && value.n > TRACEPARENT_BYTES)
        is_good = p[TRACEPARENT_BYTES] == '-' && memcmp(p, "00", 2) != 0;
    return slice_of(p, is_good ? TRACEPARENT_BYTES : 0);
}

struct carried carried_by(const struct http_request *request, const struct origins *origins) {
    struct carried carried = {0};
    if (request_id_is_valid(request->x_request_id)) carried.request_id = request->x_request_id;
    carried.traceparent = traceparent_read(request->traceparent);
    if (origins == NULL || origins->count == 0) return carried;
    static const struct slice api = {"/api/", 5};
    carried.is_cors = request->path.n > api.n && memcmp(request->path.p, api.p, api.n) == 0;
    if (carried.is_cors && request->origin.p != NULL)
        carried.origin = origins_find(origins, request->origin);
    return carried;
}

/* ---- keeping ---- */

static uint8_t copy_text(char *to, struct slice text) {
    if (text.n != 0) memcpy(to, text.p, text.n);
    return (uint8_t)text.n;
}

void carried_keep(struct carried_copy *copy, const struct carried *carried) {
    copy->origin = carried->origin;
    copy->is_cors = carried->is_cors;
    copy->request_id_bytes = copy_text(copy->request_id, carried->request_id);
    copy->traceparent_bytes = copy_text(copy->traceparent, carried->traceparent);
}

struct carried carried_of(const struct carried_copy *copy) {
    return (struct carried){
        .origin = copy->origin,
        .is_cors = copy->is_cors,
        .request_id = slice_of(copy->request_id, copy->request_id_bytes),
        .traceparent = slice_of(copy->traceparent, copy->traceparent_bytes),
    };
}

/* ---- telling ---- */

void carried_write_fields(struct output *out, const struct carried *carried) {
    if (carried->is_cors) cors_write_fields(out, carried->origin);
    if (carried->request_id.n == 0) return;
    output_add_literal(out, "X-Request-Id: ");
    output_add_slice(out, carried->request_id);
    output_add_literal(out, "\r\n");
}

static struct slice or_dash(struct slice text) {
    return text.n == 0 ? SLICE("-") : text;
}

void carried_log(const struct carried *carried, const struct problem *problem) {
    static struct logger_limit limit;
    struct slice id = or_dash(carried->request_id), trace = or_dash(carried->traceparent);
    if (LIKELY(problem->status < 500)) return;
    logger_line_limited(&limit, LOG_WARN, "server",
                        "event=answered status=%d code=%s request_id=%.*s traceparent=%.*s",
                        problem->status, problem->code, (int)id.n, id.p, (int)trace.n, trace.p);
}

void carried_log_dropped(const struct carried *carried) {
    static struct logger_limit limit;
    struct slice id = or_dash(carried->request_id), trace = or_dash(carried->traceparent);
    logger_line_limited(&limit, LOG_WARN, "server",
                        "event=stream_dropped request_id=%.*s traceparent=%.*s", (int)id.n, id.p,
                        (int)trace.n, trace.p);
}
