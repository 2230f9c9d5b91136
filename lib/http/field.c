/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/field.h"

#include "lib/http/scan.h"

/* Called last from http_field_take: kept out of it, they leave it without a frame of its own. */
#define NOINLINE __attribute__((noinline))

/* Why a name is none. */
static const struct http_refusal *refuse_name(struct slice name) {
    if (name.n > 0 && (name.p[0] == ' ' || name.p[0] == '\t')) return HTTP_REFUSE(FOLDED_FIELD);
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == ' ' || name.p[i] == '\t') return HTTP_REFUSE(SPACE_IN_FIELD_NAME);
    return HTTP_REFUSE(BAD_FIELD_NAME);
}

const struct http_refusal *http_field_split(struct slice line, struct slice *name,
                                            struct slice *value) {
    const char *end = line.p + line.n;
    const char *colon = memchr(line.p, ':', line.n);
    if (colon == NULL)
        return line.p[0] == ' ' || line.p[0] == '\t' ? HTTP_REFUSE(FOLDED_FIELD)
                                                     : HTTP_REFUSE(BAD_FIELD_NAME);
    *name = slice_of(line.p, (size_t)(colon - line.p));
    *value = trim(colon + 1, end);
    return http_field_name(*name);
}

const struct http_refusal *http_field_name(struct slice name) {
    if (LIKELY(name.n > 0 && scan_token(name.p, name.n) == name.n)) return NULL;
    return refuse_name(name);
}

/* Letters, digits and what else a registered name may hold (RFC 3986 section 3.2.2), without the
 * comma: "a,b" is what two Host fields look like once somebody has joined them. */
static bool is_host_byte(char c) {
    static const bool table[256] = {
        ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['-'] = true,
        ['.'] = true,         ['_'] = true,         ['~'] = true,         ['%'] = true,
        ['!'] = true,         ['$'] = true,         ['&'] = true,         ['\''] = true,
        ['('] = true,         [')'] = true,         ['*'] = true,         ['+'] = true,
        [';'] = true,         ['='] = true,
    };
    return table[(unsigned char)c];
}

/* Behind the "[…]" at `p`, or NULL. */
static const char *skip_ip_literal(const char *p) {
    const char *start = ++p;
    while (hex_value(*p) >= 0 || *p == ':' || *p == '.') p++;
    return p > start && *p == ']' ? p + 1 : NULL;
}

bool http_is_host(struct slice host) {
    const char *p = host.p, *end = host.p + host.n;
    while (is_host_byte(*p)) p++;
    if (UNLIKELY(p == host.p)) {
        p = host.n > 0 && *p == '[' ? skip_ip_literal(p) : NULL;
        if (p == NULL) return false;
    }
    if (p == end) return true;
    if (*p != ':' || end - p > 6) return false;
    do p++;
    while (is_digit(*p));
    return p == end;
}

static NOINLINE const struct http_refusal *take_host(struct http_fields *fields,
                                                     struct slice value) {
    if (fields->has_host) return HTTP_REFUSE(REPEATED_HOST);
    fields->has_host = true;
    fields->request->host = value;
    return http_is_host(value) ? NULL : HTTP_REFUSE(BAD_HOST);
}

static NOINLINE const struct http_refusal *take_length(struct http_fields *fields,
                                                       struct slice value) {
    if (fields->has_length) return HTTP_REFUSE(REPEATED_LENGTH);
    fields->has_length = true;
    uint64_t length = 0;
    /* 19 digits cannot wrap; more of them are nonsense even when they are zeros. */
    if (value.n == 0 || value.n > 19) return HTTP_REFUSE(BAD_LENGTH);
    for (const char *p = value.p, *end = p + value.n; p < end; p++) {
        if (!is_digit(*p)) return HTTP_REFUSE(BAD_LENGTH);
        length = length * 10 + (uint64_t)(*p - '0');
    }
    fields->request->content_bytes = length;
    return length <= fields->body_bytes_max ? NULL : HTTP_REFUSE(BODY_TOO_LARGE);
}

static NOINLINE const struct http_refusal *take_coding(struct http_fields *fields,
                                                       struct slice value) {
    if (fields->request->is_chunked || value.n != 7 || !folds_to(value.p, "chunked", 7))
        return HTTP_REFUSE(UNKNOWN_TRANSFER_CODING);
    fields->request->is_chunked = true;
    return NULL;
}

static void take_connection_option(struct http_fields *fields, struct slice option) {
    if (option.n == 5 && folds_to(option.p, "close", 5))
        fields->is_close = true;
    else if (option.n == 10 && folds_to(option.p, "keep-alive", 10))
        fields->is_keep_alive = true;
}

