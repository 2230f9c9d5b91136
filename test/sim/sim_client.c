/* SPDX-License-Identifier: Apache-2.0
 *
 * People and the operator at the other end of the sockets: requests made as bytes, in every shape
 * that is allowed and some that are not; answers read from bytes, each for the request whose turn
 * it is.
 */
#include <string.h>

#include "lib/hash.h"
#include "sim/heap_sim.h"
#include "sim/sim_world.h"

enum { REQUEST_BYTES_MAX = 1024, OPERATOR = SIM_CONNECTIONS - 1 };

/* ---- Connections ---- */

static struct sim_ask *oldest(struct sim_connection *connection) {
    return &connection->asks[connection->first];
}

static void drop_oldest(struct sim_connection *connection) {
    connection->first = (connection->first + 1) % SIM_PIPELINE_MAX;
    connection->count--;
}

/* Nothing more will come on it. */
static void forget(struct sim_world *world, struct sim_connection *connection) {
    for (; connection->count > 0; drop_oldest(connection)) {
        sim_lost(world, oldest(connection));
        world->counts->asks_lost++;
    }
    connection->socket = NULL;
}

/* May the server have closed this connection, with requests on it that are not answered? Whoever
 * asks after a long silence may meet the end of the server's patience; to whom it sends away it
 * says so as far as their socket takes it. */
static bool may_be_closed(const struct sim_world *world, const struct sim_connection *connection) {
    const struct sim_server *server = &world->server;
    uint32_t patience_s = server->shared.header_timeout_s < server->shared.idle_timeout_s
                              ? server->shared.header_timeout_s
                              : server->shared.idle_timeout_s;
    return connection->count == 0 || connection->is_refused ||
           (connection->was_slow && (connection->n > 0 || !connection->has_heard)) ||
           heap_sim_failures() > 0 || server->wants_stop || !server->runs ||
           threads_sim_now_ns() - connection->moved_ns >= patience_s * UINT64_C(1000000000);
}

static void on_closed(void *ctx, struct net_socket *socket) {
    struct sim_world *world = ctx;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &world->connections[i];
        if (connection->socket != socket) continue;
        sim_trace(world, "  connection %u is closed, %u waited", i, connection->count);
        world->counts->connections_closed++;
        if (!may_be_closed(world, connection))
            sim_violation(world, "connection %u is closed, and a request on it was not answered",
                          i);
        forget(world, connection);
    }
}

static bool connect_to(struct sim_world *world, struct sim_connection *connection,
                       uint32_t network) {
    struct net_socket *socket = net_sim_connect(network);
    if (socket == NULL) return false;
    memset(connection, 0, offsetof(struct sim_connection, answer));
    connection->socket = socket;
    connection->network = network;
    connection->moved_ns = threads_sim_now_ns();
    world->counts->connections++;
    return true;
}

/* A public connection that takes one more request, or NULL. */
static struct sim_connection *any_connection(struct sim_world *world) {
    uint32_t first = (uint32_t)sim_below(world, OPERATOR);
    struct sim_connection *connection = &world->connections[first];
    if (connection->socket == NULL &&
        !connect_to(world, connection, (uint32_t)sim_below(world, world->server.networks_count)))
        return NULL;
    bool can_ask = !connection->is_last && connection->count < SIM_PIPELINE_MAX;
    return can_ask ? connection : NULL;
}

/* ---- Requests ---- */

struct request {
    size_t n;
    char bytes[REQUEST_BYTES_MAX];
};

static void add(struct request *request, const char *text) {
    size_t n = strlen(text);
    ASSERT(request->n + n <= sizeof request->bytes);
    memcpy(request->bytes + request->n, text, n);
    request->n += n;
}

static void add_number(struct request *request, uint64_t number) {
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    add(request, digits + at);
}

static void add_body(struct request *request, const struct request *body, bool is_chunked) {
    if (is_chunked) {
        static const char hex[] = "0123456789abcdef";
        const char size[] = {hex[body->n / 256], hex[body->n / 16 % 16], hex[body->n % 16], '\0'};
        add(request, "Transfer-Encoding: chunked\r\n\r\n");
        add(request, size);
        add(request, "\r\n");
    } else {
        add(request, "Content-Length: ");
        add_number(request, body->n);
        add(request, "\r\n\r\n");
    }
    ASSERT(request->n + body->n <= sizeof request->bytes);
    memcpy(request->bytes + request->n, body->bytes, body->n);
    request->n += body->n;
    if (is_chunked) add(request, "\r\n0\r\n\r\n");
}

