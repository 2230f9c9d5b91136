/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { US = 1000, MS = 1000 * US };

const struct histogram_shape histogram_seconds = {
    .per_unit = 1e9,
    .bounds_count = 16,
    .bounds = {100 * US, 250 * US, 500 * US, 1 * MS, 2500 * US, 5 * MS, 10 * MS, 25 * MS, 50 * MS,
               100 * MS, 250 * MS, 500 * MS, UINT64_C(1000) * MS, UINT64_C(2500) * MS,
               UINT64_C(5000) * MS, UINT64_C(10000) * MS},
};

const struct histogram_shape histogram_sizes = {
    .per_unit = 1,
    .bounds_count = 11,
    .bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024},
};

void histogram_record(struct histogram *histogram, const struct histogram_shape *shape,
                      uint64_t value) {
    size_t i = 0;
    while (i < shape->bounds_count && value > shape->bounds[i]) i++;
    counter_add(&histogram->buckets[i], 1);
    counter_add(&histogram->sum, value);
}

/* ---- text ---- */

static void add_bytes(struct metrics_text *text, const void *p, size_t n) {
    ASSERT(n <= text->room - text->n);
    if (n != 0) memcpy(text->p + text->n, p, n);
    text->n += n;
}

static void add_string(struct metrics_text *text, const char *string) {
    add_bytes(text, string, strlen(string));
}

static void add_printf(struct metrics_text *text, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_printf(struct metrics_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = text->room - text->n;
    int n = vsnprintf(text->p + text->n, room, format, arguments);
    va_end(arguments);
    ASSERT(n >= 0 && (size_t)n < room);
    text->n += (size_t)n;
}

/* Of a help text `quote` is 0, as a quotation mark stands for itself there. */
static void add_escaped(struct metrics_text *text, struct slice value, char quote) {
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n')
            add_string(text, "\\n");
        else if (c == '\\' || (quote != 0 && c == quote))
            add_bytes(text, (char[]){'\\', c}, 2);
        else
            add_bytes(text, &c, 1);
    }
}

void metrics_add_head(struct metrics_text *text, const struct metric *metric) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    ASSERT((size_t)metric->type < ARRAY_LEN(types));
    add_printf(text, "# HELP %s ", metric->name);
    add_escaped(text, slice_str(metric->help), 0);
    add_printf(text, "\n# TYPE %s %s\n", metric->name, types[metric->type]);
}

/* {event="…",outcome="…"} */
static void add_labels(struct metrics_text *text, const char *labels, const struct slice *values) {
    for (size_t i = 0; *labels != '\0'; i++) {
        size_t n = strcspn(labels, ",");
        add_string(text, i == 0 ? "{" : ",");
        add_bytes(text, labels, n);
        add_string(text, "=\"");
        add_escaped(text, values[i], '"');
        add_string(text, "\"");
        labels += labels[n] == ',' ? n + 1 : n;
        if (*labels == '\0') add_string(text, "}");
    }
}

void metrics_add(struct metrics_text *text, const struct metric *metric, const struct slice *values,
                 uint64_t value) {
    add_string(text, metric->name);
    add_labels(text, metric->labels, values);
    add_printf(text, " %llu\n", (unsigned long long)value);
}

void metrics_add_real(struct metrics_text *text, const struct metric *metric,
                      const struct slice *values, double value) {
    add_string(text, metric->name);
    add_labels(text, metric->labels, values);
    add_printf(text, " %.15g\n", value);
}

/* Buckets are told as what is in them and in all below. The total is that of the buckets that were
 * read, so that the last bucket and the count always agree, as readers expect. */
void metrics_add_histogram(struct metrics_text *text, const struct metric *metric,
                           const struct histogram_shape *shape,
                           const struct histogram *const *histograms, size_t count) {
    uint64_t below = 0, sum = 0;
    ASSERT(metric->labels[0] == '\0');
    for (size_t i = 0; i <= shape->bounds_count; i++) {
        for (size_t k = 0; k < count; k++) below += counter_read(&histograms[k]->buckets[i]);
        if (i < shape->bounds_count)
            add_printf(text, "%s_bucket{le=\"%.15g\"} %llu\n", metric->name,
                       (double)shape->bounds[i] / shape->per_unit, (unsigned long long)below);
        else
            add_printf(text, "%s_bucket{le=\"+Inf\"} %llu\n", metric->name,
                       (unsigned long long)below);
    }
    for (size_t k = 0; k < count; k++) sum += counter_read(&histograms[k]->sum);
    add_printf(text, "%s_sum %.15g\n%s_count %llu\n", metric->name, (double)sum / shape->per_unit,
               metric->name, (unsigned long long)below);
}
