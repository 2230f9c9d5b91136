/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-1-3 against published values, and what a table needs of a hash.
 */
#include "lib/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

/* The values that the standard library of Rust publishes for its SipHasher13: key 00 01 … 0f,
 * message 00 01 … of each length. */
static void it_is_siphash_1_3(void **state) {
    (void)state;
    static const uint64_t wanted[] = {0xabac0158050fc4dcu, 0xc9f49bf37d57ca93u,
                                      0x82cb9b024dc7d44du};
    const struct hash_key key = {{0x0706050403020100u, 0x0f0e0d0c0b0a0908u}};
    const unsigned char message[] = {0, 1, 2};
    for (size_t n = 0; n < sizeof wanted / sizeof wanted[0]; n++) {
        assert_true(hash_slice(&key, slice_of(message, n)) == wanted[n]);
    }
    /* Under a key of zeros, longer than one word. */
    const struct hash_key zero = {{0, 0}};
    assert_true(hash_slice(&zero, SLICE("")) == 0xd1fba762150c532cu);
    assert_true(hash_slice(&zero, SLICE("digest-sip_hash")) == 0xce31007e34130c0au);
}

static void the_length_and_every_byte_and_the_key_count(void **state) {
    (void)state;
    const struct hash_key key = {{1, 2}}, other_key = {{1, 3}};
    char bytes[40] = {0};
    uint64_t seen[40 + 1];
    for (size_t n = 0; n <= sizeof bytes; n++) {
        seen[n] = hash_slice(&key, slice_of(bytes, n));
        for (size_t i = 0; i < n; i++) assert_true(seen[i] != seen[n]);
        assert_true(seen[n] != hash_slice(&other_key, slice_of(bytes, n)));
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 1;
        assert_true(hash_slice(&key, slice_of(bytes, sizeof bytes)) != seen[sizeof bytes]);
        bytes[i] = 0;
    }
}

static void alignment_does_not_matter(void **state) {
    (void)state;
    const struct hash_key key = {{5, 6}};
    char bytes[8 + 23];
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t i = 0; i < 23; i++) bytes[shift + i] = (char)(i * 7);
        char copy[23];
        memcpy(copy, bytes + shift, sizeof copy);
        assert_true(hash_slice(&key, slice_of(bytes + shift, 23)) ==
                    hash_slice(&key, slice_of(copy, 23)));
    }
}

static void a_slice_of_nothing_needs_no_memory(void **state) {
    (void)state;
    const struct hash_key key = {{1, 2}};
    assert_true(hash_slice(&key, slice_of(NULL, 0)) == hash_slice(&key, SLICE("")));
}

static void mixing_depends_on_order_and_content(void **state) {
    (void)state;
    assert_true(hash_mix(hash_mix(0, 1), 2) != hash_mix(hash_mix(0, 2), 1));
    assert_true(hash_mix(0, 0) != 0);
    assert_true(hash_mix(1, 7) != hash_mix(1, 8));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_siphash_1_3),
        cmocka_unit_test(the_length_and_every_byte_and_the_key_count),
        cmocka_unit_test(alignment_does_not_matter),
        cmocka_unit_test(a_slice_of_nothing_needs_no_memory),
        cmocka_unit_test(mixing_depends_on_order_and_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
