/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers as bytes. A reply is a head (status, Date, type, length, extra fields) and a body; every
 * refusal is problem+json (RFC 9457) with a stable `code`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/output.h"
#include "lib/rfc3339.h"
#include "lib/slice.h"

struct reply {
    int status;          /* 204: no type, no body */
    struct slice fields; /* extra header lines, each with its CRLF */
    struct slice type;   /* of the body; empty: application/json */
    struct slice body;
    bool close;     /* Connection: close */
    bool head_only; /* answer to HEAD: the body is counted, not sent */
};

void reply_write(struct output *out, const char date[HTTP_DATE_BYTES], const struct reply *reply);

/* The head of a reply with status 200 whose body follows in chunks, or to the end of the connection
 * when `chunked` is false. */
void reply_write_stream_head(struct output *out, const char date[HTTP_DATE_BYTES],
                             const struct reply *reply, bool chunked);

struct problem {
    int status;
    const char *code;   /* "unknown_event": stable */
    const char *detail; /* one sentence: what was wrong, what to do; any text */
    const char *field;  /* the field at fault, NULL when none */
    struct slice fields; /* extra header lines */
    uint32_t retry_after_s; /* 0: no Retry-After */
};

void reply_write_problem(struct output *out, const char date[HTTP_DATE_BYTES],
                         const struct problem *problem, bool close, bool head_only);

/* "OK", "Not Found", … */
const char *reply_reason(int status);

/* The answer to a loser of a sold-out event, ready to copy: it is the same for everybody. Made anew
 * once a second, for its Date. */
struct sold_out_reply {
    size_t n;
    size_t fields_n; /* of the bytes: the head, without the empty line at its end */
    char bytes[512];
};
void sold_out_reply_make(struct sold_out_reply *reply, const char date[HTTP_DATE_BYTES]);
void sold_out_reply_write(struct output *out, const struct sold_out_reply *reply);

/* Bodies are made in a small buffer of the caller's. */
struct body {
    size_t n;
    char bytes[8 * 1024];
};
void body_printf(struct body *body, const char *format, ...) PRINTF_LIKE(2, 3);
void body_add(struct body *body, struct slice text);
void body_add_json_string(struct body *body, struct slice text); /* with quotes, escaped */
/* An instant as a JSON string, or null for TIME_MS_MIN and TIME_MS_MAX. */
void body_add_instant(struct body *body, int64_t ms);
static inline struct slice body_slice(const struct body *body) {
    return slice_of(body->bytes, body->n);
}