/* Is any limit on for this client? */
static bool may_be_limited(const struct sim_world *world, const struct sim_connection *connection) {
    const struct gate *gate = &world->server.gate;
    return gate->is_limiting && (gate->limits_loopback || !net_sim_is_local(connection->socket));
}

/* Sends it, and remembers whose turn it is. */
static void ask(struct sim_world *world, struct sim_connection *connection,
                const struct request *request, struct sim_ask *asked) {
    if (!net_sim_send(connection->socket, request->bytes, request->n)) return;
    asked->network = (uint8_t)connection->network;
    asked->asked_ns = threads_sim_now_ns();
    asked->may_be_limited = may_be_limited(world, connection);
    sim_ask_note(world, asked);
    connection->asks[(connection->first + connection->count++) % SIM_PIPELINE_MAX] = *asked;
    if (asked->is_last) connection->is_last = true;
    sim_note(world, request->n);
    if (world->is_verbose)
        printf("%6llu    asks %.*s\n", (unsigned long long)world->step, (int)request->n,
               request->bytes);
}

/* Fields that a request may have; true when the connection ends with it. */
static bool add_fields(struct sim_world *world, struct request *request) {
    uint64_t draw = sim_below(world, 64);
    if (draw % 4 == 0) add(request, "Accept: */*\r\n");
    if (draw == 1) add(request, "Connection: keep-alive\r\n");
    if (draw != 2) return false;
    add(request, "Connection: close\r\n");
    return true;
}

static void make_claim_body(struct request *body, uint64_t shape, uint32_t event, uint32_t user) {
    if (shape == 0) {
        add(body, "{ \"extra\": [1, null], \"event_id\" : \"e");
        add_number(body, event);
        add(body, "\",\n\"user_id\": \"u");
    } else {
        add(body, shape == 1 ? "{\"user_id\":\"\\u0075" : "{\"user_id\":\"u");
    }
    add_number(body, user);
    if (shape != 0) {
        add(body, "\",\"event_id\":\"e");
        add_number(body, event);
    }
    add(body, "\"}");
}

void sim_client_claim(struct sim_world *world, uint32_t event, uint32_t user) {
    struct sim_connection *connection = any_connection(world);
    if (connection == NULL) return;
    struct sim_ask asked = {.kind = ASK_CLAIM, .event = event, .user = user};
    struct request request = {.n = 0}, body = {.n = 0};
    uint64_t draw = sim_below(world, 256);
    make_claim_body(&body, draw % 16, event, user);
    add(&request,
        "POST /api/v1/coupons/issue HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n");
    asked.is_last = add_fields(world, &request);
    if (draw / 16 == 1) {
        add(&request, "Idempotency-Key: try-");
        add_number(&request, world->step);
        add(&request, "\r\n");
    }
    add_body(&request, &body, draw / 16 == 2);
    world->counts->claims++;
    ask(world, connection, &request, &asked);
}

static void get(struct sim_world *world, struct sim_ask *asked, struct request *request) {
    struct sim_connection *connection = any_connection(world);
    if (connection == NULL) return;
    add(request, " HTTP/1.1\r\nHost: sim\r\n");
    asked->is_last = add_fields(world, request);
    add(request, "\r\n");
    ask(world, connection, request, asked);
}

void sim_client_query(struct sim_world *world, uint32_t event, uint32_t user) {
    struct sim_ask asked = {.kind = ASK_QUERY, .event = event, .user = user};
    struct request request = {.n = 0};
    add(&request,
        sim_below(world, 16) == 0 ? "GET /api/v1/coupons/user/%75" : "GET /api/v1/coupons/user/u");
    add_number(&request, user);
    add(&request, "/event/e");
    add_number(&request, event);
    world->counts->queries++;
    get(world, &asked, &request);
}

