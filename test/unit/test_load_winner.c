/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of winners against a plain array, through several growths.
 */
#include "verify/load_winner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void winners_are_found_again(void **state) {
    (void)state;
    enum { WINNERS = 20000 };
    struct winner_table table = {0};
    assert_null(winner_find(&table, 5));
    for (uint32_t i = 0; i < WINNERS; i++) {
        char coupon[16];
        int n = snprintf(coupon, sizeof coupon, "C%u", i);
        struct winner *winner =
            winner_add(&table, i * 4096 + 5, (int64_t)i - 3, slice_of(coupon, (size_t)n));
        assert_non_null(winner);
        assert_false(winner->told_issued || winner->is_exported);
    }
    assert_int_equal(table.count, WINNERS);
    for (uint32_t i = 0; i < WINNERS; i++) {
        char coupon[16];
        int n = snprintf(coupon, sizeof coupon, "C%u", i);
        const struct winner *winner = winner_find(&table, i * 4096 + 5);
        assert_non_null(winner);
        assert_int_equal(winner->serial, (int64_t)i - 3);
        assert_true(slice_eq(winner_coupon_id(&table, winner), slice_of(coupon, (size_t)n)));
        assert_null(winner_find(&table, i * 4096 + 6));
    }
    winner_table_deinit(&table);
    assert_null(winner_find(&table, 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(winners_are_found_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
