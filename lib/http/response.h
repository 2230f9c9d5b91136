/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP/1.1 answer from bytes as they arrive; the body goes out in pieces, so it may be of any
 * size. Interim answers (1xx) are skipped. Pure; for the client of lib/http.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"

enum { HTTP_RESPONSE_LINE_BYTES_MAX = 16384, HTTP_RESPONSE_LINES_MAX = 1000 };

enum http_response_state {
    HTTP_RESPONSE_STATUS,
    HTTP_RESPONSE_FIELDS,
    HTTP_RESPONSE_BODY,     /* `left_bytes` of it to come */
    HTTP_RESPONSE_TO_CLOSE, /* all that comes is body */
    HTTP_RESPONSE_CHUNK_SIZE,
    HTTP_RESPONSE_CHUNK, /* `left_bytes` of it to come */
    HTTP_RESPONSE_CHUNK_END,
    HTTP_RESPONSE_TRAILERS,
    HTTP_RESPONSE_DONE,
};

struct http_response {
    enum http_response_state state;
    int status;
    bool is_to_head; /* the request was HEAD: there is no body */
    bool is_chunked;
    bool has_length;
    uint64_t left_bytes;
    /* Where the body goes; other than 0 ends the reading with that value. */
    int (*on_body)(void *ctx, int status, struct slice piece);
    void *ctx;
    size_t lines_count;
    size_t line_bytes;
    char line[HTTP_RESPONSE_LINE_BYTES_MAX];
};

void http_response_init(struct http_response *response, bool is_to_head,
                        int (*on_body)(void *ctx, int status, struct slice piece), void *ctx);

/* The next bytes of the connection. Reads no further than the answer's end (state DONE). 0, what
 * on_body returned, or -EPROTO with a sentence in err. */
int http_response_take(struct http_response *response, struct slice bytes,
                       struct err *err) MUST_CHECK;

/* The connection was closed. 0 when that ends the answer, else -EPIPE with a sentence in err. */
int http_response_close(struct http_response *response, struct err *err) MUST_CHECK;
