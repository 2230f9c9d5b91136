/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/response.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/http/scan.h"

void http_response_init(struct http_response *response, bool is_to_head,
                        int (*on_body)(void *ctx, int status, struct slice piece), void *ctx) {
    memset(response, 0, offsetof(struct http_response, line));
    response->is_to_head = is_to_head;
    response->on_body = on_body;
    response->ctx = ctx;
}

static int bad(struct err *err, const char *what) {
    return err_set(err, -EPROTO, "the answer is not HTTP: %s", what);
}

static bool is_name(struct slice name, const char *lower) {
    return name.n == strlen(lower) && strncasecmp(name.p, lower, name.n) == 0;
}

/* "HTTP/1.1 200 OK" */
static int take_status(struct http_response *response, struct slice line, struct err *err) {
    if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || !is_digit(line.p[7]) ||
        line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
        return bad(err, "it does not begin with a status line");
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (!is_digit(line.p[i])) return bad(err, "its status is not a number");
        status = status * 10 + (line.p[i] - '0');
    }
    response->status = status;
    response->is_chunked = false;
    response->has_length = false;
    response->left_bytes = 0;
    response->state = HTTP_RESPONSE_FIELDS;
    return 0;
}

static int take_length(struct http_response *response, struct slice value, struct err *err) {
    uint64_t length = 0;
    if (value.n == 0 || value.n > 19) return bad(err, "its length is not a number");
    for (size_t i = 0; i < value.n; i++) {
        if (!is_digit(value.p[i])) return bad(err, "its length is not a number");
        length = length * 10 + (uint64_t)(value.p[i] - '0');
    }
    if (response->has_length && response->left_bytes != length)
        return bad(err, "it has two lengths");
    response->has_length = true;
    response->left_bytes = length;
    return 0;
}

static void begin_body(struct http_response *response) {
    const int status = response->status;
    if (status >= 100 && status < 200)
        response->state = HTTP_RESPONSE_STATUS;
    else if (response->is_to_head || status == 204 || status == 304)
        response->state = HTTP_RESPONSE_DONE;
    else if (response->is_chunked)
        response->state = HTTP_RESPONSE_CHUNK_SIZE;
    else if (!response->has_length)
        response->state = HTTP_RESPONSE_TO_CLOSE;
    else
        response->state = response->left_bytes > 0 ? HTTP_RESPONSE_BODY : HTTP_RESPONSE_DONE;
}

static int take_field(struct http_response *response, struct slice line, struct err *err) {
    if (line.n == 0) {
        if (response->is_chunked && response->has_length)
            return bad(err, "it has a length and is chunked");
        begin_body(response);
        return 0;
    }
    const char *colon = memchr(line.p, ':', line.n);
    if (colon == NULL) return bad(err, "a header line has no colon");
    const struct slice name = slice_of(line.p, (size_t)(colon - line.p));
    const struct slice value = trim(colon + 1, line.p + line.n);
    if (is_name(name, "content-length")) return take_length(response, value, err);
    if (is_name(name, "transfer-encoding")) {
        if (!is_name(value, "chunked")) return bad(err, "its transfer coding is unknown");
        response->is_chunked = true;
    }
    return 0;
}

static int take_chunk_size(struct http_response *response, struct slice line, struct err *err) {
    uint64_t size = 0;
    size_t i = 0;
    for (int digit; i < line.n && (digit = hex_value(line.p[i])) >= 0; i++) {
        if (size >> 56 != 0) return bad(err, "a chunk is too large");
        size = size * 16 + (uint64_t)digit;
    }
    if (i == 0 || (i < line.n && line.p[i] != ';' && line.p[i] != ' '))
        return bad(err, "the size of a chunk is not a number");
    response->left_bytes = size;
    response->state = size > 0 ? HTTP_RESPONSE_CHUNK : HTTP_RESPONSE_TRAILERS;
    return 0;
}

static int take_line(struct http_response *response, struct slice line, struct err *err) {
    switch (response->state) {
    case HTTP_RESPONSE_STATUS:
        return take_status(response, line, err);
    case HTTP_RESPONSE_FIELDS:
        return take_field(response, line, err);
    case HTTP_RESPONSE_CHUNK_SIZE:
        return take_chunk_size(response, line, err);
    case HTTP_RESPONSE_CHUNK_END:
        if (line.n > 0) return bad(err, "a chunk is longer than its size");
        response->state = HTTP_RESPONSE_CHUNK_SIZE;
        return 0;
    case HTTP_RESPONSE_TRAILERS:
        if (line.n == 0) response->state = HTTP_RESPONSE_DONE;
        return 0;
    default:
        ASSERT(false); /* no line is collected in a body */
        return 0;
    }
}

/* Moves bytes up to the next LF into the line, and takes it when it is whole. `*used` bytes of
 * `bytes` are then dealt with. */
static int collect_line(struct http_response *response, struct slice bytes, size_t *used,
                        struct err *err) {
    const char *line_end = memchr(bytes.p, '\n', bytes.n);
    *used = line_end == NULL ? bytes.n : (size_t)(line_end - bytes.p) + 1;
    if (*used > sizeof response->line - response->line_bytes)
        return bad(err, "a line of it is too long");
    memcpy(response->line + response->line_bytes, bytes.p, *used);
    response->line_bytes += *used;
    if (line_end == NULL) return 0;
    size_t n = response->line_bytes - 1;
    if (n > 0 && response->line[n - 1] == '\r') n--;
    response->line_bytes = 0;
    const bool is_framing =
        response->state == HTTP_RESPONSE_CHUNK_SIZE || response->state == HTTP_RESPONSE_CHUNK_END;
    if (!is_framing && ++response->lines_count > HTTP_RESPONSE_LINES_MAX)
        return bad(err, "it has too many header lines");
    return take_line(response, slice_of(response->line, n), err);
}

static int pass_body(struct http_response *response, struct slice bytes, size_t *used) {
    *used = bytes.n;
    if (response->state != HTTP_RESPONSE_TO_CLOSE) {
        *used = response->left_bytes < bytes.n ? (size_t)response->left_bytes : bytes.n;
        response->left_bytes -= *used;
    }
    const int result = response->on_body(response->ctx, response->status, slice_of(bytes.p, *used));
    if (response->left_bytes == 0 && response->state == HTTP_RESPONSE_BODY)
        response->state = HTTP_RESPONSE_DONE;
    if (response->left_bytes == 0 && response->state == HTTP_RESPONSE_CHUNK)
        response->state = HTTP_RESPONSE_CHUNK_END;
    return result;
}

int http_response_take(struct http_response *response, struct slice bytes, struct err *err) {
    while (bytes.n > 0 && response->state != HTTP_RESPONSE_DONE) {
        const bool is_body = response->state == HTTP_RESPONSE_BODY ||
                             response->state == HTTP_RESPONSE_CHUNK ||
                             response->state == HTTP_RESPONSE_TO_CLOSE;
        size_t used;
        const int result =
            is_body ? pass_body(response, bytes, &used) : collect_line(response, bytes, &used, err);
        if (result != 0) return result;
        bytes = slice_of(bytes.p + used, bytes.n - used);
    }
    return 0;
}

int http_response_close(struct http_response *response, struct err *err) {
    if (response->state == HTTP_RESPONSE_TO_CLOSE) response->state = HTTP_RESPONSE_DONE;
    if (response->state == HTTP_RESPONSE_DONE) return 0;
    if (response->state == HTTP_RESPONSE_STATUS)
        return err_set(err, -EPIPE, "the connection was closed without an answer");
    return err_set(err, -EPIPE, "the answer was cut short");
}
