/* SPDX-License-Identifier: Apache-2.0
 *
 * The writers of the samples of each metric: metrics_write_… for each row of metrics.def, and what
 * they share. For metrics.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/server.h"
#include "lib/metrics.h"

enum {
    METRICS_EVENTS_MAX = 1000,          /* told by name */
    METRICS_ROOM_BYTES = 48 * 1024,     /* a writer begins with at least this much room */
    METRICS_EVENT_ROOM_BYTES = 4 * 1024 /* one event's samples of one metric are no longer */
};

/* A piece of the answer in the making. */
struct scrape {
    struct server *server; /* the one that answers */
    const struct metric *metric;
    struct metrics_text text;
    uint32_t events_count; /* when the answer began: the same for all metrics */
    uint32_t next;         /* 0, or the event with which the writer goes on in the next piece */
};

#define METRIC(writer, ...) void metrics_write_##writer(struct scrape *scrape);
#include "src/metrics.def"
#undef METRIC

/* A sample, with the values of the metric's labels behind. */
#define METRICS_ADD(scrape, value, ...)                                                            \
    metrics_add(&(scrape)->text, (scrape)->metric, (const struct slice[]){__VA_ARGS__}, value)

static inline void metrics_add_plain(struct scrape *scrape, uint64_t value) {
    metrics_add(&scrape->text, scrape->metric, NULL, value);
}

/* The admin listener's thread, or one of the public listener's? */
bool metrics_is_admin(const struct server *server);
