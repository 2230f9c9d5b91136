/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes.h"

#include <string.h>

#include "api/admin.h"
#include "api/admin_access.h"
#include "api/health.h"
#include "api/issue.h"
#include "api/live.h"
#include "api/metrics.h"
#include "api/page.h"
#include "api/status.h"
#include "api/user.h"

#define GET (1u << HTTP_GET | 1u << HTTP_HEAD)
#define POST (1u << HTTP_POST)

#define PLAIN(path, methods, handle) {{path, sizeof(path) - 1}, false, methods, handle}
#define WITH_PARAMETERS(path, methods, handle) {{path, sizeof(path) - 1}, true, methods, handle}
#define END {{NULL, 0}, false, 0, NULL}

/* In order of how often they are asked for. */
#define PUBLIC_ROUTES                                                                              \
    PLAIN("/api/v1/coupons/issue", POST, issue_handle),                                            \
        WITH_PARAMETERS("/api/v1/coupons/user/{}/event/{}", GET, user_handle),                     \
        WITH_PARAMETERS("/api/v1/coupons/status/{}", GET, status_handle),                          \
        PLAIN("/health", GET, health_handle), PLAIN("/livez", GET, health_handle_live),            \
        PLAIN("/readyz", GET, health_handle_ready)

const struct route public_routes[] = {PUBLIC_ROUTES, END};
const struct route public_routes_with_metrics[] = {PUBLIC_ROUTES,
                                                   PLAIN("/metrics", GET, metrics_handle), END};

const struct route admin_routes[] = {
    PLAIN("/admin/v1/events", GET, admin_handle_list),
    PLAIN("/admin/v1/events", POST, admin_handle_create),
    WITH_PARAMETERS("/admin/v1/events/{}", GET, admin_handle_show),
    WITH_PARAMETERS("/admin/v1/events/{}/export", GET, admin_handle_export),
    WITH_PARAMETERS("/admin/v1/events/{}/restock", POST, admin_handle_restock),
    WITH_PARAMETERS("/admin/v1/events/{}/reschedule", POST, admin_handle_reschedule),
    WITH_PARAMETERS("/admin/v1/events/{}/pause", POST, admin_handle_pause),
    WITH_PARAMETERS("/admin/v1/events/{}/resume", POST, admin_handle_resume),
    WITH_PARAMETERS("/admin/v1/events/{}/close", POST, admin_handle_close),
    WITH_PARAMETERS("/admin/v1/events/{}/return", POST, admin_handle_return),
    PLAIN("/admin/v1/views", GET, admin_handle_views),
    PLAIN("/health", GET, health_handle),
    PLAIN("/livez", GET, health_handle_live),
    PLAIN("/readyz", GET, health_handle_ready),
    PLAIN("/metrics", GET, metrics_handle),
    PLAIN("/admin/v1/stream", GET, live_handle),
    PLAIN("/admin/v1/login", POST, admin_handle_login),
    PLAIN("/admin/v1/logout", POST, admin_handle_logout),
    PLAIN("/", GET, page_handle),
    WITH_PARAMETERS("/console/{}", GET, page_handle_file),
    END,
};
static_assert(ARRAY_LEN(admin_routes) <= COUNTED_ROUTES_MAX &&
                  ARRAY_LEN(public_routes_with_metrics) <= COUNTED_ROUTES_MAX,
              "each route is counted");

/* Does `path` fit `pattern`? {} takes one segment that is not empty. */
static bool path_fits(struct slice pattern, struct slice path, struct slice parameters[2]) {
    size_t at = 0, count = 0;
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] != '{') {
            if (at == path.n || path.p[at++] != pattern.p[i]) return false;
            continue;
        }
        const char *slash = memchr(path.p + at, '/', path.n - at);
        size_t n = slash == NULL ? path.n - at : (size_t)(slash - path.p) - at;
        if (n == 0) return false;
        parameters[count++] = slice_of(path.p + at, n);
        at += n;
        i++; /* the closing brace */
    }
    return at == path.n;
}

const struct route *route_find(const struct route *routes, const struct http_request *request,
                               struct slice parameters[2], unsigned *allowed) {
    *allowed = 0;
    for (const struct route *route = routes; route->path.p != NULL; route++) {
        bool fits = route->has_parameters ? path_fits(route->path, request->path, parameters)
                                          : slice_eq(route->path, request->path);
        if (!fits) continue;
        if (route->methods & 1u << request->method) return route;
        *allowed |= route->methods;
    }
    return NULL;
}

const char *route_method_names(unsigned methods) {
    return methods == (GET | POST) ? "GET, HEAD, POST" : methods == GET ? "GET, HEAD" : "POST";
}

void route_refuse(struct exchange *exchange, unsigned allowed) {
    if (allowed == 0) {
        exchange_problem(exchange, (struct problem){.status = 404,
                                                    .code = "not_found",
                                                    .detail = "There is nothing at this path."});
        return;
    }
    struct body fields = {0};
    body_printf(&fields, "Allow: %s\r\n", route_method_names(allowed));
    exchange_problem(exchange,
                     (struct problem){.status = 405,
                                      .code = "method_not_allowed",
                                      .detail = "This path does not know this method; see Allow.",
                                      .fields = body_slice(&fields)});
}
