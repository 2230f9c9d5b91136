/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told of each event. Names are bounded: the newest METRICS_EVENTS_MAX events have one, the
 * others are one sum, _other; an event that is really named so is among them.
 */
#include <stdio.h>

#include "api/metrics_write.h"
#include "api/status.h"
#include "claim/decide.h"

static const struct slice other = {"_other", 6};

static uint32_t first_named(const struct scrape *scrape) {
    return scrape->events_count > METRICS_EVENTS_MAX ? scrape->events_count - METRICS_EVENTS_MAX
                                                     : 0;
}

static const struct event *event_at(const struct scrape *scrape, uint32_t number) {
    return view_at(scrape->server->view, number);
}

/* Calls `add` for the named events that fit into this piece. True when none is left. */
static bool each_named(struct scrape *scrape,
                       void (*add)(struct scrape *scrape, const struct event *event)) {
    uint32_t number = scrape->next != 0 ? scrape->next : first_named(scrape);
    for (; number < scrape->events_count; number++) {
        if (scrape->text.room - scrape->text.n < 2 * METRICS_EVENT_ROOM_BYTES) {
            scrape->next = number;
            return false;
        }
        const struct event *event = event_at(scrape, number);
        if (!slice_eq(event->id, other)) add(scrape, event);
    }
    scrape->next = 0;
    return true;
}

/* The sum of `value` over the events without a name; false when there is no such event. */
static bool sum_others(struct scrape *scrape,
                       uint64_t (*value)(const struct scrape *scrape, const struct event *event,
                                         int what),
                       int what, uint64_t *sum) {
    uint32_t first = first_named(scrape);
    *sum = 0;
    for (uint32_t i = 0; i < first; i++) *sum += value(scrape, event_at(scrape, i), what);
    const struct event *namesake = view_find(scrape->server->view, other);
    bool is_among = namesake != NULL && namesake->number < scrape->events_count;
    if (is_among && namesake->number >= first) *sum += value(scrape, namesake, what);
    return is_among || first != 0;
}

/* ---- claims ---- */

static uint64_t claims(const struct scrape *scrape, const struct event *event, int outcome) {
    return status_claims_told(scrape->server->shared, event->number, (enum claim_outcome)outcome);
}

static void add_claims(struct scrape *scrape, const struct event *event) {
    for (int i = 0; i <= CLAIM_PENDING; i++) {
        const char *name = counts_outcome_name((enum claim_outcome)i);
        if (name != NULL) METRICS_ADD(scrape, claims(scrape, event, i), event->id, slice_str(name));
    }
}

static uint64_t claims_beyond(const struct scrape *scrape, int outcome) {
    const struct server_shared *shared = scrape->server->shared;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared->servers_count; i++)
        sum += counter_read(&shared->servers[i]->counts.beyond.outcomes[outcome]);
    return sum;
}

void metrics_write_claims(struct scrape *scrape) {
    if (!each_named(scrape, add_claims)) return;
    uint64_t sum;
    for (int i = 0; i <= CLAIM_PENDING; i++) {
        const char *name = counts_outcome_name((enum claim_outcome)i);
        if (name != NULL && sum_others(scrape, claims, i, &sum))
            METRICS_ADD(scrape, sum + claims_beyond(scrape, i), other, slice_str(name));
    }
}

/* ---- what the view of this thread knows ---- */

void metrics_write_events(struct scrape *scrape) {
    metrics_add_plain(scrape, scrape->events_count);
}

enum quantity { STOCK, TAKEN };

static uint64_t quantity(const struct scrape *scrape, const struct event *event, int which) {
    (void)scrape;
    const struct judge_state *state = judge_state(event->judge);
    return which == STOCK ? state->stock : state->taken;
}

static void add_stock(struct scrape *scrape, const struct event *event) {
    METRICS_ADD(scrape, quantity(scrape, event, STOCK), event->id);
}

static void add_taken(struct scrape *scrape, const struct event *event) {
    METRICS_ADD(scrape, quantity(scrape, event, TAKEN), event->id);
}

void metrics_write_event_stock(struct scrape *scrape) {
    uint64_t sum;
    if (each_named(scrape, add_stock) && sum_others(scrape, quantity, STOCK, &sum))
        METRICS_ADD(scrape, sum, other);
}

void metrics_write_event_taken(struct scrape *scrape) {
    uint64_t sum;
    if (each_named(scrape, add_taken) && sum_others(scrape, quantity, TAKEN, &sum))
        METRICS_ADD(scrape, sum, other);
}

/* The engine tells the time only while some event is about to start or end. */
static void add_status(struct scrape *scrape, const struct event *event) {
    int64_t wall_ms = clock_wall_ms(scrape->server->shared->clock);
    int64_t engine_ms = scrape->server->engine_ms;
    enum event_status status = event_status(event, wall_ms > engine_ms ? wall_ms : engine_ms);
    METRICS_ADD(scrape, 1, event->id, slice_str(event_status_name(status)));
}

void metrics_write_event_status(struct scrape *scrape) {
    (void)each_named(scrape, add_status);
}

static void add_judge(struct scrape *scrape, const struct event *event) {
    char offset[24], digest[24];
    int offset_bytes = snprintf(offset, sizeof offset, "%llu",
                                (unsigned long long)judge_state(event->judge)->offset);
    int digest_bytes =
        snprintf(digest, sizeof digest, "%016llx", (unsigned long long)judge_digest(event->judge));
    METRICS_ADD(scrape, 1, event->id, slice_of(offset, (size_t)offset_bytes),
                slice_of(digest, (size_t)digest_bytes));
}

void metrics_write_event_judge(struct scrape *scrape) {
    (void)each_named(scrape, add_judge);
}
