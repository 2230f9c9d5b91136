/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 requests from bytes (RFC 9112), strict: what two readers could understand differently is
 * refused, because a request that a proxy frames otherwise than we do is a security hole.
 *
 * Pure: no I/O, no allocation; slices point into the bytes given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"

struct http_limits {
    size_t request_line_bytes; /* 8,192; longer: 414 */
    size_t headers_bytes;      /* 16,384; longer: 431 */
    size_t headers_count;      /* 100; more: 431 */
    size_t body_bytes;         /* 4,096; longer: 413 */
};

enum { HTTP_FORWARDED_LINES_MAX = 4 };

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_OTHER
};

/* The fields that a server of ours looks at; p is NULL when absent. A second one of any of these is
 * refused with 400 (except Accept, Expect, X-Forwarded-Proto and Cookie, where the last one counts,
 * X-Forwarded-For, of which the last few are kept, and Connection, whose options add up). */
struct http_request {
    enum http_method method;
    struct slice method_text;
    struct slice target;   /* as sent */
    struct slice path;     /* of origin-form or absolute-form, without the query; still encoded */
    struct slice query;    /* without '?'; empty when none */
    uint8_t minor_version; /* 0 or 1 */
    bool keep_alive;       /* by version and Connection */
    bool expects_continue; /* Expect: 100-continue from a 1.1 client with a body to come */
    bool is_chunked;
    bool has_body;          /* Content-Length > 0 or chunked */
    uint64_t content_bytes; /* of Content-Length; 0 when chunked or absent */
    struct slice content_type, authorization, idempotency_key, cookie, origin, accept,
        x_forwarded_proto, x_request_id, traceparent, sec_fetch_site;
    struct slice host; /* of Host, whatever the target says */
    /* Its last lines, the very last first. */
    struct slice x_forwarded_for[HTTP_FORWARDED_LINES_MAX];
};

enum http_parse {
    HTTP_PARSE_DONE,
    HTTP_PARSE_MORE, /* cut short: come back with more bytes behind the same ones */
    HTTP_PARSE_BAD,  /* refused: status and what it says; the connection must be closed */
};

struct http_refusal {
    int status;       /* 400, 413, 414, 417, 431, 505 */
    const char *code; /* stable, for machines: "bad_request_line", "conflicting_length", … (see
                         lib/http/refusal.h) */
    const char *text; /* one sentence for people */
};

/* How far the search for the end of the head has come, so that a head that arrives byte by byte is
 * not searched again and again. Zero for a new request. */
struct http_progress {
    size_t scanned;     /* bytes that were looked at and left the request unfinished */
    size_t limit_bytes; /* more of them than this pass a limit */
};

/* Reads one request head from the start of `bytes`. Leading empty lines (CRLF) are skipped, at most
 * two. On DONE `*head_bytes` is where the body begins; asked again with more bytes behind the same
 * head it says the same. The limits are enforced as soon as they are passed, not only when the head
 * is complete. */
enum http_parse http_parse_head(struct slice bytes, const struct http_limits *limits,
                                struct http_progress *progress, struct http_request *request,
                                size_t *head_bytes, struct http_refusal *refusal);

/* Reads the body that `request` announced from the start of `bytes` (what is behind the head). A
 * chunked body is joined in place: `bytes` is changed up to `*consumed_bytes` and only then (on
 * MORE nothing is changed). Chunk extensions are skipped, trailers are checked and dropped. Sizes,
 * extensions and line ends may take limits->body_bytes + 1,024 bytes in all (else 413), trailers as
 * much as the fields of the head (else 431).
 * On DONE `*body` is the content and the next request begins at `*consumed_bytes`. */
enum http_parse http_parse_body(char *bytes, size_t n, const struct http_limits *limits,
                                const struct http_request *request, struct slice *body,
                                size_t *consumed_bytes, struct http_refusal *refusal);

/* Decodes %XX of a path segment into `out` (room for `segment.n` bytes); the decoded length, or -1
 * when an escape is malformed or decodes to NUL. */
ptrdiff_t http_percent_decode(struct slice segment, char *out);

/* True when `media` (a Content-Type value) is application/json with no charset or with utf-8. */
bool http_is_json(struct slice content_type);
