/* SPDX-License-Identifier: Apache-2.0
 *
 * What the network threads count, and the process as a whole.
 */
#include <stdio.h>

#include "api/metrics_write.h"
#include "api/routes.h"
#include "lib/process.h"

enum { NS_PER_S = 1000000000 };

bool metrics_is_admin(const struct server *server) {
    return server->routes == admin_routes;
}

/* ---- requests ---- */

static struct slice listener_name(bool is_admin) {
    return is_admin ? SLICE("admin") : SLICE("public");
}

static uint64_t replies(const struct server_shared *shared, bool is_admin, size_t row,
                        size_t class) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared->servers_count; i++)
        if (metrics_is_admin(shared->servers[i]) == is_admin)
            sum += counter_read(&shared->servers[i]->counts.replies[row][class]);
    return sum;
}

static void add_replies(struct scrape *scrape, bool is_admin, size_t row, struct slice method,
                        struct slice path) {
    static const struct slice names[COUNTED_CLASSES] = {
        [2] = {"2xx", 3}, [4] = {"4xx", 3}, [5] = {"5xx", 3}};
    for (size_t class = 0; class < COUNTED_CLASSES; class ++)
        if (names[class].n != 0)
            METRICS_ADD(scrape, replies(scrape->server->shared, is_admin, row, class),
                        listener_name(is_admin), method, path, names[class]);
}

/* The table is the same for all threads of a listener. */
static void add_listener(struct scrape *scrape, bool is_admin) {
    const struct server_shared *shared = scrape->server->shared;
    uint32_t i = 0;
    while (metrics_is_admin(shared->servers[i]) != is_admin) i++;
    const struct route *routes = shared->servers[i]->routes;
    for (size_t row = 0; routes[row].path.p != NULL; row++)
        add_replies(scrape, is_admin, row,
                    routes[row].methods & 1u << HTTP_POST ? SLICE("POST") : SLICE("GET"),
                    routes[row].path);
    add_replies(scrape, is_admin, COUNTED_ROUTES_MAX, SLICE(""), SLICE("_none"));
}

void metrics_write_http_requests(struct scrape *scrape) {
    add_listener(scrape, false);
    add_listener(scrape, true);
}

/* ---- connections ---- */

void metrics_write_connections(struct scrape *scrape) {
    const struct server_shared *shared = scrape->server->shared;
    metrics_add_plain(scrape, atomic_load_explicit(&shared->connections, memory_order_relaxed));
}

void metrics_write_connections_max(struct scrape *scrape) {
    const struct server_shared *shared = scrape->server->shared;
    metrics_add_plain(scrape, atomic_load_explicit(&shared->connections_max, memory_order_relaxed));
}

/* The sum of a counter, at the same place in each thread's counts, over the threads of a listener.
 */
static uint64_t sum_at(const struct server_shared *shared, size_t offset, bool is_admin) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared->servers_count; i++) {
        const struct server *server = shared->servers[i];
        if (metrics_is_admin(server) == is_admin)
            sum += counter_read(
                (const struct counter *)(const void *)((const char *)&server->counts + offset));
    }
    return sum;
}

static uint64_t sum_of_all(const struct server_shared *shared, size_t offset) {
    return sum_at(shared, offset, false) + sum_at(shared, offset, true);
}

static void add_by_listener(struct scrape *scrape, size_t offset) {
    for (int is_admin = 0; is_admin <= 1; is_admin++)
        METRICS_ADD(scrape, sum_at(scrape->server->shared, offset, is_admin),
                    listener_name(is_admin));
}

void metrics_write_connections_accepted(struct scrape *scrape) {
    add_by_listener(scrape, offsetof(struct counts, connections_accepted));
}

void metrics_write_connections_refused(struct scrape *scrape) {
    add_by_listener(scrape, offsetof(struct counts, connections_refused));
}

/* A row of counters in each thread's counts, told by name. */
static void add_row(struct scrape *scrape, size_t offset, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        METRICS_ADD(scrape, sum_of_all(scrape->server->shared, offset + i * sizeof(struct counter)),
                    slice_str(names[i]));
}

void metrics_write_connections_timed_out(struct scrape *scrape) {
    static const char *const names[TIME_OUTS] = {
        [TIME_OUT_IDLE] = "idle",
        [TIME_OUT_REQUEST] = "request",
        [TIME_OUT_ANSWER] = "answer",
        [TIME_OUT_CLOSE] = "close",
    };
    add_row(scrape, offsetof(struct counts, timed_out), names, TIME_OUTS);
}

/* ---- the admin listener ---- */

void metrics_write_admin_logins(struct scrape *scrape) {
    static const char *const names[LOGINS] = {
        [LOGIN_ACCEPTED] = "accepted",
        [LOGIN_REFUSED] = "refused",
        [LOGIN_HELD_OFF] = "held_off",
    };
    add_row(scrape, offsetof(struct counts, logins), names, LOGINS);
}

