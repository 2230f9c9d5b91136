/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of holders finds exactly who was added, however it grows, and keeps ids where they are.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "claim/holders.h"
#include "fake/failing_alloc.h"

enum { USERS = 30000, CANDIDATES = 400000 };

static const struct hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

/* Ids of every length from 1 to 64, all different. */
static struct slice id_of(uint32_t number, char id[72]) {
    size_t n = (size_t)snprintf(id, 72, "%x-", number);
    memset(id + n, 'x', 72 - n);
    return slice_of(id, size_max(n, 1 + number % 64));
}

static void add(struct holders *holders, uint32_t number) {
    char id[72];
    assert_int_equal(holders_reserve(holders, (number | 1023) + 1, (uint64_t)number + 1), 0);
    holders_add(holders, id_of(number, id), number + 1, 1000 + number);
}

static void assert_has(const struct holders *holders, uint32_t number) {
    char id[72];
    struct slice user_id = id_of(number, id);
    const struct holder *holder = holders_find(holders, user_id);
    assert_non_null(holder);
    assert_true(slice_eq(holder_user_id(holder), user_id));
    assert_int_equal(holder->serial, number + 1);
    assert_int_equal(holder->issued_ms, 1000 + number);
    assert_ptr_equal(holders_at(holders, number + 1), holder);
}

static void an_empty_table_has_nobody(void **state) {
    (void)state;
    struct holders holders;
    holders_init(&holders, &key);
    assert_null(holders_find(&holders, SLICE("a")));
    assert_null(holders_at(&holders, 0));
    assert_null(holders_at(&holders, 1));
    assert_int_equal(holders_reserve(&holders, 2, 2), 0);
    assert_null(holders_find(&holders, SLICE("a")));
    assert_null(holders_at(&holders, 2));
    assert_null(holders_at(&holders, 3));
    holders_deinit(&holders);
}

static void everyone_is_found_while_it_grows(void **state) {
    (void)state;
    struct holders holders;
    holders_init(&holders, &key);
    add(&holders, 0);
    const char *first_id = holders_at(&holders, 1)->user_id;
    for (uint32_t i = 1; i < USERS; i++) add(&holders, i);
    for (uint32_t i = 0; i < USERS; i++) assert_has(&holders, i);
    char id[72];
    for (uint32_t i = USERS; i < 2 * USERS; i++) assert_null(holders_find(&holders, id_of(i, id)));
    assert_ptr_equal(holders_at(&holders, 1)->user_id, first_id);
    holders_deinit(&holders);
}

static void growth_is_amortised(void **state) {
    (void)state;
    struct holders holders;
    holders_init(&holders, &key);
    int changes = 0;
    for (uint32_t i = 0; i < USERS; i++) {
        uint32_t max = holders.max;
        assert_int_equal(holders_reserve(&holders, 1, (uint64_t)i + 1), 0);
        changes += holders.max != max;
    }
    assert_true(changes < 60);
    holders_deinit(&holders);
}

static void a_first_reservation_is_exact(void **state) {
    (void)state;
    struct holders holders;
    holders_init(&holders, &key);
    assert_int_equal(holders_reserve(&holders, 1000, 1000), 0);
    assert_int_equal(holders.max, 1000);
    assert_int_equal(holders.serials_max, 1000);
    holders_deinit(&holders);
}

static void a_returned_serial_is_free_in_its_next_round(void **state) {
    (void)state;
    struct holders holders;
    holders_init(&holders, &key);
    add(&holders, 0);
    holders_give_back(&holders, 1);
    assert_null(holders_at(&holders, 1));
    assert_int_equal(holders.serials[1].round, 1);
    assert_int_equal(holders_find(&holders, SLICE("0-"))->serial, 0);
    assert_int_equal(holders_reserve(&holders, 1, 2), 0);
    holders_add(&holders, SLICE("next"), 1, 5);
    assert_ptr_equal(holders_at(&holders, 1), holders_find(&holders, SLICE("next")));
    holders_deinit(&holders);
}

struct candidate {
    uint64_t kept; /* what a slot of a small table keeps of the hash */
    uint32_t number;
};

static int compare_candidates(const void *a, const void *b) {
    uint64_t x = ((const struct candidate *)a)->kept, y = ((const struct candidate *)b)->kept;
    return (x > y) - (x < y);
}

/* Two ids with the same place and the same tag in a table for three users (16 slots, 30-bit tags).
 */
static bool find_collision(struct candidate *all, uint32_t numbers[2]) {
    for (uint32_t i = 0; i < CANDIDATES; i++) {
        char id[72];
        uint64_t hash = hash_slice(&key, id_of(i, id));
        all[i] = (struct candidate){.kept = hash >> 34 << 4 | (hash & 15), .number = i};
    }
    qsort(all, CANDIDATES, sizeof(all[0]), compare_candidates);
    for (uint32_t i = 1; i < CANDIDATES; i++) {
        numbers[0] = all[i - 1].number;
        numbers[1] = all[i].number;
        if (all[i - 1].kept == all[i].kept) return true;
    }
    return false;
}

static void users_with_equal_slots_are_told_apart(void **state) {
    (void)state;
    struct candidate *all = calloc(CANDIDATES, sizeof(*all));
    uint32_t numbers[2];
    assert_true(find_collision(all, numbers));
    free(all);
    struct holders holders;
    holders_init(&holders, &key);
    assert_int_equal(holders_reserve(&holders, 3, 3), 0);
    char a[72], b[72];
    holders_add(&holders, id_of(numbers[0], a), 1, 1);
    assert_null(holders_find(&holders, id_of(numbers[1], b)));
    holders_add(&holders, id_of(numbers[1], b), 2, 2);
    assert_int_equal(holders_find(&holders, id_of(numbers[0], a))->serial, 1);
    assert_int_equal(holders_find(&holders, id_of(numbers[1], b))->serial, 2);
    holders_deinit(&holders);
}

/* With ten users in it, room for a hundred, and the allocation number `failing` failing. */
static void check_failing_allocation(int failing, int expected) {
    struct holders holders;
    holders_init(&holders, &key);
    for (uint32_t i = 0; i < 10; i++) add(&holders, i);
    allocations_left = failing;
    int result = holders_reserve(&holders, 2000, 100);
    allocations_left = -1;
    for (uint32_t i = 0; i < 10; i++) assert_has(&holders, i);
    for (uint32_t i = 10; i < 100; i++) add(&holders, i);
    for (uint32_t i = 0; i < 100; i++) assert_has(&holders, i);
    holders_deinit(&holders);
    assert_int_equal(result, expected);
}

static void short_memory_changes_nothing(void **state) {
    (void)state;
    for (int failing = 0; failing < 4; failing++) check_failing_allocation(failing, -ENOMEM);
    check_failing_allocation(4, 0);
}

static void too_many_users_are_refused(void **state) {
    (void)state;
    struct holders holders;
    holders_init(&holders, &key);
    assert_int_equal(holders_reserve(&holders, 1, (uint64_t)INT32_MAX + 1), -ENOMEM);
    assert_int_equal(holders_reserve(&holders, 1, 1), 0);
    holders_deinit(&holders);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_has_nobody),
        cmocka_unit_test(everyone_is_found_while_it_grows),
        cmocka_unit_test(growth_is_amortised),
        cmocka_unit_test(a_first_reservation_is_exact),
        cmocka_unit_test(a_returned_serial_is_free_in_its_next_round),
        cmocka_unit_test(users_with_equal_slots_are_told_apart),
        cmocka_unit_test(short_memory_changes_nothing),
        cmocka_unit_test(too_many_users_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
