/* SPDX-License-Identifier: Apache-2.0 */
#include "consume_pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/metrics.h"

#define NS_PER_S 1e9

static uint64_t word(const atomic_uint_least64_t *value) {
    return atomic_load_explicit(value, memory_order_relaxed);
}

static const struct consumer_health *health_of(const struct consume_pages *pages) {
    return consumer_health(pages->consumer);
}

static enum consumer_state state_of(const struct consume_pages *pages) {
    return (enum consumer_state)counter_read(&health_of(pages)->state);
}

static enum consumer_stop stop_of(const struct consume_pages *pages) {
    return (enum consumer_stop)counter_read(&health_of(pages)->stop);
}

uint64_t consume_lag_records(const struct consume_pages *pages) {
    uint64_t end = word(&pages->end_seq), applied = counter_read(&health_of(pages)->applied_seq);
    bool is_ours = atomic_load_explicit(&pages->is_assigned, memory_order_relaxed);
    return is_ours && end > applied ? end - applied : 0;
}

double consume_lag_seconds(const struct consume_pages *pages) {
    uint64_t now = clock_monotonic_ns(&clock_system), then = word(&pages->caught_up_ns);
    return consume_lag_records(pages) == 0 || then >= now ? 0 : (double)(now - then) / NS_PER_S;
}

static double uptime_s(const struct consume_pages *pages) {
    return (double)(clock_monotonic_ns(&clock_system) - pages->started_ns) / NS_PER_S;
}

/* ---- health ---- */

static bool is_ready(const struct consume_pages *pages) {
    enum consumer_state state = state_of(pages);
    return !atomic_load_explicit(&pages->is_stopping, memory_order_relaxed) &&
           (state == CONSUMER_RECORDING || state == CONSUMER_IDLE);
}

static const struct reconcile_counts *verify_counts(const struct consume_pages *pages) {
    static const struct reconcile_counts none;
    return pages->verifier == NULL ? &none : reconcile_thread_counts(pages->verifier);
}

static uint64_t findings_of(const struct consume_pages *pages) {
    return pages->verifier == NULL ? 0 : reconcile_thread_findings(pages->verifier);
}

static void add_verify(const struct consume_pages *pages, struct buf *out) {
    uint64_t findings = findings_of(pages), passes = counter_read(&verify_counts(pages)->passes);
    buf_printf(out,
               ",\"verify\":{\"status\":\"%s\",\"findings\":%" PRIu64 ",\"passes\":%" PRIu64 "}",
               pages->verifier == NULL ? "off"
               : findings != 0         ? "findings"
               : passes == 0           ? "not_yet"
                                       : "ok",
               findings, passes);
}

static int write_health(void *ctx, struct buf *out) {
    const struct consume_pages *pages = ctx;
    enum consumer_state state = state_of(pages);
    bool is_down = state == CONSUMER_IS_STOPPED;
    bool is_degraded = state == CONSUMER_WAITING || findings_of(pages) != 0;
    buf_printf(out, "{\"status\":\"%s\",\"mode\":\"consume\",\"version\":\"%s\",\"uptime_s\":%.0f,",
               is_down       ? "down"
               : is_degraded ? "degraded"
                             : "ok",
               COUPOND_VERSION, uptime_s(pages));
    buf_printf(out, "\"consumer\":{\"state\":\"%s\",\"stopped\":\"%s\"},",
               consumer_state_name(state), consumer_stop_name(stop_of(pages)));
    buf_add_text(out, "\"log\":{\"topic\":");
    buf_add_json_string(out, slice_str(pages->topic));
    buf_printf(out,
               ",\"applied_offset\":%" PRIu64 ",\"end_offset\":%" PRIu64 ",\"lag_records\":%" PRIu64
               ",\"lag_s\":%.1f},\"database\":",
               counter_read(&health_of(pages)->applied_seq), word(&pages->end_seq),
               consume_lag_records(pages), consume_lag_seconds(pages));
    buf_add_json_string(out, slice_str(pages->database));
    add_verify(pages, out);
    buf_add_text(out, "}\n");
    return is_down ? 503 : 200;
}

static int write_live(void *ctx, struct buf *out) {
    (void)ctx;
    buf_add_text(out, "{\"status\":\"ok\"}\n");
    return 200;
}

static int write_ready(void *ctx, struct buf *out) {
    const struct consume_pages *pages = ctx;
    buf_printf(out, "{\"status\":\"%s\"}\n", is_ready(pages) ? "ready" : "not_ready");
    return is_ready(pages) ? 200 : 503;
}

/* ---- metrics ---- */

struct scrape {
    const struct consume_pages *pages;
    const struct metric *metric;
    struct metrics_text text;
};

#define ADD(scrape, value, ...)                                                                    \
    metrics_add(&(scrape)->text, (scrape)->metric, (const struct slice[]){__VA_ARGS__}, value)

static void add_plain(struct scrape *scrape, uint64_t value) {
    metrics_add(&scrape->text, scrape->metric, NULL, value);
}