void metrics_write_admin_sessions(struct scrape *scrape) {
    metrics_add_plain(scrape, sum_of_all(scrape->server->shared, offsetof(struct counts, sessions)));
}

void metrics_write_admin_streams(struct scrape *scrape) {
    metrics_add_plain(scrape, sum_of_all(scrape->server->shared, offsetof(struct counts, streams)));
}

/* ---- claims of all events ---- */

void metrics_write_claims_refused(struct scrape *scrape) {
    const char *codes[CLAIM_REFUSALS];
    for (size_t i = 0; i < CLAIM_REFUSALS; i++) codes[i] = claim_refusal_code((enum claim_refusal)i);
    add_row(scrape, offsetof(struct counts, refused), codes, CLAIM_REFUSALS);
}

void metrics_write_rate_limited(struct scrape *scrape) {
    static const char *const names[LIMITS] = {[LIMIT_ADDRESS] = "address", [LIMIT_USER] = "user"};
    add_row(scrape, offsetof(struct counts, limited), names, LIMITS);
}

void metrics_write_claims_unheard(struct scrape *scrape) {
    metrics_add_plain(scrape, sum_of_all(scrape->server->shared, offsetof(struct counts, unheard)));
}

void metrics_write_claim_wait(struct scrape *scrape) {
    enum { SERVERS_MAX = 128 };
    const struct server_shared *shared = scrape->server->shared;
    const struct histogram *histograms[SERVERS_MAX];
    ASSERT(shared->servers_count <= SERVERS_MAX);
    for (uint32_t i = 0; i < shared->servers_count; i++)
        histograms[i] = &shared->servers[i]->counts.claim_ns;
    metrics_add_histogram(&scrape->text, scrape->metric, &histogram_seconds, histograms,
                          shared->servers_count);
}

/* ---- views ---- */

static struct slice thread_name(const struct server *server, char text[16]) {
    if (metrics_is_admin(server)) return SLICE("admin");
    int n = snprintf(text, 16, "%u", server->index);
    return slice_of(text, (size_t)n);
}

void metrics_write_view_offset(struct scrape *scrape) {
    const struct server_shared *shared = scrape->server->shared;
    char text[16];
    for (uint32_t i = 0; i < shared->servers_count; i++)
        METRICS_ADD(scrape, counter_read(&shared->servers[i]->counts.view_offset),
                    thread_name(shared->servers[i], text));
}

void metrics_write_view_lag(struct scrape *scrape) {
    const struct server_shared *shared = scrape->server->shared;
    const struct engine_counts *engine = engine_thread_counts(scrape->server->engine);
    char text[16];
    for (uint32_t i = 0; i < shared->servers_count; i++) {
        uint64_t offset = counter_read(&shared->servers[i]->counts.view_offset);
        uint64_t engine_offset = counter_read(&engine->offset);
        METRICS_ADD(scrape, engine_offset > offset ? engine_offset - offset : 0,
                    thread_name(shared->servers[i], text));
    }
}

/* ---- the process ---- */

void metrics_write_build(struct scrape *scrape) {
    METRICS_ADD(scrape, 1, slice_str(scrape->server->shared->version), SLICE(__VERSION__));
}

void metrics_write_ready(struct scrape *scrape) {
    const struct server *server = scrape->server;
    metrics_add_plain(scrape,
                      atomic_load_explicit(&server->shared->is_ready, memory_order_relaxed) &&
                          !server->has_failed);
}

void metrics_write_uptime(struct scrape *scrape) {
    const struct server_shared *shared = scrape->server->shared;
    uint64_t ns = clock_monotonic_ns(shared->clock) - shared->started_ns;
    metrics_add_real(&scrape->text, scrape->metric, NULL, (double)ns / NS_PER_S);
}

static struct process_usage usage_now(void) {
    struct process_usage usage;
    process_read(&usage);
    return usage;
}

void metrics_write_process_start(struct scrape *scrape) {
    metrics_add_real(&scrape->text, scrape->metric, NULL, usage_now().start_s);
}

void metrics_write_process_cpu(struct scrape *scrape) {
    metrics_add_real(&scrape->text, scrape->metric, NULL, usage_now().cpu_s);
}

void metrics_write_process_resident(struct scrape *scrape) {
    metrics_add_plain(scrape, usage_now().resident_bytes);
}

void metrics_write_process_virtual(struct scrape *scrape) {
    metrics_add_plain(scrape, usage_now().virtual_bytes);
}

void metrics_write_process_fds(struct scrape *scrape) {
    metrics_add_plain(scrape, process_open_fds());
}

void metrics_write_process_fds_max(struct scrape *scrape) {
    metrics_add_plain(scrape, process_max_fds());
}

void metrics_write_process_threads(struct scrape *scrape) {
    metrics_add_plain(scrape, usage_now().threads);
}
