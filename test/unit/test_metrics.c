/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting across threads, the edges of the buckets, and the text to its last byte.
 */
#include "lib/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct page {
    char bytes[4096];
    struct metrics_text text;
};

static void begin(struct page *page) {
    page->text = (struct metrics_text){.p = page->bytes, .room = sizeof page->bytes};
}

static void assert_text(const struct page *page, const char *wanted) {
    assert_int_equal(page->text.n, strlen(wanted));
    assert_memory_equal(page->text.p, wanted, page->text.n);
}

/* ---- numbers ---- */

enum { COUNTS = 200000 };

static void *count_up(void *argument) {
    for (int i = 0; i < COUNTS; i++) counter_add(argument, 1);
    return NULL;
}

static void a_reader_sees_what_the_owner_counts(void **state) {
    (void)state;
    struct counter counter = {0};
    pthread_t owner;
    uint64_t last = 0;
    assert_int_equal(pthread_create(&owner, NULL, count_up, &counter), 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = counter_read(&counter);
        assert_true(now >= last && now <= COUNTS);
        last = now;
    }
    pthread_join(owner, NULL);
    assert_int_equal(counter_read(&counter), COUNTS);
    counter_set(&counter, 7);
    assert_int_equal(counter_read(&counter), 7);
}

static void a_value_counts_in_the_first_bucket_that_holds_it(void **state) {
    (void)state;
    const struct histogram_shape *shapes[] = {&histogram_seconds, &histogram_sizes};
    for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
        const struct histogram_shape *shape = shapes[s];
        assert_true(shape->bounds_count <= HISTOGRAM_BOUNDS_MAX);
        for (size_t i = 0; i < shape->bounds_count; i++) {
            struct histogram histogram = {0};
            if (i > 0) assert_true(shape->bounds[i] > shape->bounds[i - 1]);
            histogram_record(&histogram, shape, shape->bounds[i]);
            histogram_record(&histogram, shape, shape->bounds[i] + 1);
            assert_int_equal(counter_read(&histogram.buckets[i]), 1);
            assert_int_equal(counter_read(&histogram.buckets[i + 1]), 1);
            assert_int_equal(counter_read(&histogram.sum), 2 * shape->bounds[i] + 1);
        }
    }
}

/* ---- text ---- */

static void samples_have_the_labels_of_their_row(void **state) {
    (void)state;
    struct page page;
    const struct metric plain = {"up", METRIC_GAUGE, "", "Says \"yes\"\nor \\ no."};
    const struct metric labelled = {"asked_total", METRIC_COUNTER, "who,what", "Asked."};
    begin(&page);
    metrics_add_head(&page.text, &plain);
    metrics_add(&page.text, &plain, NULL, UINT64_MAX);
    metrics_add_real(&page.text, &plain, NULL, 0.25);
    assert_text(&page, "# HELP up Says \"yes\"\\nor \\\\ no.\n# TYPE up gauge\n"
                       "up 18446744073709551615\nup 0.25\n");
    begin(&page);
    metrics_add_head(&page.text, &labelled);
    metrics_add(&page.text, &labelled, (const struct slice[]){SLICE("a"), SLICE("b")}, 0);
    metrics_add(&page.text, &labelled, (const struct slice[]){SLICE(""), SLICE("\"\\\n")}, 1);
    assert_text(&page, "# HELP asked_total Asked.\n# TYPE asked_total counter\n"
                       "asked_total{who=\"a\",what=\"b\"} 0\n"
                       "asked_total{who=\"\",what=\"\\\"\\\\\\n\"} 1\n");
}

static void a_histogram_is_the_sum_of_its_parts(void **state) {
    (void)state;
    struct page page;
    const struct metric metric = {"took_seconds", METRIC_HISTOGRAM, "", "Took."};
    const struct histogram_shape shape = {
        .per_unit = 1e9, .bounds_count = 2, .bounds = {1000000, 2500000000}};
    struct histogram a = {0}, b = {0};
    histogram_record(&a, &shape, 1000000);
    histogram_record(&a, &shape, 2000000000);
    histogram_record(&b, &shape, 3000000000);
    begin(&page);
    metrics_add_head(&page.text, &metric);
    metrics_add_histogram(&page.text, &metric, &shape, (const struct histogram *[]){&a, &b}, 2);
    assert_text(&page, "# HELP took_seconds Took.\n# TYPE took_seconds histogram\n"
                       "took_seconds_bucket{le=\"0.001\"} 1\n"
                       "took_seconds_bucket{le=\"2.5\"} 2\n"
                       "took_seconds_bucket{le=\"+Inf\"} 3\n"
                       "took_seconds_sum 5.001\ntook_seconds_count 3\n");
}

static void seconds_are_told_as_people_write_them(void **state) {
    (void)state;
    struct page page;
    const struct metric metric = {"s_seconds", METRIC_HISTOGRAM, "", "S."};
    const struct histogram none = {0};
    begin(&page);
    metrics_add_histogram(&page.text, &metric, &histogram_seconds,
                          (const struct histogram *[]){&none}, 1);
    page.bytes[page.text.n] = '\0';
    assert_non_null(strstr(page.bytes, "le=\"0.0001\""));
    assert_non_null(strstr(page.bytes, "le=\"0.0025\""));
    assert_non_null(strstr(page.bytes, "le=\"10\""));
}

/* ---- the table ---- */

static bool ends_with(const char *text, const char *end) {
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

struct row {
    const char *name, *unit, *labels, *help, *help_ko;
    enum metric_type type;
};

static void every_row_keeps_the_rules_of_names(void **state) {
    (void)state;
#define METRIC(writer, name, type, unit, labels, help, help_ko, alert)                             \
    {name, unit, labels, help, help_ko, METRIC_##type},
    static const struct row rows[] = {
#include "src/metrics.def"
    };
#undef METRIC
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        char end[64];
        bool is_counter = row->type == METRIC_COUNTER;
        snprintf(end, sizeof end, "%s%s%s", row->unit[0] != '\0' ? "_" : "", row->unit,
                 is_counter ? "_total" : "");
        assert_true(ends_with(row->name, end));
        assert_true(is_counter || !ends_with(row->name, "_total"));
        assert_true(strncmp(row->name, "coupond_", 8) == 0 ||
                    strncmp(row->name, "process_", 8) == 0);
        assert_true(ends_with(row->help, ".") && ends_with(row->help_ko, "."));
        assert_true(row->type != METRIC_HISTOGRAM || row->labels[0] == '\0');
        size_t labels = row->labels[0] != '\0';
        for (const char *p = row->labels; *p != '\0'; p++) labels += *p == ',';
        assert_true(labels <= METRIC_LABELS_MAX);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(row->name, rows[k].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_sees_what_the_owner_counts),
        cmocka_unit_test(a_value_counts_in_the_first_bucket_that_holds_it),
        cmocka_unit_test(samples_have_the_labels_of_their_row),
        cmocka_unit_test(a_histogram_is_the_sum_of_its_parts),
        cmocka_unit_test(seconds_are_told_as_people_write_them),
        cmocka_unit_test(every_row_keeps_the_rules_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