static NOINLINE const struct http_refusal *take_connection(struct http_fields *fields,
                                                           struct slice value) {
    if (LIKELY(value.n == 10 && folds_to(value.p, "keep-alive", 10))) {
        fields->is_keep_alive = true;
        return NULL;
    }
    const char *p = value.p, *end = value.p + value.n;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *option_end = comma == NULL ? end : comma;
        take_connection_option(fields, trim(p, option_end));
        p = option_end + 1;
    }
    return NULL;
}

static NOINLINE const struct http_refusal *take_expect(struct http_fields *fields,
                                                       struct slice value) {
    /* The digits have the bit that folding sets already. */
    if (value.n != 12 || !folds_to(value.p, "100-continue", 12))
        return HTTP_REFUSE(UNKNOWN_EXPECTATION);
    fields->is_expecting = true;
    return NULL;
}

static const struct http_refusal *take_once(struct slice *field, struct slice value) {
    if (field->p != NULL) return HTTP_REFUSE(REPEATED_FIELD);
    *field = value;
    return NULL;
}

/* Each proxy may add a line of its own instead of adding to the one before. */
static NOINLINE const struct http_refusal *take_forwarded(struct http_request *request,
                                                          struct slice value) {
    memmove(request->x_forwarded_for + 1, request->x_forwarded_for,
            sizeof request->x_forwarded_for - sizeof request->x_forwarded_for[0]);
    request->x_forwarded_for[0] = value;
    return NULL;
}

/* Length and first letter tell most names apart, so that a known field costs one comparison. A name
 * that is known is a token; the others are looked at byte by byte. */
const struct http_refusal *http_field_take(struct http_fields *fields, struct slice name,
                                           struct slice value) {
    struct http_request *request = fields->request;
    const char *p = name.p;
    switch (name.n) {
    case 4:
        if (folds_to(p, "host", 4)) return take_host(fields, value);
        break;
    case 6:
        if (folds_to(p, "accept", 6)) return request->accept = value, NULL;
        if (folds_to(p, "cookie", 6)) return request->cookie = value, NULL;
        if (folds_to(p, "expect", 6)) return take_expect(fields, value);
        if (folds_to(p, "origin", 6)) return take_once(&request->origin, value);
        break;
    case 10:
        if (folds_to(p, "connection", 10)) return take_connection(fields, value);
        if (folds_to(p, "user-agent", 10)) return NULL;
        break;
    case 11:
        if (folds_to(p, "traceparent", 11)) return take_once(&request->traceparent, value);
        break;
    case 12:
        if (folds_to(p, "content-type", 12)) return take_once(&request->content_type, value);
        if (folds_to(p, "x-request-id", 12)) return take_once(&request->x_request_id, value);
        break;
    case 13:
        if (folds_to(p, "authorization", 13)) return take_once(&request->authorization, value);
        break;
    case 14:
        if (folds_to(p, "content-length", 14)) return take_length(fields, value);
        if (folds_to(p, "sec-fetch-site", 14)) return take_once(&request->sec_fetch_site, value);
        break;
    case 15:
        if (folds_to(p, "x-forwarded-for", 15)) return take_forwarded(request, value);
        if (folds_to(p, "idempotency-key", 15)) return take_once(&request->idempotency_key, value);
        if (folds_to(p, "accept-encoding", 15)) return NULL;
        break;
    case 17:
        if (folds_to(p, "x-forwarded-proto", 17)) return request->x_forwarded_proto = value, NULL;
        if (folds_to(p, "transfer-encoding", 17)) return take_coding(fields, value);
        break;
    default:
        break;
    }
    return http_field_name(name);
}

const struct http_refusal *http_fields_finish(struct http_fields *fields) {
    struct http_request *request = fields->request;
    const bool is_1_1 = request->minor_version >= 1;
    if (is_1_1 && !fields->has_host) return HTTP_REFUSE(MISSING_HOST);
    if (request->is_chunked) {
        /* A 1.0 client cannot mean it, and something before us may not have understood it. */
        if (!is_1_1) return HTTP_REFUSE(UNKNOWN_TRANSFER_CODING);
        if (fields->has_length) return HTTP_REFUSE(CONFLICTING_LENGTH);
    }
    request->has_body = request->is_chunked || request->content_bytes > 0;
    request->expects_continue = fields->is_expecting && is_1_1 && request->has_body;
    request->keep_alive = !fields->is_close && (is_1_1 || fields->is_keep_alive);
    return NULL;
}
