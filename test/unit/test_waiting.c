/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of waiting claims and their queues.
 */
#include "claim/waiting.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void the_pool_gives_what_it_has_and_no_more(void **state) {
    (void)state;
    struct waiter_pool pool;
    struct claim claim = {.token = 7};
    assert_int_equal(waiter_pool_init(&pool, 2), 0);
    struct waiter *first = waiter_take(&pool, &claim);
    struct waiter *second = waiter_take(&pool, &claim);
    assert_int_equal(first->claim.token, 7);
    assert_ptr_not_equal(first, second);
    assert_null(waiter_take(&pool, &claim));
    first->short_of_room = true;
    waiter_give(&pool, first);
    struct waiter *again = waiter_take(&pool, &claim);
    assert_ptr_equal(again, first);
    assert_false(again->short_of_room);
    assert_null(waiter_take(&pool, &claim));
    waiter_pool_deinit(&pool);
}

static void a_queue_is_first_in_first_out(void **state) {
    (void)state;
    struct waiter waiters[3];
    struct waiter_queue queue = {NULL, NULL};
    assert_null(waiter_pop(&queue));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) waiter_push(&queue, &waiters[i]);
        for (int i = 0; i < 3; i++) assert_ptr_equal(waiter_pop(&queue), &waiters[i]);
        assert_null(waiter_pop(&queue));
    }
}

static void the_released_go_before_all_others(void **state) {
    (void)state;
    struct waiter waiters[4];
    for (int behind = 0; behind <= 2; behind++) {
        struct waiter_queue queue = {NULL, NULL}, front = {NULL, NULL};
        waiter_queue_prepend(&queue, &front);
        assert_null(queue.first);
        for (int i = 0; i < behind; i++) waiter_push(&queue, &waiters[2 + i]);
        waiter_push(&front, &waiters[0]);
        waiter_push(&front, &waiters[1]);
        waiter_queue_prepend(&queue, &front);
        waiter_push(&front, &waiters[3]); /* empty again, and of use */
        for (int i = 0; i < 2 + behind; i++) {
            if (i == 3) break; /* waiters[3] is in the other queue now */
            assert_ptr_equal(waiter_pop(&queue), &waiters[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pool_gives_what_it_has_and_no_more),
        cmocka_unit_test(a_queue_is_first_in_first_out),
        cmocka_unit_test(the_released_go_before_all_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
