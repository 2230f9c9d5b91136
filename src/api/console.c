/* SPDX-License-Identifier: Apache-2.0 */
#include "api/console.h"

#include <stdlib.h>

#include "api/admin_access.h"
#include "api/live.h"
#include "api/status.h"

struct console *console_new(struct server *server) {
    struct console *console = calloc(1, sizeof *console);
    if (console == NULL) return NULL;
    console->server = server;
    link_init(&console->live);
    if (uv_timer_init(&server->loop, &console->held_timer) == 0) return console;
    free(console);
    return NULL;
}

void console_close(struct console *console) {
    if (!uv_is_closing((uv_handle_t *)&console->held_timer))
        uv_close((uv_handle_t *)&console->held_timer, NULL);
}

void console_free(struct console *console) {
    free(console);
}

/* ---- what others count, by the second ---- */

static void look_at_claims(struct console *console) {
    const struct server *server = console->server;
    uint32_t count = view_events_count(server->view);
    uint32_t first = count > HISTORY_EVENTS ? count - HISTORY_EVENTS : 0;
    for (uint32_t event = first; event < count; event++)
        history_claims(&console->history, event, status_claims(server->shared, event));
}

static void look_at_latency(struct console *console) {
    const struct server_shared *shared = console->server->shared;
    struct history_buckets totals = {0};
    for (uint32_t i = 0; i < shared->servers_count; i++)
        for (size_t bucket = 0; bucket < ARRAY_LEN(totals.count); bucket++)
            totals.count[bucket] +=
                counter_read(&shared->servers[i]->counts.claim_ns.buckets[bucket]);
    history_latency(&console->history, &totals);
}

static void count_second(atomic_uint_least32_t *seconds, bool is_bad) {
    uint32_t before = atomic_load_explicit(seconds, memory_order_relaxed);
    atomic_store_explicit(seconds, is_bad ? before + 1 : 0, memory_order_relaxed);
}

/* For /health: the engine has to make a turn when it is woken, and a view has to know now what the
 * engine had judged a second ago. */
static void look_at_threads(struct console *console) {
    const struct server *server = console->server;
    struct server_shared *shared = server->shared;
    struct engine_health health;
    engine_thread_health(server->engine, &health);
    count_second(&shared->engine_still_s, health.turns == console->engine_turns);
    console->engine_turns = health.turns;
    bool is_behind = false;
    for (uint32_t i = 0; i < shared->servers_count; i++)
        is_behind = is_behind ||
                    counter_read(&shared->servers[i]->counts.view_offset) < console->engine_offset;
    count_second(&shared->views_behind_s, is_behind);
    console->engine_offset = counter_read(&engine_thread_counts(server->engine)->offset);
    engine_thread_wake(server->engine);
}

void console_second(struct console *console) {
    struct server *server = console->server;
    if (server->now_s > console->history.now_s) {
        history_turn(&console->history, server->now_s);
        look_at_claims(console);
        look_at_latency(console);
        if (!server->is_draining) look_at_threads(console);
        uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
        counter_set(&server->counts.sessions, session_count(&console->sessions, now_ns));
    } else if (!server->is_draining) {
        return;
    }
    live_second(console);
}
