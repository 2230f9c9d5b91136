/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin_access.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/console.h"
#include "api/gate.h"
#include "lib/logger.h"

enum { HELD_STEP_MS = 50, COOKIE_BYTES_MAX = 256 };

static struct logger_limit failed_limit;

/* ---- what is refused, and how ---- */

static const struct problem unauthorized = {
    .status = 401,
    .code = "unauthorized",
    .detail = "The admin routes need Authorization: Bearer with the admin token, or a session.",
    .fields = {"WWW-Authenticate: Bearer\r\nCache-Control: no-store\r\n", 51}};

static const struct problem slow_down = {
    .status = 429,
    .code = "too_many_failures",
    .detail = "Wrong tokens came from this address, and their answers are still held back.",
    .retry_after_s = 8};

static void refuse_for_now(struct exchange *exchange) {
    counter_add(&exchange->server->counts.logins[LOGIN_HELD_OFF], 1);
    exchange_problem(exchange, slow_down);
}

static void refuse_other_site(struct exchange *exchange) {
    exchange_problem(
        exchange, (struct problem){
                      .status = 403,
                      .code = "cross_site",
                      .detail = "With a session, a change must come from a page of this origin."});
}

bool admin_refuses_type(struct exchange *exchange) {
    if (exchange->body.n == 0 || http_is_json(exchange->request->content_type)) return false;
    exchange_problem(exchange, (struct problem){.status = 415,
                                                .code = "unsupported_media_type",
                                                .detail = "Content-Type must be application/json.",
                                                .field = "Content-Type"});
    return true;
}

void admin_refuse_body(struct exchange *exchange, const struct admin_request *request) {
    exchange_problem(exchange, (struct problem){.status = request->status,
                                                .code = request->code,
                                                .detail = request->detail,
                                                .field = request->field});
}

/* ---- held answers ---- */

static void write_unauthorized(struct server *server, const struct waiting *place) {
    reply_write_problem(&server->out, server->date, &unauthorized, place->close, place->head_only);
}

/* The timer stands where for other places the engine does. */
static void release(struct server *server, struct held *held) {
    guard_release(held->entry);
    if (held->place->state == WAITING_LEFT) {
        waiting_release(&server->waiting, held->place);
        return;
    }
    held->place->state = WAITING_READY;
    connection_answered(held->place);
}

static void on_held_timer(uv_timer_t *timer) {
    struct console *console = CONTAINER_OF(timer, struct console, held_timer);
    struct server *server = console->server;
    uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < console->held_count; i++) {
        struct held *held = &console->held[i];
        if (held->due_ns <= now_ns || server->is_draining)
            release(server, held);
        else
            console->held[kept++] = *held;
    }
    console->held_count = kept;
    if (kept == 0) uv_timer_stop(timer);
    connection_flush_touched(server);
}

static void hold(struct exchange *exchange, struct guard_entry *entry, struct waiting *place,
                 uint64_t due_ns) {
    struct console *console = exchange->server->console;
    place->state = WAITING_ENGINE;
    place->write = write_unauthorized;
    connection_wait(exchange, place);
    console->held[console->held_count++] =
        (struct held){.place = place, .entry = entry, .due_ns = due_ns};
    if (!uv_is_active((uv_handle_t *)&console->held_timer))
        uv_timer_start(&console->held_timer, on_held_timer, HELD_STEP_MS, HELD_STEP_MS);
}

static void log_failure(const struct ip *client, const char *how, uint32_t failures) {
    char text[IP_TEXT_BYTES];
    ip_format(client, text);
    logger_line_limited(&failed_limit, LOG_WARN, "admin",
                        "event=login_failed address=%s how=%s failures=%u", text, how, failures);
}

/* Who shows a token, also behind a proxy that is trusted. */
static struct ip client_of(const struct exchange *exchange) {
    const struct gate *gate = server_gate(exchange->server);
    return forwarded_client(&gate->proxies, &exchange->connection->peer,
                            exchange->request->x_forwarded_for)
        .ip;
}

/* A token was wrong. `how` it came, for the log. */
static void refuse_failed(struct exchange *exchange, const char *how) {
    struct server *server = exchange->server;
    struct console *console = server->console;
    const struct ip client = client_of(exchange);
    const struct guard_address address = guard_address_of(&client);
    struct guard_entry *entry;
    counter_add(&server->counts.logins[LOGIN_REFUSED], 1);
    uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
    uint64_t delay_ns = guard_failed(&console->guard, &address, now_ns, &entry);
    log_failure(&client, how, entry == NULL ? 0 : entry->failures);
    struct waiting *place =
        entry == NULL || console->held_count == HELD_MAX ? NULL : waiting_take(&server->waiting);
    if (place != NULL) {
        hold(exchange, entry, place, now_ns + delay_ns);
        return;
    }
    if (entry != NULL) guard_release(entry);
    exchange_problem(exchange, slow_down);
}

static bool guard_lets_try(const struct exchange *exchange) {
    const struct ip client = client_of(exchange);
    const struct guard_address address = guard_address_of(&client);
    return guard_admits(&exchange->server->console->guard, &address);
}

/* ---- who asks ---- */

static bool is_token(const struct server *server, struct slice text) {
    const char *token = server->shared->admin_token;
    size_t n = strlen(token);
    return text.n == n && CRYPTO_memcmp(text.p, token, n) == 0;
}

