/* SPDX-License-Identifier: Apache-2.0
 *
 * Which handler answers which method and path. The public and the admin listener have a table each.
 */
#pragma once

#include <stdbool.h>

#include "api/connection.h"
#include "lib/slice.h"

struct route {
    struct slice path; /* "/api/v1/coupons/status/{}": {} stands for one segment */
    bool has_parameters;
    unsigned methods; /* bits 1 << enum http_method */
    void (*handle)(struct exchange *exchange);
};

extern const struct route public_routes[];
extern const struct route public_routes_with_metrics[];
extern const struct route admin_routes[];

/* Where the replies of a route of the server's table are counted; NULL: of what has no route. */
static inline struct counter *route_replies(struct server *server, const struct route *route) {
    size_t row = route == NULL ? COUNTED_ROUTES_MAX : (size_t)(route - server->routes);
    return server->counts.replies[row];
}

/* The route of the request and its parameters; NULL with `*allowed` = 0 for an unknown path, or the
 * methods that the path knows. */
const struct route *route_find(const struct route *routes, const struct http_request *request,
                               struct slice parameters[2], unsigned *allowed);

/* "GET, HEAD": as a header field lists them. */
const char *route_method_names(unsigned methods);

/* Answers 404 or 405. */
void route_refuse(struct exchange *exchange, unsigned allowed);
