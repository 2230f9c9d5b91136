/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a request (RFC 9112 sections 6 and 7.1).
 *
 *     *( size [ext] CRLF  content CRLF )  "0" [ext] CRLF  *( trailer CRLF )  CRLF
 *
 * A chunked body is first read to its end without a change, and then joined.
 */
#include "lib/http/field.h"
#include "lib/http/line.h"
#include "lib/http/refusal.h"
#include "lib/http/request.h"
#include "lib/http/scan.h"

/* Sizes, extensions and line ends may take this much more than the content's own limit. */
enum { FRAMING_BYTES_MORE = 1024 };

struct chunks {
    const char *p; /* next size line */
    const char *end;
    size_t content_left;
    size_t framing_left;
};

/* The digits at `p`; no more than `max` is read. Returns where they end. */
static const char *read_hex(const char *p, const char *end, size_t max, size_t *number) {
    *number = 0;
    /* No wrap: max is the limit of a body, or the number was read before. */
    for (int digit; p < end && *number <= max && (digit = hex_value(*p)) >= 0; p++)
        *number = *number * 16 + (size_t)digit;
    return p;
}

static enum http_parse read_size(struct chunks *chunks, size_t *size,
                                 const struct http_refusal **refusal) {
    const size_t bytes = (size_t)(chunks->end - chunks->p);
    const char *limit = chunks->p + size_min(bytes, chunks->framing_left + 1);
    const char *p = read_hex(chunks->p, limit, chunks->content_left, size);
    if (*size > chunks->content_left) {
        *refusal = HTTP_REFUSE(BODY_TOO_LARGE);
        return HTTP_PARSE_BAD;
    }
    if (p < limit && (p == chunks->p || (*p != '\r' && *p != ';'))) {
        *refusal = HTTP_REFUSE(BAD_CHUNK);
        return HTTP_PARSE_BAD;
    }
    struct slice line;
    struct http_reader reader = {.p = chunks->p, .end = chunks->end};
    http_reader_begin(&reader, chunks->framing_left);
    *refusal = HTTP_REFUSE(CHUNKS_TOO_SMALL);
    const enum http_line found = http_line_next(&reader, true, &line, refusal);
    if (found != LINE_WHOLE) return found == LINE_MORE ? HTTP_PARSE_MORE : HTTP_PARSE_BAD;
    chunks->framing_left -= size_min(chunks->framing_left, (size_t)(reader.p - chunks->p));
    chunks->p = reader.p;
    return HTTP_PARSE_DONE;
}

/* Steps over the content of a chunk and its CR LF. */
static enum http_parse skip_content(struct chunks *chunks, size_t size,
                                    const struct http_refusal **refusal) {
    const size_t bytes = (size_t)(chunks->end - chunks->p);
    *refusal = HTTP_REFUSE(BAD_CHUNK);
    if (bytes > size && chunks->p[size] != '\r') return HTTP_PARSE_BAD;
    if (bytes > size + 1 && chunks->p[size + 1] != '\n') return HTTP_PARSE_BAD;
    if (bytes < size + 2) return HTTP_PARSE_MORE;
    chunks->p += size + 2;
    chunks->content_left -= size;
    chunks->framing_left -= size_min(chunks->framing_left, 2);
    return HTTP_PARSE_DONE;
}

static const struct http_refusal *check_trailer(struct slice line) {
    struct slice name, value;
    return http_field_split(line, &name, &value);
}

static enum http_parse skip_trailers(struct chunks *chunks, const struct http_limits *limits,
                                     const struct http_refusal **refusal) {
    struct http_reader reader = {.p = chunks->p, .end = chunks->end};
    http_reader_begin(&reader, limits->headers_bytes);
    for (size_t count = 0;; count++) {
        struct slice line;
        *refusal = HTTP_REFUSE(FIELDS_TOO_LARGE);
        const enum http_line found = http_line_next(&reader, true, &line, refusal);
        if (found != LINE_WHOLE) return found == LINE_MORE ? HTTP_PARSE_MORE : HTTP_PARSE_BAD;
        if (line.n == 0) break;
        *refusal =
            count < limits->headers_count ? check_trailer(line) : HTTP_REFUSE(TOO_MANY_FIELDS);
        if (*refusal != NULL) return HTTP_PARSE_BAD;
    }
    chunks->p = reader.p;
    return HTTP_PARSE_DONE;
}

/* Reads to the end of the body. */
static enum http_parse check_chunks(struct chunks *chunks, const struct http_limits *limits,
                                    const struct http_refusal **refusal) {
    for (;;) {
        size_t size;
        enum http_parse result = read_size(chunks, &size, refusal);
        if (result != HTTP_PARSE_DONE) return result;
        if (size == 0) return skip_trailers(chunks, limits, refusal);
        result = skip_content(chunks, size, refusal);
        if (result != HTTP_PARSE_DONE) return result;
    }
}

/* Moves the content of the chunks at `bytes`, which are known to be good, to their front. */
static size_t join_chunks(char *bytes, const char *end) {
    const char *p = bytes;
    size_t joined = 0;
    for (;;) {
        size_t size;
        p = read_hex(p, end, SIZE_MAX / 16 - 1, &size);
        p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
        if (size == 0) return joined;
        memmove(bytes + joined, p, size);
        joined += size;
        p += size + 2;
    }
}

static enum http_parse read_chunked(char *bytes, size_t n, const struct http_limits *limits,
                                    struct slice *body, size_t *consumed_bytes,
                                    const struct http_refusal **refusal) {
    struct chunks chunks = {
        .p = bytes,
        .end = bytes + n,
        .content_left = limits->body_bytes,
        .framing_left = limits->body_bytes + FRAMING_BYTES_MORE,
    };
    const enum http_parse result = check_chunks(&chunks, limits, refusal);
    if (result != HTTP_PARSE_DONE) return result;
    *consumed_bytes = (size_t)(chunks.p - bytes);
    *body = slice_of(bytes, join_chunks(bytes, chunks.p));
    return HTTP_PARSE_DONE;
}

enum http_parse http_parse_body(char *bytes, size_t n, const struct http_limits *limits,
                                const struct http_request *request, struct slice *body,
                                size_t *consumed_bytes, struct http_refusal *refusal) {
    const struct http_refusal *reason = HTTP_REFUSE(BODY_TOO_LARGE);
    enum http_parse result = HTTP_PARSE_DONE;
    if (request->is_chunked) {
        result = read_chunked(bytes, n, limits, body, consumed_bytes, &reason);
    } else if (request->content_bytes > limits->body_bytes) {
        result = HTTP_PARSE_BAD;
    } else if (request->content_bytes > n) {
        result = HTTP_PARSE_MORE;
    } else {
        *body = slice_of(bytes, request->content_bytes);
        *consumed_bytes = request->content_bytes;
    }
    if (result == HTTP_PARSE_BAD) *refusal = *reason;
    return result;
}
