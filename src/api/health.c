/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include <sys/statvfs.h>


enum {
    SLOW_COMMIT_NS = 1000000000,
    SLOTS = 16384,
    STILL_S = 3, /* what has not moved for so many seconds is stuck */
};

static const struct slice no_store = {"Cache-Control: no-store\r\n", 25};

/* What the journal is worth at this moment, in one word. */
static const char *journal_word(const struct server *server, const struct engine_health *health) {
    uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
    if (health->has_failed) return "failed";
    if (health->busy_since_ns != 0 && now_ns > health->busy_since_ns + SLOW_COMMIT_NS)
        return "slow";
    if (!health->has_reserve) return "low_space";
    return "ok";
}

/* Each part adds itself, and says whether it is well. */

static bool add_journal(struct body *body, const struct server *server,
                        const struct engine_health *health) {
    const char *word = journal_word(server, health);
    body_printf(body, "\"journal\":{\"status\":\"%s\",\"room_bytes\":%llu}", word,
                (unsigned long long)health->room_bytes);
    return word[0] == 'o';
}

/* It is woken every second: one that does not move then is stuck. */
static bool add_engine(struct body *body, const struct server *server) {
    const struct engine_counts *counts = engine_thread_counts(server->engine);
    uint32_t still_s = atomic_load_explicit(&server->shared->engine_still_s, memory_order_relaxed);
    bool is_good = still_s < STILL_S;
    body_printf(body,
                ",\"engine\":{\"status\":\"%s\",\"claims_waiting\":%llu,\"changes_waiting\":%llu}",
                is_good ? "ok" : "stuck", (unsigned long long)counter_read(&counts->claims_waiting),
                (unsigned long long)counter_read(&counts->controls_waiting));
    return is_good;
}

/* How many records the view that is the furthest behind has still to come to. */
static uint64_t records_behind(const struct server *server) {
    const struct server_shared *shared = server->shared;
    uint64_t most = 0;
    for (uint32_t i = 0; i < shared->servers_count; i++) {
        /* In this order, and the difference is never more than it was. */
        uint64_t view = counter_read(&shared->servers[i]->counts.view_offset);
        uint64_t log = counter_read(&engine_thread_counts(server->engine)->offset);
        if (log > view && log - view > most) most = log - view;
    }
    return most;
}

static bool add_views(struct body *body, const struct server *server) {
    uint32_t behind_s = atomic_load_explicit(&server->shared->views_behind_s, memory_order_relaxed);
    bool is_good = behind_s < STILL_S;
    body_printf(body, ",\"views\":{\"status\":\"%s\",\"records_behind\":%llu}",
                is_good ? "ok" : "behind", (unsigned long long)records_behind(server));
    return is_good;
}

/* The copy, and how many records of the log it has still to come to. */
static bool add_copy(struct body *body, const struct server *server) {
    if (server->shared->copy == NULL) {
        body_printf(body, ",\"copy\":{\"status\":\"none\"}");
        return true;
    }
    struct recorder_health copy;
    copy_thread_health(server->shared->copy, &copy);
    uint64_t seq = view_offset(server->view);
    body_printf(body, ",\"copy\":{\"status\":\"%s\",\"applied_seq\":%llu,\"records_behind\":%llu}",
                recorder_state_name(copy.state), (unsigned long long)copy.applied_seq,
                (unsigned long long)(seq > copy.applied_seq ? seq - copy.applied_seq : 0));
    return copy.state == RECORDER_FOLLOWING || copy.state == RECORDER_CATCHING_UP;
}

/* Room on the disk for the journal to grow into. When the next segment could not be made ready, the
 * journal says so before. */
static bool add_disk(struct body *body, const struct server *server,
                     const struct engine_health *health) {
    struct statvfs disk;
    bool is_known = statvfs(server->shared->folder, &disk) == 0;
    uint64_t free_bytes = is_known ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
    bool is_good = is_known && health->has_reserve;
    body_printf(body, ",\"disk\":{\"status\":\"%s\",\"free_bytes\":%llu}",
                is_good     ? "ok"
                : !is_known ? "unknown"
                            : "short",
                (unsigned long long)free_bytes);
    return is_good;
}

/* What the server found when it last verified itself. */
static bool add_verify(struct body *body, const struct server *server) {
    const struct reconcile_thread *verifier = server->shared->verifier;
    if (verifier == NULL) {
        body_printf(body, ",\"verify\":{\"status\":\"off\"}");
        return true;
    }
    const struct reconcile_counts *counts = reconcile_thread_counts(verifier);
    uint64_t findings = reconcile_thread_findings(verifier), passes = counter_read(&counts->passes);
    body_printf(body,
                ",\"verify\":{\"status\":\"%s\",\"findings\":%llu,\"passes\":%llu,\"seq\":%llu}",
                findings != 0 ? "findings"
                : passes == 0 ? "not_yet"
                              : "ok",
                (unsigned long long)findings, (unsigned long long)passes,
                (unsigned long long)counter_read(&counts->seq));
    return findings == 0;
}

