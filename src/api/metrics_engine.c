/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine and the journal count.
 */
#include "api/metrics_write.h"

enum { NS_PER_S = 1000000000 };

static const struct engine_counts *engine_counts(const struct scrape *scrape) {
    return engine_thread_counts(scrape->server->engine);
}

static struct engine_health health(const struct scrape *scrape) {
    struct engine_health health;
    engine_thread_health(scrape->server->engine, &health);
    return health;
}

static void add_histogram(struct scrape *scrape, const struct histogram_shape *shape,
                          const struct histogram *histogram) {
    metrics_add_histogram(&scrape->text, scrape->metric, shape, &histogram, 1);
}

/* ---- the engine ---- */

void metrics_write_engine_turn(struct scrape *scrape) {
    add_histogram(scrape, &histogram_sizes, &engine_counts(scrape)->turn_claims);
}

void metrics_write_engine_waiting(struct scrape *scrape) {
    const struct engine_counts *counts = engine_counts(scrape);
    METRICS_ADD(scrape, counter_read(&counts->claims_waiting), SLICE("claim"));
    METRICS_ADD(scrape, counter_read(&counts->controls_waiting), SLICE("control"));
}

void metrics_write_engine_controls(struct scrape *scrape) {
    static const char *const names[] = {
        [CONTROL_DONE] = "done",        [CONTROL_EXISTS] = "exists",
        [CONTROL_UNKNOWN] = "unknown",  [CONTROL_CLOSED] = "closed",
        [CONTROL_REFUSED] = "refused",  [CONTROL_NO_SPACE] = "no_space",
        [CONTROL_UNAVAILABLE] = "busy",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        METRICS_ADD(scrape, counter_read(&engine_counts(scrape)->controls[i]), slice_str(names[i]));
}

static void add_verdicts(struct scrape *scrape, struct slice type, const struct counter *verdicts) {
    for (int verdict = 0; verdict <= VERDICT_NOP; verdict++)
        METRICS_ADD(scrape, counter_read(&verdicts[verdict]), type,
                    slice_str(verdict_name((enum verdict)verdict)));
}

void metrics_write_engine_records(struct scrape *scrape) {
    const struct engine_verdicts *verdicts = engine_thread_verdicts(scrape->server->engine);
    add_verdicts(scrape, SLICE("win"), verdicts->wins);
    add_verdicts(scrape, SLICE("control"), verdicts->controls);
}

void metrics_write_engine_offset(struct scrape *scrape) {
    metrics_add_plain(scrape, counter_read(&engine_counts(scrape)->offset));
}

/* ---- the journal ---- */

/* NULL in cluster mode, whose log is elsewhere. */
static const struct journal_counts *journal_counts(const struct scrape *scrape) {
    return scrape->server->shared->journal;
}

void metrics_write_log_failed(struct scrape *scrape) {
    metrics_add_plain(scrape, health(scrape).has_failed);
}

void metrics_write_commit_seconds(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    add_histogram(scrape, &histogram_seconds, &journal_counts(scrape)->commit_ns);
}

void metrics_write_commit_records(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    add_histogram(scrape, &histogram_sizes, &journal_counts(scrape)->commit_records);
}

void metrics_write_written_bytes(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    metrics_add_plain(scrape, counter_read(&journal_counts(scrape)->written_bytes));
}

void metrics_write_busy_seconds(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    uint64_t now_ns = clock_monotonic_ns(scrape->server->shared->clock);
    uint64_t since_ns = health(scrape).busy_since_ns;
    uint64_t ns = since_ns != 0 && now_ns > since_ns ? now_ns - since_ns : 0;
    metrics_add_real(&scrape->text, scrape->metric, NULL, (double)ns / NS_PER_S);
}

void metrics_write_room_bytes(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    metrics_add_plain(scrape, health(scrape).room_bytes);
}

void metrics_write_has_reserve(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    metrics_add_plain(scrape, health(scrape).has_reserve);
}

void metrics_write_segments_prepared(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    metrics_add_plain(scrape, counter_read(&journal_counts(scrape)->segments_prepared));
}

void metrics_write_segments_failed(struct scrape *scrape) {
    if (journal_counts(scrape) == NULL) return;
    metrics_add_plain(scrape, counter_read(&journal_counts(scrape)->segments_failed));
}
