/* SPDX-License-Identifier: Apache-2.0
 *
 * A small blocking HTTP/1.1 client for command-line use: one request, one answer, one connection.
 * Understands Content-Length, chunked and read-to-close bodies. Not for the load generator.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

struct http_url { /* http://host[:port][/path]; IPv6 in brackets; a '/' at the end is dropped */
    char host[256];
    char port[6];
    char path[1024]; /* "" or begins with '/' */
};
int http_url_parse(struct http_url *url, const char *text, struct err *err) MUST_CHECK;

struct http_call {
    const char *method;
    const char *path;   /* appended to the url's */
    const char *bearer; /* token, or NULL */
    struct slice body;  /* sent as application/json when not empty */
    int timeout_ms;     /* for connect and for each silence */
    /* Where the body of a 200 goes, piece by piece; NULL: into `out`. Other than 0 stops. */
    int (*on_body)(void *ctx, struct slice piece);
    void *ctx;
};

/* Sends `call` to `url`; `*status` is the answer's. The body (of any status without on_body, of
 * anything but 200 with it) is put into `out`. 0, or a negative errno with a sentence in err (no
 * connection, time-out, an answer cut short). */
int http_client_call(const struct http_url *url, const struct http_call *call, int *status,
                     struct buf *out, struct err *err) MUST_CHECK;
