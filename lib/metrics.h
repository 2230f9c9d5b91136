/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers about a running program, and how they are told in Prometheus' text format 0.0.4.
 *
 * A counter, gauge or histogram is plain words owned by one thread: only that thread changes them,
 * by a load and a store (no lock-prefixed instruction), any thread may read them. A metric that
 * many threads count is the sum of a counter of each, made by the reader. Words are read one by
 * one, so what was counted in between may be in one of them and not yet in another.
 *
 *     # HELP coupond_x_total What is counted.
 *     # TYPE coupond_x_total counter
 *     coupond_x_total{thread="0"} 17
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"

/* ---- numbers ---- */

/* Only grows (a counter), or is set (a gauge). Zeroed memory is 0. */
struct counter {
    atomic_uint_least64_t value;
};

/* The owner's. */
static inline void counter_add(struct counter *counter, uint64_t n) {
    uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);
    atomic_store_explicit(&counter->value, value + n, memory_order_relaxed);
}
static inline void counter_set(struct counter *counter, uint64_t value) {
    atomic_store_explicit(&counter->value, value, memory_order_relaxed);
}
/* Anybody's. */
static inline uint64_t counter_read(const struct counter *counter) {
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

enum { HISTOGRAM_BOUNDS_MAX = 20 };

/* The upper bounds of a histogram's buckets, rising; a value counts in the first one that it does
 * not exceed. `per_unit` of what is recorded make one of what is told: 1e9 for ns told in s. */
struct histogram_shape {
    double per_unit;
    size_t bounds_count;
    uint64_t bounds[HISTOGRAM_BOUNDS_MAX];
};

/* 100 us to 10 s, in ns. */
extern const struct histogram_shape histogram_seconds;
/* 1 to 1,024 of something. */
extern const struct histogram_shape histogram_sizes;

struct histogram {
    struct counter buckets[HISTOGRAM_BOUNDS_MAX + 1]; /* the one behind the last bound: all above */
    struct counter sum;
};

/* The owner's. */
void histogram_record(struct histogram *histogram, const struct histogram_shape *shape,
                      uint64_t value);

/* ---- text ---- */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum { METRIC_LABELS_MAX = 4 };

/* What is told of a metric; a row of a table. */
struct metric {
    const char *name;
    enum metric_type type;
    const char *labels; /* "event,outcome": of every sample, in this order; "" for none */
    const char *help;   /* one line */
};

/* Memory of the caller's that fills up. Who writes has made sure of the room. */
struct metrics_text {
    char *p;
    size_t n, room;
};

/* The lines before the samples of a metric. */
void metrics_add_head(struct metrics_text *text, const struct metric *metric);

/* A sample; `values` of the metric's labels, NULL when it has none. */
void metrics_add(struct metrics_text *text, const struct metric *metric, const struct slice *values,
                 uint64_t value);
/* The same, of a number with a fraction. */
void metrics_add_real(struct metrics_text *text, const struct metric *metric,
                      const struct slice *values, double value);

/* The samples of a histogram without labels: the sum of `count` histograms. */
void metrics_add_histogram(struct metrics_text *text, const struct metric *metric,
                           const struct histogram_shape *shape,
                           const struct histogram *const *histograms, size_t count);
