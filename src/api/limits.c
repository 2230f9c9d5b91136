/* SPDX-License-Identifier: Apache-2.0 */
#include "api/limits.h"

#include <stdio.h>

#include "api/gate.h"
#include "lib/logger.h"

enum {
    US_PER_S = 1000000,
    /* Times of threads differ by the length of a turn: Retry-After is good for that, too. */
    SLACK_US = 50000,
    /* Many people share an address: told the same second, they would all be back in it. */
    SPREAD_S = 3,
};

static const struct told {
    const char *name, *detail;
} told[LIMITS] = {
    [LIMIT_ADDRESS] = {"address", "Too many requests from this address. Nothing was reserved; send "
                                  "the same request again after Retry-After seconds."},
    [LIMIT_USER] = {"user", "Too many requests of this user. Nothing was reserved; send the same "
                            "request again after Retry-After seconds."},
};

/* RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers-10. */
static void refuse(struct exchange *exchange, enum limit limit, const struct gcra_rate *rate,
                   uint64_t wait_us) {
    struct server *server = exchange->server;
    uint32_t wait_s = (uint32_t)((wait_us + SLACK_US + US_PER_S - 1) / US_PER_S);
    if (limit == LIMIT_ADDRESS) wait_s += server->limited_count++ % SPREAD_S;
    uint64_t window_s = ((uint64_t)rate->interval_us * rate->burst + US_PER_S - 1) / US_PER_S;
    char fields[192];
    int n = snprintf(fields, sizeof fields,
                     "RateLimit-Policy: \"%s\";q=%u;w=%llu\r\nRateLimit: \"%s\";r=0;t=%u\r\n",
                     told[limit].name, rate->burst, (unsigned long long)window_s, told[limit].name,
                     wait_s);
    ASSERT(n > 0 && (size_t)n < sizeof fields);
    exchange_problem(exchange, (struct problem){.status = 429,
                                                .code = "rate_limited",
                                                .detail = told[limit].detail,
                                                .fields = slice_of(fields, (size_t)n),
                                                .retry_after_s = wait_s});
    if (!exchange->is_deferred) counter_add(&server->counts.limited[limit], 1);
}

static uint64_t time_us(struct server *server) {
    const struct server_shared *shared = server->shared;
    if (server->turn_us == 0)
        server->turn_us = (clock_monotonic_ns(shared->clock) - shared->started_ns) / 1000;
    return server->turn_us;
}

/* A request whose turn has not come is handled again: it is counted once. */
static bool pass(struct exchange *exchange, enum limit limit, const struct gate *gate,
                 struct slice key) {
    struct connection *connection = exchange->connection;
    struct server *server = exchange->server;
    const struct gcra_rate *rate = &gate->rates[limit];
    if (rate->interval_us == 0 || (connection->limits_passed & 1u << limit) != 0) return true;
    uint64_t wait_us = gcra_take(server->shared->limit_tables[limit], rate, key, time_us(server));
    if (wait_us != 0)
        refuse(exchange, limit, rate, wait_us);
    else
        connection->limits_passed |= (uint8_t)(1u << limit);
    return wait_us == 0;
}

/* A proxy of this machine that is not trusted hides everybody from the limits. Said once. */
static void warn_of_proxy(struct server *server) {
    if (server->has_warned_of_proxy) return;
    server->has_warned_of_proxy = true;
    logger_line(
        LOG_WARN, "server",
        "event=proxy_not_trusted peer=loopback "
        "hint=\"X-Forwarded-For is not believed and nobody behind the proxy is limited; name "
        "the proxy in --trusted-proxies\"");
}

/* False when no limit is for this client after all. */
static bool find_client(const struct exchange *exchange, const struct gate *gate,
                        struct client *client) {
    const struct connection *connection = exchange->connection;
    *client =
        forwarded_client(&gate->proxies, &connection->peer, exchange->request->x_forwarded_for);
    if (client->is_forwarded || !connection->is_local || gate->limits_loopback) return true;
    warn_of_proxy(exchange->server);
    return false;
}

bool limits_count_address(struct exchange *exchange) {
    const struct gate *gate = server_gate(exchange->server);
    struct client client;
    if (!find_client(exchange, gate, &client)) return true;
    return pass(exchange, LIMIT_ADDRESS, gate, ip_subscriber(&client.ip));
}

bool limits_count_user(struct exchange *exchange, struct slice user_id) {
    const struct gate *gate = server_gate(exchange->server);
    struct client client;
    if (!find_client(exchange, gate, &client)) return true;
    return pass(exchange, LIMIT_USER, gate, user_id);
}
