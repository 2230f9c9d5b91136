/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks a running server where its views are: GET /admin/v1/views.
 */
#pragma once

#include "lib/base.h"
#include "lib/http/client.h"
#include "verify/decision.h"

struct verify_views {
    struct http_url url;
    const char *token;
    int timeout_ms;
};

/* view_source.points; `ctx` is a struct verify_views. */
int verify_views_points(void *ctx, struct view_point *points, size_t max, size_t *count,
                        struct err *err) MUST_CHECK;

/* Reads the body of the answer. -EBADMSG when it is another one. */
int verify_views_read(struct slice body, struct view_point *points, size_t max,
                      size_t *count) MUST_CHECK;
