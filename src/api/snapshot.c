/* SPDX-License-Identifier: Apache-2.0 */
#include "api/snapshot.h"

#include <string.h>

#include "api/console.h"
#include "api/curve.h"
#include "api/health.h"
#include "api/status.h"

enum {
    EVENTS_SHOWN_MAX = 100,
    RECENT_SECONDS = 5, /* of the history, in all snapshots but the first */
    NUMBERS_IN_BODY = 256,
};

/* What is written goes through a small body, part by part. */
struct text {
    struct body body;
    char *p;
    size_t n, room;
};

static void flush(struct text *text) {
    ASSERT(text->body.n <= text->room - text->n);
    memcpy(text->p + text->n, text->body.bytes, text->body.n);
    text->n += text->body.n;
    text->body.n = 0;
}

/* ---- the server ---- */

static void add_server(struct text *text, struct server *server) {
    body_add(&text->body, SLICE("{\"now\":"));
    body_add_instant(&text->body, clock_wall_ms(server->shared->clock));
    body_add(&text->body, SLICE(",\"health\":"));
    (void)health_add(&text->body, server);
    flush(text);
}

static void add_quantile(struct body *body, const char *name, const struct history_buckets *recent,
                         uint32_t per_mille) {
    uint64_t ns = history_quantile(recent, &histogram_seconds, per_mille);
    if (ns == 0 || ns == UINT64_MAX)
        body_printf(body, ",\"%s\":null", name);
    else
        body_printf(body, ",\"%s\":%llu", name, (unsigned long long)(ns / 1000));
}

/* Each quantile is the bound that it does not exceed; null: there is none (count 0), or it exceeds
 * the last one. */
static void add_latency(struct text *text, const struct console *console) {
    struct history_buckets recent;
    uint64_t count = 0;
    history_recent_latency(&console->history, &recent);
    for (size_t i = 0; i < ARRAY_LEN(recent.count); i++) count += recent.count[i];
    body_printf(&text->body, ",\"latency\":{\"seconds\":%d,\"count\":%llu", HISTORY_LATENCY_SECONDS,
                (unsigned long long)count);
    add_quantile(&text->body, "p50_us", &recent, 500);
    add_quantile(&text->body, "p90_us", &recent, 900);
    add_quantile(&text->body, "p99_us", &recent, 990);
    add_quantile(&text->body, "p999_us", &recent, 999);
    body_add(&text->body, SLICE("}"));
    flush(text);
}

/* ---- the list ---- */

static void add_events(struct text *text, const struct server *server) {
    uint32_t count = view_events_count(server->view);
    uint32_t last = count > EVENTS_SHOWN_MAX ? count - EVENTS_SHOWN_MAX : 0;
    body_printf(&text->body, ",\"events_count\":%u,\"events\":[", count);
    for (uint32_t number = count; number > last; number--) {
        if (number != count) body_add(&text->body, SLICE(","));
        status_add_event(&text->body, view_at(server->view, number - 1), status_now_ms(server));
        body_printf(&text->body, ",\"claims\":%llu}",
                    (unsigned long long)status_claims(server->shared, number - 1));
        flush(text);
    }
    body_add(&text->body, SLICE("]"));
}

/* ---- one event ---- */

static void add_outcomes(struct text *text, const struct server *server, uint32_t event) {
    const char *comma = "";
    body_add(&text->body, SLICE(",\"claims\":{"));
    for (int i = 0; i <= CLAIM_PENDING; i++) {
        const char *name = counts_outcome_name((enum claim_outcome)i);
        if (name == NULL) continue;
        body_printf(
            &text->body, "%s\"%s\":%llu", comma, name,
            (unsigned long long)status_claims_told(server->shared, event, (enum claim_outcome)i));
        comma = ",";
    }
    body_add(&text->body, SLICE("}"));
    flush(text);
}

static void add_number_to_list(struct text *text, uint32_t i, uint32_t number) {
    body_printf(&text->body, i == 0 ? "%u" : ",%u", number);
    if (i % NUMBERS_IN_BODY == NUMBERS_IN_BODY - 1) flush(text);
}

static void add_curve(struct text *text, const struct event *event) {
    struct curve curve;
    curve_make(&curve, event->judge);
    body_printf(&text->body, ",\"curve\":{\"from_ms\":%lld,\"step_ms\":%lld,\"counts\":[",
                (long long)curve.from_ms, (long long)curve.step_ms);
    for (uint32_t i = 0; i < curve.steps; i++) add_number_to_list(text, i, curve.counts[i]);
    body_add(&text->body, SLICE("]}"));
    flush(text);
}

static void add_seconds(struct text *text, const struct console *console, uint32_t event,
                        bool is_whole) {
    const struct history *history = &console->history;
    const struct history_ring *ring = history_of(history, event);
    uint32_t wanted = is_whole ? HISTORY_SECONDS : RECENT_SECONDS;
    uint32_t known = ring == NULL ? 0 : history->now_s - ring->since_s + 1;
    uint32_t count = known < wanted ? known : wanted;
    uint32_t from_s = history->now_s + 1 - count;
    body_printf(&text->body, ",\"requests\":{\"from_s\":%u,\"counts\":[", from_s);
    for (uint32_t i = 0; i < count; i++) add_number_to_list(text, i, history_at(ring, from_s + i));
    body_add(&text->body, SLICE("]}"));
    flush(text);
}

static void add_event(struct text *text, struct server *server, const struct event *event,
                      bool is_whole) {
    if (event == NULL) {
        body_add(&text->body, SLICE("null"));
        return;
    }
    const struct judge_state *state = judge_state(event->judge);
    status_add_event(&text->body, event, status_now_ms(server));
    body_printf(&text->body,
                ",\"closed\":%s,\"paused\":%s,\"created_at\":", state->closed ? "true" : "false",
                state->paused ? "true" : "false");
    body_add_instant(&text->body, event->created_ms);
    add_outcomes(text, server, event->number);
    add_curve(text, event);
    add_seconds(text, server->console, event->number, is_whole);
    body_add(&text->body, SLICE("}"));
}

size_t snapshot_write(struct server *server, const struct event *event, bool is_whole, char *out,
                      size_t room) {
    struct text text = {.p = out, .room = room};
    add_server(&text, server);
    add_latency(&text, server->console);
    add_events(&text, server);
    body_add(&text.body, SLICE(",\"event\":"));
    add_event(&text, server, event, is_whole);
    body_add(&text.body, SLICE("}"));
    flush(&text);
    return text.n;
}
