/* SPDX-License-Identifier: Apache-2.0
 *
 * The places of undecided requests: bounded, and each is free again exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/waiting.h"

static void the_pool_is_the_bound(void **state) {
    (void)state;
    struct waiting_pool pool;
    assert_int_equal(waiting_pool_init(&pool, 3), 0);
    struct waiting *places[3];
    for (int i = 0; i < 3; i++) {
        places[i] = waiting_take(&pool);
        assert_non_null(places[i]);
        assert_ptr_equal(waiting_at(&pool, waiting_token(&pool, places[i])), places[i]);
    }
    assert_null(waiting_take(&pool));
    assert_int_equal(pool.used, 3);
    places[1]->state = WAITING_READY;
    waiting_release(&pool, places[1]);
    assert_int_equal(pool.used, 2);
    assert_ptr_equal(waiting_take(&pool), places[1]);
    waiting_pool_deinit(&pool);
}

static void deadlines_come_in_order_of_asking(void **state) {
    (void)state;
    struct waiting_pool pool;
    assert_int_equal(waiting_pool_init(&pool, 3), 0);
    struct waiting *a = waiting_take(&pool), *b = waiting_take(&pool), *c = waiting_take(&pool);
    waiting_ask(&pool, a, 10);
    waiting_ask(&pool, b, 20);
    waiting_ask(&pool, c, 30);
    assert_ptr_equal(CONTAINER_OF(pool.due.next, struct waiting, due), a);
    waiting_give_up(a);
    assert_int_equal(a->state, WAITING_LATE);
    assert_ptr_equal(CONTAINER_OF(pool.due.next, struct waiting, due), b);
    waiting_leave(b);
    waiting_leave(a);
    assert_int_equal(a->state, WAITING_LEFT);
    assert_ptr_equal(CONTAINER_OF(pool.due.next, struct waiting, due), c);
    waiting_leave(c);
    assert_true(link_is_alone(&pool.due));
    assert_int_equal(pool.used, 3); /* the engine still holds them */
    waiting_release(&pool, a);
    waiting_release(&pool, b);
    waiting_release(&pool, c);
    assert_int_equal(pool.used, 0);
    waiting_pool_deinit(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pool_is_the_bound),
        cmocka_unit_test(deadlines_come_in_order_of_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
