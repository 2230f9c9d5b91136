/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_pair_has_the_value_it_was_given_last(void **state) {
    (void)state;
    struct pairs pairs = {0};
    assert_int_equal(pairs_get(&pairs, 0, 0), PAIR_UNKNOWN);
    pairs_set(&pairs, 1, 2, 7);
    assert_int_equal(pairs_get(&pairs, 1, 2), 7);
    assert_int_equal(pairs_get(&pairs, 2, 1), PAIR_UNKNOWN);
    pairs_set(&pairs, 1, 2, 8);
    assert_int_equal(pairs_get(&pairs, 1, 2), 8);
    assert_int_equal(pairs.count, 1);
    pairs_deinit(&pairs);
    assert_int_equal(pairs_get(&pairs, 1, 2), PAIR_UNKNOWN);
}

static void many_pairs(void **state) {
    (void)state;
    struct pairs pairs = {0};
    for (uint32_t a = 0; a < 200; a++)
        for (uint32_t b = 0; b < 200; b++) pairs_set(&pairs, a, b, a * 1000 + b);
    assert_int_equal(pairs.count, 40000);
    for (uint32_t a = 0; a < 200; a++)
        for (uint32_t b = 0; b < 200; b++) assert_int_equal(pairs_get(&pairs, a, b), a * 1000 + b);
    assert_int_equal(pairs_get(&pairs, 200, 0), PAIR_UNKNOWN);
    assert_false(pairs.failed);
    pairs_deinit(&pairs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_has_the_value_it_was_given_last),
        cmocka_unit_test(many_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