static void add_real(struct scrape *scrape, double value) {
    metrics_add_real(&scrape->text, scrape->metric, NULL, value);
}

static void write_lag_records(struct scrape *scrape) {
    add_plain(scrape, consume_lag_records(scrape->pages));
}

static void write_lag_seconds(struct scrape *scrape) {
    add_real(scrape, consume_lag_seconds(scrape->pages));
}

static void write_applied_offset(struct scrape *scrape) {
    add_plain(scrape, counter_read(&health_of(scrape->pages)->applied_seq));
}

static void write_view(struct scrape *scrape) {
    uint64_t seq, digest;
    char offset[24], hexadecimal[24];
    view_mark_read(consumer_mark(scrape->pages->consumer), &seq, &digest);
    snprintf(offset, sizeof offset, "%" PRIu64, seq);
    snprintf(hexadecimal, sizeof hexadecimal, "%016" PRIx64, digest);
    ADD(scrape, 1, slice_str(offset), slice_str(hexadecimal));
}

static void write_state(struct scrape *scrape) {
    for (int i = 0; i < CONSUMER_STATES; i++)
        ADD(scrape, state_of(scrape->pages) == (enum consumer_state)i,
            slice_str(consumer_state_name((enum consumer_state)i)));
}

static void write_stopped(struct scrape *scrape) {
    for (int i = CONSUMER_RUNS + 1; i < CONSUMER_STOPS; i++)
        ADD(scrape, stop_of(scrape->pages) == (enum consumer_stop)i,
            slice_str(consumer_stop_name((enum consumer_stop)i)));
}

static void write_records(struct scrape *scrape) {
    add_plain(scrape, counter_read(&health_of(scrape->pages)->records));
}

static void write_changes(struct scrape *scrape) {
    add_plain(scrape, counter_read(&health_of(scrape->pages)->changes));
}

static void write_rejects(struct scrape *scrape) {
    ADD(scrape, counter_read(&health_of(scrape->pages)->rejects_void), SLICE("void"));
    ADD(scrape, counter_read(&health_of(scrape->pages)->rejects_dead), SLICE("dead"));
}

static void write_take_overs(struct scrape *scrape) {
    add_plain(scrape, counter_read(&health_of(scrape->pages)->take_overs));
}

static void write_retries(struct scrape *scrape) {
    for (int i = 0; i < RETRIES; i++)
        ADD(scrape, counter_read(&health_of(scrape->pages)->retries[i]),
            slice_str(consumer_retry_name((enum consumer_retry)i)));
}

static void write_batch(struct scrape *scrape) {
    const struct histogram *one = &health_of(scrape->pages)->batch_records;
    metrics_add_histogram(&scrape->text, scrape->metric, &histogram_sizes, &one, 1);
}

static void write_commit(struct scrape *scrape) {
    const struct histogram *one = &health_of(scrape->pages)->commit_ns;
    metrics_add_histogram(&scrape->text, scrape->metric, &histogram_seconds, &one, 1);
}

static void write_verify_findings(struct scrape *scrape) {
    for (int i = CHECK_R1; i <= CHECK_R11; i++)
        if (i != CHECK_R8) /* who was told is in files of the servers */
            ADD(scrape, counter_read(&verify_counts(scrape->pages)->findings[i]),
                slice_str(check_id((enum check)i)));
}

static void write_verify_passes(struct scrape *scrape) {
    add_plain(scrape, counter_read(&verify_counts(scrape->pages)->passes));
}

static void write_verify_failures(struct scrape *scrape) {
    add_plain(scrape, counter_read(&verify_counts(scrape->pages)->failures));
}

static void write_build(struct scrape *scrape) {
    ADD(scrape, 1, SLICE(COUPOND_VERSION), SLICE(__VERSION__));
}

static void write_uptime(struct scrape *scrape) {
    add_real(scrape, uptime_s(scrape->pages));
}

#define METRIC(writer, name, type, unit, labels, help, help_ko, alert)                             \
    {name, METRIC_##type, labels, help},
static const struct metric metrics[] = {
#include "src/metrics_consume.def"
};
#undef METRIC

#define METRIC(writer, ...) write_##writer,
static void (*const writers[])(struct scrape *scrape) = {
#include "src/metrics_consume.def"
};
#undef METRIC

static int write_metrics(void *ctx, struct buf *out) {
    enum { ROOM_BYTES = 128 << 10 };
    if (!buf_reserve(out, ROOM_BYTES)) return 503;
    struct scrape scrape = {.pages = ctx, .text = {.p = out->p + out->n, .room = ROOM_BYTES}};
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        scrape.metric = &metrics[i];
        metrics_add_head(&scrape.text, scrape.metric);
        writers[i](&scrape);
    }
    out->n += scrape.text.n;
    return 200;
}

const struct monitor_page consume_page_table[] = {
    {"/health", "application/json", write_health},
    {"/livez", "application/json", write_live},
    {"/readyz", "application/json", write_ready},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics},
};
const size_t consume_page_count = ARRAY_LEN(consume_page_table);