void sim_client_status(struct sim_world *world, uint32_t event) {
    struct sim_ask asked = {.kind = ASK_STATUS, .event = event};
    struct request request = {.n = 0};
    add(&request, "GET /api/v1/coupons/status/e");
    add_number(&request, event);
    world->counts->statuses++;
    get(world, &asked, &request);
}

/* Requests that reserve nothing, and what each has to be answered with. */
static const struct {
    int status;
    const char *head, *body;
    bool is_last;
} plain[] = {
    {200, "GET /livez", NULL, false},
    {0, "GET /readyz", NULL, false}, /* or not, when it stops */
    {0, "GET /health", NULL, false}, /* well or not */
    {404, "GET /nothing", NULL, false},
    {405, "GET /api/v1/coupons/issue", NULL, false},
    {400, "POST /api/v1/coupons/issue", "{\"user_id\":\"u1\",\"event_id\":", false},
    {400, "POST /api/v1/coupons/issue",
     "{\"user_id\":\"u1\",\"event_id\":\"e1\",\"user_id\":\"u2\"}", false},
    {422, "POST /api/v1/coupons/issue", "{\"user_id\":\"u1\"}", false},
    {422, "POST /api/v1/coupons/issue", "{\"user_id\":17,\"event_id\":\"e1\"}", false},
    {404, "POST /api/v1/coupons/issue", "{\"user_id\":\"u1\",\"event_id\":\"never\"}", false},
    {422, "GET /api/v1/coupons/user/%00/event/e1", NULL, false},
    {404, "GET /admin/v1/events", NULL, false},
    {400, "GET /livez HTTP/1.1\r\nHost: sim\r\nContent-Length: 1\r\nContent-Length: 2", NULL, true},
};

void sim_client_plain(struct sim_world *world) {
    struct sim_connection *connection = any_connection(world);
    if (connection == NULL) return;
    size_t which = (size_t)sim_below(world, ARRAY_LEN(plain));
    struct sim_ask asked = {
        .kind = ASK_PLAIN, .status = plain[which].status, .is_last = plain[which].is_last};
    struct request request = {.n = 0}, body = {.n = 0};
    add(&request, plain[which].head);
    add(&request, plain[which].is_last ? "\r\n" : " HTTP/1.1\r\nHost: sim\r\n");
    if (plain[which].body != NULL) {
        add(&body, plain[which].body);
        add(&request, "Content-Type: application/json\r\n");
        add_body(&request, &body, false);
    } else {
        add(&request, "\r\n");
    }
    world->counts->bad_requests++;
    ask(world, connection, &request, &asked);
}

static const char *verb_of(enum record_type type) {
    static const char *const verbs[] = {
        [RECORD_RETURN] = "return", [RECORD_RESTOCK] = "restock",
        [RECORD_PAUSE] = "pause",   [RECORD_RESUME] = "resume",
        [RECORD_CLOSE] = "close",   [RECORD_RESCHEDULE] = "reschedule"};
    return verbs[type];
}

void sim_client_control(struct sim_world *world, enum record_type type, uint32_t event,
                        uint32_t user, const char *text) {
    struct sim_connection *connection = &world->connections[OPERATOR];
    if (connection->socket == NULL && !connect_to(world, connection, world->server.networks_count))
        return;
    if (connection->is_last || connection->count >= SIM_PIPELINE_MAX / 2) return;
    struct sim_ask asked = {.kind = ASK_CONTROL, .type = type, .event = event, .user = user};
    struct request request = {.n = 0}, body = {.n = 0};
    add(&body, text);
    add(&request, "POST /admin/v1/events");
    if (type != RECORD_OPEN) {
        add(&request, "/e");
        add_number(&request, event);
        add(&request, "/");
        add(&request, verb_of(type));
    }
    add(&request, " HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer " SIM_ADMIN_TOKEN
                  "\r\nContent-Type: application/json\r\n");
    add_body(&request, &body, false);
    ask(world, connection, &request, &asked);
}

/* ---- Answers ---- */

/* What follows `key` in the text; NULL when it is not there. */
static const char *behind(struct slice text, const char *key) {
    size_t n = strlen(key);
    const char *at = text.n < n ? NULL : memmem(text.p, text.n, key, n);
    return at == NULL ? NULL : at + n;
}

