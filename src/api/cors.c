/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cors.h"

#include "api/connection.h"
#include "api/routes.h"
#include "lib/http/field.h"

static bool is_small(struct slice text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] >= 'A' && text.p[i] <= 'Z') return false;
    return true;
}

static bool ends_with(struct slice text, struct slice end) {
    return text.n > end.n && memcmp(text.p + text.n - end.n, end.p, end.n) == 0;
}

/* scheme://host[:port] as a browser serializes it (RFC 6454, section 6.2). */
static bool is_origin(struct slice text) {
    struct slice host = text, scheme = slice_cut(&host, ':');
    if (scheme.n == 0 || text.n > ORIGIN_BYTES_MAX || host.n < 3 || memcmp(host.p, "//", 2) != 0)
        return false;
    host = slice_of(host.p + 2, host.n - 2);
    bool has_default_port = (slice_eq(scheme, SLICE("https")) && ends_with(host, SLICE(":443"))) ||
                            (slice_eq(scheme, SLICE("http")) && ends_with(host, SLICE(":80")));
    return is_small(text) && http_field_name(scheme) == NULL && http_is_host(host) &&
           host.p[host.n - 1] != ':' && !has_default_port;
}

bool origins_parse(struct slice text, struct origins *origins, struct slice *bad) {
    origins->count = 0;
    if (slice_eq(text, SLICE("none"))) return true;
    do {
        *bad = slice_trim(slice_cut(&text, ','));
        if (origins->count == ORIGINS_MAX || !is_origin(*bad)) return false;
        struct origin *origin = &origins->list[origins->count++];
        origin->bytes = (uint8_t)bad->n;
        memcpy(origin->text, bad->p, bad->n);
    } while (text.n != 0);
    return true;
}

struct slice origins_find(const struct origins *origins, struct slice origin) {
    for (uint32_t i = 0; i < origins->count; i++) {
        struct slice listed = slice_of(origins->list[i].text, origins->list[i].bytes);
        if (slice_eq(listed, origin)) return listed;
    }
    return slice_of(NULL, 0);
}

void cors_write_fields(struct output *out, struct slice origin) {
    output_add_literal(out, "Vary: Origin\r\n");
    if (origin.n == 0) return;
    output_add_literal(out, "Access-Control-Allow-Origin: ");
    output_add_slice(out, origin);
    output_add_literal(out, "\r\nAccess-Control-Expose-Headers: Retry-After, RateLimit, "
                            "RateLimit-Policy, Idempotent-Replayed, X-Request-Id\r\n");
}

bool cors_handle_preflight(struct exchange *exchange, unsigned allowed) {
    const struct carried *carried = &exchange->server->out.carried;
    if (exchange->request->method != HTTP_OPTIONS || carried->origin.n == 0 || allowed == 0)
        return false;
    struct body fields = {0};
    body_printf(&fields,
                "Access-Control-Allow-Methods: %s\r\n"
                "Access-Control-Allow-Headers: Content-Type, Authorization, Idempotency-Key, "
                "traceparent, X-Request-Id\r\n"
                "Access-Control-Max-Age: 7200\r\n", /* browsers keep it no longer */
                route_method_names(allowed));
    exchange_reply(exchange, (struct reply){.status = 204, .fields = body_slice(&fields)});
    return true;
}
