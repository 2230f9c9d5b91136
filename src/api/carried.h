/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request brings along that goes with its answer, whatever that is, and with what is logged
 * of it: the origin of the page that sent it (cors.h), X-Request-Id, and traceparent (W3C Trace
 * Context). The ids are for whoever follows a request through several programs; one that is
 * malformed is treated as if it had not come, because no claim should fail for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/cors.h"
#include "lib/http/request.h"
#include "lib/slice.h"

struct output;
struct problem;

enum { REQUEST_ID_BYTES_MAX = 64, TRACEPARENT_BYTES = 55 };

/* All empty: nothing. The slices are as long-lived as the request. */
struct carried {
    bool is_cors;        /* the answer depends on the origin */
    struct slice origin; /* a listed one, in memory that stays */
    struct slice request_id;
    struct slice traceparent;
};

/* What `request` carries; `origins` is NULL where no page is spoken to. */
struct carried carried_by(const struct http_request *request, const struct origins *origins);
/* Most carry nothing: then there is no need to ask. */
static inline bool carried_may_be(const struct http_request *request,
                                  const struct origins *origins) {
    return request->x_request_id.p != NULL || request->traceparent.p != NULL ||
           (origins != NULL && origins->count != 0);
}

/* 1 to 64 of A-Z a-z 0-9 . _ ~ : @ + / = - */
bool request_id_is_valid(struct slice id);
/* The 55 bytes of version, trace id, parent id and flags at the start of `value`; empty when they
 * are malformed. */
struct slice traceparent_read(struct slice value);

/* For answers that come later. */
struct carried_copy {
    struct slice origin;
    bool is_cors;
    uint8_t request_id_bytes, traceparent_bytes;
    char request_id[REQUEST_ID_BYTES_MAX];
    char traceparent[TRACEPARENT_BYTES];
};
void carried_keep(struct carried_copy *copy, const struct carried *carried);
/* Borrows the ids of `copy`. */
struct carried carried_of(const struct carried_copy *copy);

static inline bool carried_is_empty(const struct carried *carried) {
    return !carried->is_cors && carried->request_id.n == 0;
}
/* The header lines of an answer to who carried this. */
void carried_write_fields(struct output *out, const struct carried *carried);

/* Logs a problem of the server's own (5xx), at most once a second, with the ids. */
void carried_log(const struct carried *carried, const struct problem *problem);
/* The same of a streamed answer that ended before it was whole. */
void carried_log_dropped(const struct carried *carried);