static uint32_t number_behind(struct slice text, const char *key) {
    const char *at = behind(text, key), *end = text.p + text.n;
    uint32_t number = 0;
    for (; at != NULL && at < end && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (uint32_t)(*at - '0');
    return number;
}

/* The string of a field, without quotes; empty when there is none. */
static struct slice text_behind(struct slice text, const char *key) {
    const char *at = behind(text, key);
    if (at == NULL || *at != '"') return slice_of("", 0);
    const char *end = memchr(at + 1, '"', (size_t)(text.p + text.n - at - 1));
    return end == NULL ? slice_of("", 0) : slice_of(at + 1, (size_t)(end - at - 1));
}

static bool outcome_of(struct slice result, enum sim_ask_kind kind, enum claim_outcome *outcome) {
    static const struct {
        struct slice name;
        enum claim_outcome outcome;
    } results[] = {
        {{"issued", 6}, CLAIM_ISSUED},     {{"already_issued", 14}, CLAIM_ALREADY_ISSUED},
        {{"sold_out", 8}, CLAIM_SOLD_OUT}, {{"not_started", 11}, CLAIM_NOT_STARTED},
        {{"ended", 5}, CLAIM_ENDED},       {{"paused", 6}, CLAIM_PAUSED},
        {{"returned", 8}, CLAIM_RETURNED}, {{"none", 4}, CLAIM_NONE},
        {{"pending", 7}, CLAIM_PENDING}};
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        if (!slice_eq(results[i].name, result)) continue;
        *outcome = results[i].outcome;
        /* "Did I get it" says "issued" of any coupon. */
        if (kind == ASK_QUERY && *outcome == CLAIM_ISSUED) *outcome = CLAIM_ALREADY_ISSUED;
        return true;
    }
    return false;
}

static void take_decision(struct sim_world *world, const struct sim_ask *asked, int status,
                          struct slice body) {
    struct sim_answer answer = {.status = status,
                                .outcome = CLAIM_UNAVAILABLE,
                                .serial = number_behind(body, "\"serial\":"),
                                .remaining = number_behind(body, "\"remaining_stock\":"),
                                .code = text_behind(body, "\"coupon_id\":"),
                                .is_final = behind(body, "\"final\":true") != NULL};
    if (status == 404 && slice_eq(text_behind(body, "\"code\":"), SLICE("unknown_event"))) {
        sim_told_unknown_event(world, asked);
        return;
    }
    bool is_limited = status == 429 && asked->may_be_limited &&
                      slice_eq(text_behind(body, "\"code\":"), SLICE("rate_limited"));
    world->counts->limited += is_limited;
    bool is_busy = status == 503 && slice_eq(text_behind(body, "\"code\":"), SLICE("busy"));
    bool is_decided = (status == 200 || status == 202) &&
                      outcome_of(text_behind(body, "\"result\":"), asked->kind, &answer.outcome) &&
                      (status == 202) == (answer.outcome == CLAIM_PENDING);
    if (!is_busy && !is_limited && !is_decided)
        sim_violation(world, "an answer %d that is none: %.*s", status, (int)body.n, body.p);
    sim_told(world, asked, &answer);
}

static void take_answer(struct sim_world *world, const struct sim_ask *asked, int status,
                        struct slice body) {
    switch (asked->kind) {
    case ASK_CLAIM:
    case ASK_QUERY:
        take_decision(world, asked, status, body);
        return;
    case ASK_STATUS:
        if (status == 404)
            sim_told_unknown_event(world, asked);
        else if (status != 200)
            sim_violation(world, "a status is answered %d", status);
        else
            sim_told_status(world, asked, number_behind(body, "\"total_stock\":"),
                            number_behind(body, "\"remaining_stock\":"),
                            number_behind(body, "\"total_participants\":"));
        return;
    case ASK_PLAIN:
        if (status == 429 && asked->may_be_limited) return;
        if (status != asked->status && asked->status != 0)
            sim_violation(world, "I8: answered %d instead of %d: %.*s", status, asked->status,
                          (int)body.n, body.p);
        return;
    case ASK_CONTROL:
        sim_told_control(world, asked, status, text_behind(body, "\"code\":"));
        return;
    }
}

