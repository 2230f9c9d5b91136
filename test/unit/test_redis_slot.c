/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots of keys: the numbers of the Redis Cluster Specification and of a real server's CLUSTER
 * KEYSLOT, and which part of a key counts.
 */
#include "lib/redis/slot.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base.h"

static void crc_is_that_of_the_specification(void **state) {
    (void)state;
    assert_int_equal(redis_crc16(SLICE("123456789")), 0x31C3);
    assert_int_equal(redis_crc16(SLICE("")), 0);
}

/* Bit by bit, as the polynomial is defined. */
static uint16_t crc_by_bits(struct slice bytes) {
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        crc ^= (uint32_t)(unsigned char)bytes.p[i] << 8;
        for (int bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return (uint16_t)crc;
}

static void crc_agrees_with_its_definition(void **state) {
    (void)state;
    char bytes[3];
    for (unsigned i = 0; i < 1 << 16; i++) {
        bytes[0] = (char)(i >> 8);
        bytes[1] = (char)i;
        bytes[2] = (char)(i * 7);
        for (size_t n = 1; n <= sizeof bytes; n++)
            if (redis_crc16(slice_of(bytes, n)) != crc_by_bits(slice_of(bytes, n)))
                fail_msg("%u, %zu bytes", i, n);
    }
}

static void slots_are_those_of_a_server(void **state) {
    (void)state;
    /* What CLUSTER KEYSLOT of Redis 7.0 says. */
    assert_int_equal(redis_slot_of(SLICE("foo")), 12182);
    assert_int_equal(redis_slot_of(SLICE("bar")), 5061);
    assert_int_equal(redis_slot_of(SLICE("hello")), 866);
    assert_int_equal(redis_slot_of(SLICE("")), 0);
    assert_int_equal(redis_slot_of(SLICE("123456789")), 12739);
}

static void the_tag_decides(void **state) {
    (void)state;
    static const struct {
        struct slice key, same_as;
    } rows[] = {
        {SLICE("{user1000}.following"), SLICE("user1000")},
        {SLICE("{user1000}.followers"), SLICE("user1000")},
        {SLICE("coupon:{e1}:m"), SLICE("e1")},
        {SLICE("coupon:{e1}:o"), SLICE("e1")},
        {SLICE("foo{{bar}}zap"), SLICE("{bar")}, /* from the first { to the first } behind it */
        {SLICE("foo{bar}{zap}"), SLICE("bar")},  /* only the first tag */
        {SLICE("}foo{bar}"), SLICE("bar")},      /* a } before it is nothing */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(redis_slot_of(rows[i].key), redis_crc16(rows[i].same_as) % REDIS_SLOTS);
}

static void a_tag_that_is_none_does_not(void **state) {
    (void)state;
    static const struct slice keys[] = {SLICE("foo{}{bar}"), SLICE("{}"),    SLICE("{"),
                                        SLICE("a{b"),        SLICE("a}b{c"), SLICE("}{"),
                                        SLICE("{}x{y}")};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(redis_slot_of(keys[i]), redis_crc16(keys[i]) % REDIS_SLOTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_that_of_the_specification),
        cmocka_unit_test(crc_agrees_with_its_definition),
        cmocka_unit_test(slots_are_those_of_a_server),
        cmocka_unit_test(the_tag_decides),
        cmocka_unit_test(a_tag_that_is_none_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