static bool bears_token(const struct exchange *exchange) {
    struct slice header = exchange->request->authorization;
    const size_t scheme_bytes = sizeof("Bearer ") - 1;
    return header.n >= scheme_bytes && strncasecmp(header.p, "Bearer ", scheme_bytes) == 0 &&
           is_token(exchange->server, slice_of(header.p + scheme_bytes, header.n - scheme_bytes));
}

const struct session *admin_session(const struct exchange *exchange) {
    struct server *server = exchange->server;
    return session_find(&server->console->sessions, session_id_of_cookie(exchange->request->cookie),
                        clock_monotonic_ns(server->shared->clock));
}

/* "https://host:port" of Origin, or nothing. */
static struct slice host_of_origin(struct slice origin) {
    static const struct slice schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (origin.n > schemes[i].n && memcmp(origin.p, schemes[i].p, schemes[i].n) == 0)
            return slice_of(origin.p + schemes[i].n, origin.n - schemes[i].n);
    return slice_of("", 0);
}

/* Does the browser say that a page of this origin asks? Old ones, and all without TLS off this
 * machine, send no Sec-Fetch-Site; every one sends Origin with a POST. */
static bool is_same_origin(const struct http_request *request) {
    if (request->sec_fetch_site.p != NULL)
        return slice_eq(request->sec_fetch_site, SLICE("same-origin"));
    struct slice host = host_of_origin(request->origin);
    return host.n != 0 && host.n == request->host.n &&
           strncasecmp(host.p, request->host.p, host.n) == 0;
}

bool admin_admits(struct exchange *exchange) {
    const struct http_request *request = exchange->request;
    if (exchange_must_wait(exchange)) return false;
    if (request->authorization.p == NULL) {
        if (admin_session(exchange) == NULL) {
            exchange_problem(exchange, unauthorized);
            return false;
        }
        if (request->method != HTTP_POST || is_same_origin(request)) return true;
        refuse_other_site(exchange);
        return false;
    }
    if (!guard_lets_try(exchange)) {
        refuse_for_now(exchange);
        return false;
    }
    if (bears_token(exchange)) return true;
    refuse_failed(exchange, "bearer");
    return false;
}

/* ---- log-in and log-out ---- */

/* The cookie of a session, or with an empty id the end of it. Behind a proxy that says so, it is
 * for TLS alone. */
static size_t cookie_field(const struct exchange *exchange, struct slice id, uint32_t seconds,
                           char out[COOKIE_BYTES_MAX]) {
    bool is_tls = slice_eq(exchange->request->x_forwarded_proto, SLICE("https"));
    int n = snprintf(out, COOKIE_BYTES_MAX,
                     "Set-Cookie: coupond_session=%.*s; Path=/; HttpOnly; SameSite=Strict; "
                     "Max-Age=%u%s\r\nCache-Control: no-store\r\n",
                     (int)id.n, id.p, seconds, is_tls ? "; Secure" : "");
    ASSERT(n > 0 && n < COOKIE_BYTES_MAX);
    return (size_t)n;
}

static void reply_with_cookie(struct exchange *exchange, struct slice id, uint32_t seconds) {
    char fields[COOKIE_BYTES_MAX];
    size_t n = cookie_field(exchange, id, seconds, fields);
    exchange_reply(exchange, (struct reply){.status = 200,
                                            .fields = slice_of(fields, n),
                                            .body = SLICE("{\"success\":true}")});
}

static void log_in(struct exchange *exchange) {
    struct server *server = exchange->server;
    uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
    uint32_t seconds = SERVER_SETTING(server, session_timeout_s);
    const struct session *session = session_open(&server->console->sessions, server->shared->random,
                                                 now_ns, now_ns + seconds * UINT64_C(1000000000));
    counter_add(&server->counts.logins[LOGIN_ACCEPTED], 1);
    reply_with_cookie(exchange, slice_of(session->id, SESSION_ID_BYTES), seconds);
}

/* The token of the body; false, and why, when there is none. */
static bool read_token(struct admin_request *request, struct slice body, struct slice *token) {
    if (!admin_request_read(request, body)) return false;
    const json_t *value = json_object_get(request->json, "token");
    if (json_is_string(value)) {
        *token = slice_of(json_string_value(value), json_string_length(value));
        return true;
    }
    request->status = 422;
    request->code = "invalid_field";
    request->field = "token";
    snprintf(request->detail, sizeof request->detail, "token must be the admin token.");
    return false;
}

void admin_handle_login(struct exchange *exchange) {
    const struct http_request *http = exchange->request;
    if (exchange_must_wait(exchange)) return;
    if ((http->sec_fetch_site.p != NULL || http->origin.p != NULL) && !is_same_origin(http)) {
        refuse_other_site(exchange);
        return;
    }
    if (!guard_lets_try(exchange)) {
        refuse_for_now(exchange);
        return;
    }
    if (admin_refuses_type(exchange)) return;
    struct admin_request request;
    struct slice token;
    if (!read_token(&request, exchange->body, &token))
        admin_refuse_body(exchange, &request);
    else if (is_token(exchange->server, token))
        log_in(exchange);
    else
        refuse_failed(exchange, "page");
    admin_request_free(&request);
}

void admin_handle_logout(struct exchange *exchange) {
    if (exchange_must_wait(exchange)) return;
    struct server *server = exchange->server;
    struct session *session =
        session_find(&server->console->sessions, session_id_of_cookie(exchange->request->cookie),
                     clock_monotonic_ns(server->shared->clock));
    if (session != NULL && !is_same_origin(exchange->request)) {
        refuse_other_site(exchange);
        return;
    }
    if (session != NULL) session_end(session);
    reply_with_cookie(exchange, slice_of("", 0), 0);
}