/* Every slot has a master, as far as the client knows. */
static bool add_redis(struct body *body, const struct cluster *cluster) {
    uint64_t covered = counter_read(&cluster_counts(cluster)->slots_covered);
    body_printf(body, "\"redis\":{\"status\":\"%s\",\"slots_covered\":%llu}",
                covered == SLOTS ? "ok" : "not_whole", (unsigned long long)covered);
    return covered == SLOTS;
}

/* The tail is at the end of the topic, as it was less than a second ago. */
static bool add_kafka(struct body *body, const struct server *server,
                      const struct engine_health *health) {
    const struct cluster *cluster = server->shared->cluster;
    uint64_t age_ns = cluster_tail_age_ns(cluster, server->shared->clock);
    bool is_good = !health->has_failed && age_ns < (uint64_t)CLUSTER_CURRENT_MS * 1000000;
    body_printf(body, ",\"kafka\":{\"status\":\"%s\",\"seq\":%llu,\"tail_age_ms\":%llu}",
                health->has_failed ? "failed"
                : is_good          ? "ok"
                                   : "behind",
                (unsigned long long)counter_read(&cluster_counts(cluster)->seq),
                (unsigned long long)(age_ns / 1000000));
    return is_good;
}

static bool add_cluster_parts(struct body *body, const struct server *server,
                              const struct engine_health *health) {
    bool is_good = add_redis(body, server->shared->cluster);
    is_good = add_kafka(body, server, health) && is_good;
    is_good = add_engine(body, server) && is_good;
    return add_views(body, server) && is_good;
}

static bool add_parts(struct body *body, const struct server *server,
                      const struct engine_health *health) {
    if (server->shared->cluster != NULL) return add_cluster_parts(body, server, health);
    bool is_good = add_journal(body, server, health);
    is_good = add_engine(body, server) && is_good;
    is_good = add_views(body, server) && is_good;
    is_good = add_copy(body, server) && is_good;
    is_good = add_verify(body, server) && is_good;
    return add_disk(body, server, health) && is_good;
}

bool health_add(struct body *body, const struct server *server) {
    const struct server_shared *shared = server->shared;
    struct engine_health health;
    engine_thread_health(server->engine, &health);
    bool is_ready = atomic_load_explicit(&shared->is_ready, memory_order_relaxed);
    bool is_down = health.has_failed || !is_ready;
    struct body parts;
    parts.n = 0;
    bool is_good = add_parts(&parts, server, &health);
    body_printf(body, "{\"status\":\"%s\",\"mode\":\"%s\",\"version\":\"%s\",\"uptime_s\":%llu,",
                is_down   ? "down"
                : is_good ? "ok"
                          : "degraded",
                shared->cluster != NULL ? "cluster" : "embedded", shared->version,
                (unsigned long long)((clock_monotonic_ns(shared->clock) - shared->started_ns) /
                                     1000000000u));
    body_add(body, body_slice(&parts));
    body_printf(
        body, ",\"events\":%u,\"connections\":%llu,\"draining\":%s}",
        view_events_count(server->view),
        (unsigned long long)atomic_load_explicit(&shared->connections, memory_order_relaxed),
        is_ready ? "false" : "true");
    return is_down;
}

void health_handle(struct exchange *exchange) {
    struct body body;
    body.n = 0;
    bool is_down = health_add(&body, exchange->server);
    exchange_reply(exchange, (struct reply){.status = is_down ? 503 : 200,
                                            .fields = is_down ? SLICE("Retry-After: 2\r\n"
                                                                      "Cache-Control: no-store\r\n")
                                                              : no_store,
                                            .body = body_slice(&body)});
}

void health_handle_live(struct exchange *exchange) {
    exchange_reply(
        exchange,
        (struct reply){.status = 200, .fields = no_store, .body = SLICE("{\"status\":\"ok\"}")});
}

void health_handle_ready(struct exchange *exchange) {
    const struct server *server = exchange->server;
    bool is_following = server->tail_age_ns < (uint64_t)CLUSTER_READY_MS * 1000000;
    if (atomic_load_explicit(&server->shared->is_ready, memory_order_relaxed) &&
        !server->has_failed && is_following)
        exchange_reply(exchange, (struct reply){.status = 200,
                                                .fields = no_store,
                                                .body = SLICE("{\"status\":\"ready\"}")});
    else
        exchange_problem(exchange, (struct problem){.status = 503,
                                                    .code = "not_ready",
                                                    .detail =
                                                        is_following
                                                            ? "The server is starting or stopping."
                                                            : "The log cannot be followed.",
                                                    .fields = no_store,
                                                    .retry_after_s = 2});
}