/* Answers that are not for a request: the connection is not wanted, or was too slow. */
static bool is_refusal(int status, struct slice body) {
    return status == 408 || (status == 503 && slice_eq(text_behind(body, "\"code\":"),
                                                       SLICE("too_many_connections")));
}

/* The first answer of `bytes`: its length; 0 when it is not whole. */
static size_t take_one(struct sim_world *world, struct sim_connection *connection,
                       struct slice bytes) {
    const char *head_end = behind(bytes, "\r\n\r\n");
    if (head_end == NULL) return 0;
    struct slice head = slice_of(bytes.p, (size_t)(head_end - bytes.p));
    size_t body_bytes = number_behind(head, "\r\nContent-Length: ");
    if (bytes.n - head.n < body_bytes) return 0;
    struct slice body = slice_of(head_end, body_bytes);
    int status = (int)number_behind(head, "HTTP/1.1 ");
    if (is_refusal(status, body)) {
        connection->is_refused = connection->is_last = true;
        world->counts->connections_refused++;
    } else if (connection->count == 0) {
        sim_violation(world, "an answer to nothing: %.*s", (int)bytes.n, bytes.p);
    } else {
        struct sim_ask asked = *oldest(connection);
        asked.is_delayed = connection->was_slow;
        drop_oldest(connection);
        bool closes = behind(head, "\r\nConnection: close\r\n") != NULL;
        if (closes) connection->is_refused = connection->is_last = true;
        take_answer(world, &asked, status, body);
    }
    return head.n + body.n;
}

static void on_answer(void *ctx, struct net_socket *socket, const char *bytes, size_t n) {
    static const struct hash_key unkeyed = {{0, 0}};
    struct sim_world *world = ctx;
    struct sim_connection *connection = world->connections;
    while (connection->socket != socket) {
        connection++;
        if (connection == world->connections + SIM_CONNECTIONS) return; /* it has gone */
    }
    sim_note(world, hash_slice(&unkeyed, slice_of(bytes, n)));
    if (world->is_verbose)
        printf("%6llu    answer %.*s\n", (unsigned long long)world->step, (int)n, bytes);
    ASSERT(connection->n + n <= sizeof connection->answer);
    memcpy(connection->answer + connection->n, bytes, n);
    connection->n += n;
    connection->has_heard = true;
    connection->moved_ns = threads_sim_now_ns();
    size_t at = 0;
    for (size_t used;
         (used = take_one(world, connection,
                          slice_of(connection->answer + at, connection->n - at))) != 0;)
        at += used;
    memmove(connection->answer, connection->answer + at, connection->n - at);
    connection->n -= at;
}

/* ---- What else clients do ---- */

void sim_client_begin(struct sim_world *world) {
    net_sim_begin(&world->random, &(struct net_sim_sink){world, on_answer, on_closed});
}

void sim_client_leave(struct sim_world *world, uint32_t index) {
    struct sim_connection *connection = &world->connections[index];
    if (connection->socket == NULL) return;
    sim_trace(world, "client %u leaves", index);
    sim_struck(world, FAULT_CLIENT_LEAVES);
    net_sim_leave(connection->socket);
    forget(world, connection);
}

void sim_client_shut(struct sim_world *world, uint32_t index) {
    struct sim_connection *connection = &world->connections[index];
    if (connection->socket == NULL) return;
    net_sim_shut(connection->socket);
    connection->is_last = true;
}

void sim_client_slow(struct sim_world *world, uint32_t index) {
    struct sim_connection *connection = &world->connections[index];
    if (connection->socket == NULL) return;
    sim_struck(world, FAULT_CLIENT_SLOW);
    connection->is_slow = connection->was_slow = true;
    net_sim_make_room(connection->socket, (size_t)sim_below(world, 300));
}

void sim_client_read(struct sim_world *world, bool all) {
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &world->connections[i];
        if (connection->socket == NULL || !connection->is_slow) continue;
        connection->is_slow = !all;
        net_sim_make_room(connection->socket, all ? SIZE_MAX : 1 + (size_t)sim_below(world, 600));
    }
}

bool sim_client_waits(const struct sim_world *world) {
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++)
        if (world->connections[i].socket != NULL && world->connections[i].count > 0) return true;
    return false;
}
