/* SPDX-License-Identifier: Apache-2.0
 *
 * The histogram against the exact answer, computed by sorting.
 */
#include "lib/hdr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct hdr *hdr_new(void) {
    struct hdr *hdr = malloc(sizeof *hdr);
    assert_non_null(hdr);
    hdr_init(hdr);
    return hdr;
}

static void nothing_recorded_is_zero(void **state) {
    (void)state;
    struct hdr *hdr = hdr_new();
    assert_int_equal(hdr_count(hdr), 0);
    assert_int_equal(hdr_min_ns(hdr), 0);
    assert_int_equal(hdr_max_ns(hdr), 0);
    assert_true(hdr_mean_ns(hdr) == 0);
    assert_int_equal(hdr_percentile_ns(hdr, 0), 0);
    assert_int_equal(hdr_percentile_ns(hdr, 99), 0);
    free(hdr);
}

/* Every edge of every power of two: one value alone comes back as itself, and beside a larger one
 * as the end of its bucket, less than one part in 1,024 above. */
static void every_value_keeps_three_digits(void **state) {
    (void)state;
    struct hdr *hdr = hdr_new();
    for (int bit = 0; bit < 42; bit++) {
        for (int64_t step = -2; step <= 2; step++) {
            int64_t wanted = (INT64_C(1) << bit) + step;
            if (wanted < 0 || wanted >= (int64_t)HDR_NS_MAX) continue;
            uint64_t ns = (uint64_t)wanted;
            hdr_init(hdr);
            hdr_record(hdr, ns);
            assert_int_equal(hdr_percentile_ns(hdr, 50), ns);
            hdr_record(hdr, HDR_NS_MAX);
            uint64_t got = hdr_percentile_ns(hdr, 50);
            assert_true(got >= ns);
            assert_true(got - ns <= ns / 1024);
            assert_int_equal(hdr_percentile_ns(hdr, 0), ns);
            assert_int_equal(hdr_percentile_ns(hdr, 100), HDR_NS_MAX);
        }
    }
    free(hdr);
}

static void longer_than_an_hour_is_an_hour(void **state) {
    (void)state;
    struct hdr *hdr = hdr_new();
    hdr_record(hdr, HDR_NS_MAX);
    assert_int_equal(hdr->clamped, 0);
    hdr_record(hdr, HDR_NS_MAX + 1);
    hdr_record(hdr, UINT64_MAX);
    assert_int_equal(hdr->clamped, 2);
    assert_int_equal(hdr_count(hdr), 3);
    assert_int_equal(hdr_max_ns(hdr), HDR_NS_MAX);
    assert_int_equal(hdr_percentile_ns(hdr, 100), HDR_NS_MAX);
    free(hdr);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A spread over the whole range: the top bits of a fixed linear congruential sequence, cut to a
 * length that varies as well. */
static uint64_t next_value(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 23) >> (*seed >> 17 & 31) & 0x1ffffffffffu;
}

static void percentiles_are_those_of_the_sorted_values(void **state) {
    (void)state;
    enum { VALUES = 20000 };
    static uint64_t values[VALUES];
    static const double percents[] = {0.001, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100};
    struct hdr *hdr = hdr_new();
    uint64_t seed = 17;
    double sum = 0;
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = next_value(&seed);
        sum += (double)values[i];
        hdr_record(hdr, values[i]);
    }
    qsort(values, VALUES, sizeof values[0], by_value);
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        /* In thousandths of a percent, so that the exact rank is whole numbers only. */
        uint64_t thousandths = (uint64_t)(percents[i] * 1000 + 0.5);
        uint64_t rank = (thousandths * VALUES + 99999) / 100000;
        uint64_t exact = values[rank - 1], got = hdr_percentile_ns(hdr, percents[i]);
        assert_true(got >= exact);
        assert_true(got - exact <= exact / 1024);
    }
    assert_int_equal(hdr_min_ns(hdr), values[0]);
    assert_int_equal(hdr_max_ns(hdr), values[VALUES - 1]);
    double mean = hdr_mean_ns(hdr), wanted = sum / VALUES;
    assert_true(mean > wanted * 0.999999 && mean < wanted * 1.000001);
    free(hdr);
}

static void the_rank_is_not_lost_to_rounding(void **state) {
    (void)state;
    struct hdr *hdr = hdr_new();
    for (uint64_t ns = 1; ns <= 1000; ns++) hdr_record(hdr, ns);
    assert_int_equal(hdr_percentile_ns(hdr, 99.9), 999);
    assert_int_equal(hdr_percentile_ns(hdr, 99.91), 1000);
    assert_int_equal(hdr_percentile_ns(hdr, 0.1), 1);
    assert_int_equal(hdr_percentile_ns(hdr, 50), 500);
    free(hdr);
}

static void merging_is_recording_both(void **state) {
    (void)state;
    struct hdr *one = hdr_new(), *two = hdr_new(), *both = hdr_new(), *none = hdr_new();
    uint64_t seed = 5;
    for (int i = 0; i < 4000; i++) {
        uint64_t ns = next_value(&seed);
        hdr_record(i % 3 == 0 ? one : two, ns);
        hdr_record(both, ns);
    }
    hdr_record(one, UINT64_MAX);
    hdr_record(both, UINT64_MAX);
    hdr_merge(none, one);
    hdr_merge(none, two);
    assert_int_equal(none->count, both->count);
    assert_int_equal(none->clamped, both->clamped);
    assert_int_equal(none->min_ns, both->min_ns);
    assert_int_equal(none->max_ns, both->max_ns);
    assert_memory_equal(none->buckets, both->buckets, sizeof both->buckets);
    hdr_init(two);
    hdr_merge(one, two); /* an empty one changes nothing, not even the minimum */
    hdr_merge(two, one);
    assert_int_equal(hdr_min_ns(one), hdr_min_ns(two));
    assert_int_equal(hdr_count(one), hdr_count(two));
    free(one);
    free(two);
    free(both);
    free(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_recorded_is_zero),
        cmocka_unit_test(every_value_keeps_three_digits),
        cmocka_unit_test(longer_than_an_hour_is_an_hour),
        cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
        cmocka_unit_test(the_rank_is_not_lost_to_rounding),
        cmocka_unit_test(merging_is_recording_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
