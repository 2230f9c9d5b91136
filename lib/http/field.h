/* SPDX-License-Identifier: Apache-2.0
 *
 * One header line at a time: split into name and value, and what its value means for the request.
 * Used by the head of a request and by the trailers of a chunked body. Pure.
 */
#pragma once

#include <stdbool.h>

#include "lib/http/refusal.h"
#include "lib/http/request.h"
#include "lib/slice.h"

/* What the fields have said so far. Begin with {.request = …, .body_bytes_max = …}. */
struct http_fields {
    struct http_request *request;
    size_t body_bytes_max;
    bool has_host;
    bool has_length;
    bool is_close;      /* Connection: close */
    bool is_keep_alive; /* Connection: keep-alive */
    bool is_expecting;  /* Expect: 100-continue */
};

/* NULL when `name` is a token. */
const struct http_refusal *http_field_name(struct slice name);

/* Splits `line` (not empty, free of control bytes other than tabs; its CR LF stands behind it) into
 * a name and a value without the white space around it. */
const struct http_refusal *http_field_split(struct slice line, struct slice *name,
                                            struct slice *value);

/* Takes one field into `fields`; checks that its name, free of control bytes, is a token. */
const struct http_refusal *http_field_take(struct http_fields *fields, struct slice name,
                                           struct slice value);

/* After the last field: what only all of them together tell. Sets keep_alive, has_body and
 * expects_continue of the request. */
const struct http_refusal *http_fields_finish(struct http_fields *fields);

/* True when `host` is a host with perhaps a port, as in Host and in an absolute target. A byte that
 * cannot be part of one stands behind it. */
bool http_is_host(struct slice host);
