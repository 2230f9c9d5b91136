/* SPDX-License-Identifier: Apache-2.0
 *
 * Tallies of several workers become one.
 */
#include "verify/load_tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void tallies_add_up(void **state) {
    (void)state;
    struct load_tally a, b, sum;
    assert_int_equal(tally_init(&a) | tally_init(&b) | tally_init(&sum), 0);
    a.start_ns = 100, a.end_ns = 900, a.sent = 3, a.errors[LOAD_ERROR_RESET] = 1;
    b.start_ns = 50, b.end_ns = 800, b.sent = 4, b.resent = 2, b.errors[LOAD_ERROR_RESET] = 2;
    tally_answer(&a, TOLD_ISSUED, 100, 1100);
    tally_answer(&b, TOLD_SOLD_OUT_FINAL, 100, 5100);
    tally_answer(&b, TOLD_BUSY, 200, 100); /* a clock read before: not a huge number */
    tally_merge(&sum, &a);
    tally_merge(&sum, &b);
    assert_int_equal(sum.sent, 7);
    assert_int_equal(sum.resent, 2);
    assert_int_equal(sum.answered, 3);
    assert_int_equal(sum.errors[LOAD_ERROR_RESET], 3);
    assert_int_equal(sum.start_ns, 50);
    assert_int_equal(sum.end_ns, 900);
    assert_int_equal(hdr_count(sum.latencies[LATENCY_ALL]), 3);
    assert_int_equal(hdr_count(sum.latencies[LATENCY_ISSUED]), 1);
    assert_int_equal(hdr_max_ns(sum.latencies[LATENCY_ISSUED]), 1000);
    assert_int_equal(hdr_max_ns(sum.latencies[LATENCY_OTHERS]), 5000);
    assert_int_equal(hdr_min_ns(sum.latencies[LATENCY_ALL]), 0);
    tally_deinit(&a);
    tally_deinit(&b);
    tally_deinit(&sum);
}

static void everything_has_a_name(void **state) {
    (void)state;
    for (unsigned i = 0; i < LOAD_ERROR_COUNT; i++) assert_true(strlen(load_error_name(i)) > 3);
    for (unsigned i = 0; i < LATENCY_COUNT; i++) assert_true(strlen(load_latency_name(i)) >= 3);
    for (unsigned i = 0; i < TOLD_COUNT; i++) assert_true(strlen(told_name(i)) > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tallies_add_up),
                                       cmocka_unit_test(everything_has_a_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
