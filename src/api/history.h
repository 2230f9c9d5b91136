/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server was asked lately, second by second, so that a page that is opened after the rush
 * still shows it: claims answered of the newest HISTORY_EVENTS events for HISTORY_SECONDS, and how
 * long claims waited in the last minute. A fixed amount of memory; filled once a second by the
 * admin thread out of the counters that all threads keep anyway. Pure.
 */
#pragma once

#include <stdint.h>

#include "lib/metrics.h"

enum { HISTORY_EVENTS = 64, HISTORY_SECONDS = 900, HISTORY_LATENCY_SECONDS = 60 };

struct history_ring {
    uint32_t event;                   /* number + 1; 0: of none */
    uint64_t total;                   /* claims when last looked */
    uint32_t since_s;                 /* the first second that is known */
    uint32_t claims[HISTORY_SECONDS]; /* of second s at s % HISTORY_SECONDS */
};

struct history_buckets {
    uint64_t count[HISTOGRAM_BOUNDS_MAX + 1];
};

struct history {    /* zeroed: nothing seen */
    uint32_t now_s; /* the last second that is filled */
    struct history_ring rings[HISTORY_EVENTS];
    struct history_buckets latency[HISTORY_LATENCY_SECONDS]; /* totals, of second s at s % … */
};

/* Second `now_s` is over: the ones that were skipped are empty. */
void history_turn(struct history *history, uint32_t now_s);
/* By the end of that second `total` claims of the event had been answered. */
void history_claims(struct history *history, uint32_t event, uint64_t total);
/* By the end of that second so many waits had been in each bucket. */
void history_latency(struct history *history, const struct history_buckets *totals);

/* The ring of an event, or NULL when it has none (any more). */
const struct history_ring *history_of(const struct history *history, uint32_t event);
/* Claims of a ring in second `s`, which must be one of the last HISTORY_SECONDS. */
static inline uint32_t history_at(const struct history_ring *ring, uint32_t s) {
    return ring->claims[s % HISTORY_SECONDS];
}

/* What came into each bucket in the last minute, or since the start where that is less. */
void history_recent_latency(const struct history *history, struct history_buckets *recent);

/* The upper bound of the bucket in which the `per_mille` smallest of all end; 0 when there is none,
 * UINT64_MAX above the last bound. */
uint64_t history_quantile(const struct history_buckets *buckets,
                          const struct histogram_shape *shape, uint32_t per_mille);
