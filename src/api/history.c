/* SPDX-License-Identifier: Apache-2.0 */
#include "api/history.h"

#include "lib/base.h"

void history_turn(struct history *history, uint32_t now_s) {
    uint32_t skipped = now_s - history->now_s;
    if (skipped > HISTORY_SECONDS) skipped = HISTORY_SECONDS;
    for (size_t i = 0; i < HISTORY_EVENTS; i++)
        for (uint32_t s = now_s - skipped + 1; s <= now_s; s++)
            history->rings[i].claims[s % HISTORY_SECONDS] = 0;
    /* Seconds without a look end as the one before them. */
    uint32_t gap = now_s - history->now_s;
    if (gap > HISTORY_LATENCY_SECONDS) gap = HISTORY_LATENCY_SECONDS;
    const struct history_buckets last = history->latency[history->now_s % HISTORY_LATENCY_SECONDS];
    for (uint32_t s = now_s - gap + 1; s <= now_s; s++)
        history->latency[s % HISTORY_LATENCY_SECONDS] = last;
    history->now_s = now_s;
}

void history_claims(struct history *history, uint32_t event, uint64_t total) {
    struct history_ring *ring = &history->rings[event % HISTORY_EVENTS];
    if (ring->event != event + 1)
        *ring = (struct history_ring){.event = event + 1, .since_s = history->now_s};
    uint64_t more = total - ring->total;
    ring->claims[history->now_s % HISTORY_SECONDS] =
        more > UINT32_MAX ? UINT32_MAX : (uint32_t)more;
    ring->total = total;
}

void history_latency(struct history *history, const struct history_buckets *totals) {
    history->latency[history->now_s % HISTORY_LATENCY_SECONDS] = *totals;
}

const struct history_ring *history_of(const struct history *history, uint32_t event) {
    const struct history_ring *ring = &history->rings[event % HISTORY_EVENTS];
    return ring->event == event + 1 ? ring : NULL;
}

void history_recent_latency(const struct history *history, struct history_buckets *recent) {
    const struct history_buckets *now = &history->latency[history->now_s % HISTORY_LATENCY_SECONDS];
    /* The next place to be written is the oldest one: zeros until the ring is full, as wanted. */
    const struct history_buckets *before =
        &history->latency[(history->now_s + 1) % HISTORY_LATENCY_SECONDS];
    for (size_t i = 0; i < ARRAY_LEN(recent->count); i++)
        recent->count[i] = now->count[i] - before->count[i];
}

uint64_t history_quantile(const struct history_buckets *buckets,
                          const struct histogram_shape *shape, uint32_t per_mille) {
    uint64_t all = 0, below = 0;
    for (size_t i = 0; i <= shape->bounds_count; i++) all += buckets->count[i];
    if (all == 0) return 0;
    uint64_t rank = (all * per_mille + 999) / 1000;
    for (size_t i = 0; i < shape->bounds_count; i++) {
        below += buckets->count[i];
        if (below >= rank) return shape->bounds[i];
    }
    return UINT64_MAX;
}
