/* SPDX-License-Identifier: Apache-2.0
 *
 * Whoever guesses waits longer each time, on as many connections as he likes; nobody else does, and
 * the table never grows.
 */
#include "api/login_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"

#define MS UINT64_C(1000000)
#define START (1000 * MS)

static struct login_guard *empty_guard(void) {
    static struct login_guard guard;
    guard = (struct login_guard){0};
    return &guard;
}

static struct guard_address address_number(uint32_t n) {
    struct guard_address address = {{1}};
    memcpy(address.bytes + 4, &n, sizeof n);
    return address;
}

/* A failure whose answer is sent at once. */
static uint64_t fail_at(struct login_guard *guard, const struct guard_address *address,
                        uint64_t now) {
    struct guard_entry *held;
    uint64_t delay = guard_failed(guard, address, now, &held);
    assert_non_null(held);
    guard_release(held);
    return delay;
}

static void each_failure_waits_longer_up_to_a_bound(void **state) {
    (void)state;
    struct login_guard *guard = empty_guard();
    struct guard_address address = address_number(1), other = address_number(2);
    static const uint64_t ms[] = {250, 500, 1000, 2000, 4000, 8000, 8000, 8000};
    for (size_t i = 0; i < ARRAY_LEN(ms); i++)
        assert_int_equal(fail_at(guard, &address, START), ms[i] * MS);
    assert_int_equal(fail_at(guard, &other, START), 250 * MS);
}

static void failures_are_forgotten_one_by_one(void **state) {
    (void)state;
    struct login_guard *guard = empty_guard();
    struct guard_address address = address_number(1);
    const uint64_t step = GUARD_FORGET_S * 1000 * MS;
    for (int i = 0; i < 3; i++) fail_at(guard, &address, START);
    assert_int_equal(fail_at(guard, &address, START + step - 1),
                     2000 * MS);                                         /* none yet: the fourth */
    assert_int_equal(fail_at(guard, &address, START + step), 2000 * MS); /* one of four forgotten */
    assert_int_equal(fail_at(guard, &address, START + 100 * step), 250 * MS);
    for (int i = 0; i < 2 * GUARD_FAILURES_MAX; i++) fail_at(guard, &address, START + 100 * step);
    assert_int_equal(fail_at(guard, &address, START + (101 + GUARD_FAILURES_MAX) * step), 250 * MS);
}

static void many_at_once_are_not_looked_at(void **state) {
    (void)state;
    struct login_guard *guard = empty_guard();
    struct guard_address address = address_number(1), other = address_number(2);
    struct guard_entry *held[GUARD_HELD_MAX];
    for (size_t i = 0; i < GUARD_HELD_MAX; i++) {
        assert_true(guard_admits(guard, &address));
        guard_failed(guard, &address, START, &held[i]);
    }
    assert_false(guard_admits(guard, &address));
    assert_true(guard_admits(guard, &other));
    guard_release(held[0]);
    assert_true(guard_admits(guard, &address));
}

static void a_full_table_forgets_the_oldest(void **state) {
    (void)state;
    struct login_guard *guard = empty_guard();
    for (uint32_t n = 0; n < GUARD_ADDRESSES_MAX; n++) {
        struct guard_address address = address_number(n);
        fail_at(guard, &address, START + n);
    }
    struct guard_address newcomer = address_number(GUARD_ADDRESSES_MAX);
    struct guard_address oldest = address_number(0), last = address_number(GUARD_ADDRESSES_MAX - 1);
    assert_int_equal(fail_at(guard, &newcomer, START + 1000), 250 * MS);
    assert_int_equal(fail_at(guard, &last, START + 1000), 500 * MS);
    assert_int_equal(fail_at(guard, &newcomer, START + 1000), 500 * MS);
    assert_int_equal(fail_at(guard, &oldest, START + 1000), 250 * MS); /* was the one forgotten */
}

static void an_address_with_a_held_answer_keeps_its_place(void **state) {
    (void)state;
    struct login_guard *guard = empty_guard();
    struct guard_entry *held[GUARD_ADDRESSES_MAX], *none;
    for (uint32_t n = 0; n < GUARD_ADDRESSES_MAX; n++) {
        struct guard_address address = address_number(n);
        guard_failed(guard, &address, START, &held[n]);
    }
    struct guard_address newcomer = address_number(GUARD_ADDRESSES_MAX);
    guard_failed(guard, &newcomer, START, &none);
    assert_null(none);
    guard_release(held[7]);
    guard_failed(guard, &newcomer, START, &none);
    assert_ptr_equal(none, held[7]);
}

static struct guard_address of(const char *text) {
    struct ip ip;
    assert_true(ip_parse(slice_str(text), &ip));
    return guard_address_of(&ip);
}

#define ASSERT_SAME(a, b) assert_memory_equal((a).bytes, (b).bytes, GUARD_ADDRESS_BYTES)
#define ASSERT_OTHER(a, b) assert_memory_not_equal((a).bytes, (b).bytes, GUARD_ADDRESS_BYTES)

static void ipv6_is_known_by_its_network(void **state) {
    (void)state;
    struct guard_address home = of("2001:db8:1:2::1");
    struct guard_address same = of("2001:db8:1:2:ffff::7");
    struct guard_address next = of("2001:db8:1:3::1");
    ASSERT_SAME(home, same);
    ASSERT_OTHER(home, next);
    struct guard_address four = of("192.0.2.1"), five = of("192.0.2.2");
    struct guard_address mapped = of("::ffff:192.0.2.1");
    ASSERT_SAME(four, mapped);
    ASSERT_OTHER(four, five);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_waits_longer_up_to_a_bound),
        cmocka_unit_test(failures_are_forgotten_one_by_one),
        cmocka_unit_test(many_at_once_are_not_looked_at),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
        cmocka_unit_test(an_address_with_a_held_answer_keeps_its_place),
        cmocka_unit_test(ipv6_is_known_by_its_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
