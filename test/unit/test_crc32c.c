/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C: the vectors of RFC 3720 for both ways, and both ways against each other and against the
 * definition, bit by bit.
 */
#include "lib/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef uint32_t (*crc32c_fn)(uint32_t crc, const void *p, size_t bytes);

static uint32_t by_definition(uint32_t crc, const void *p, size_t bytes) {
    const unsigned char *at = p;
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

/* The ways this processor has; the number of them. */
static size_t ways(crc32c_fn out[3]) {
    out[0] = crc32c;
    out[1] = crc32c_by_table;
    out[2] = crc32c_by_instruction;
    return crc32c_has_instruction() ? 3 : 2;
}

/* RFC 3720, appendix B.4. Its results are printed in the order of the bytes on the wire. */
static void the_vectors_of_rfc_3720(void **state) {
    (void)state;
    static const unsigned char command[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2,    0, 0, 0, 0, 0, 0, 0};
    unsigned char zeros[32], ones[32], up[32], down[32];
    memset(zeros, 0, 32);
    memset(ones, 0xff, 32);
    for (unsigned i = 0; i < 32; i++) {
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    crc32c_fn way[3];
    for (size_t i = 0, count = ways(way); i < count; i++) {
        assert_int_equal(way[i](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(way[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(way[i](0, up, 32), 0x46dd794e);
        assert_int_equal(way[i](0, down, 32), 0x113fdb5c);
        assert_int_equal(way[i](0, command, 48), 0xd9963a56);
        assert_int_equal(way[i](0, "123456789", 9), 0xe3069283);
        assert_int_equal(way[i](0, NULL, 0), 0);
    }
}

/* Every length and every alignment that the eight-byte steps can meet. */
static void all_ways_agree(void **state) {
    (void)state;
    unsigned char bytes[300];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(seed >> 24);
    }
    crc32c_fn way[3];
    size_t count = ways(way);
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t n = 0; n + shift <= sizeof bytes; n++) {
            uint32_t wanted = by_definition(0, bytes + shift, n);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(way[i](0, bytes + shift, n), wanted);
            }
        }
    }
}

/* Every entry of every table, one byte at a time in each place of a step. */
static void every_table_entry_is_right(void **state) {
    (void)state;
    for (size_t place = 0; place < 8; place++) {
        for (unsigned value = 0; value < 256; value++) {
            unsigned char bytes[8] = {0};
            bytes[place] = (unsigned char)value;
            assert_int_equal(crc32c_by_table(0, bytes, 8), by_definition(0, bytes, 8));
        }
    }
}

static void it_continues(void **state) {
    (void)state;
    const char text[] = "first come, first served; exactly N; for ever";
    crc32c_fn way[3];
    for (size_t i = 0, count = ways(way); i < count; i++) {
        uint32_t whole = way[i](0, text, sizeof text);
        for (size_t cut = 0; cut <= sizeof text; cut++) {
            assert_int_equal(way[i](way[i](0, text, cut), text + cut, sizeof text - cut), whole);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_3720),
        cmocka_unit_test(all_ways_agree),
        cmocka_unit_test(every_table_entry_is_right),
        cmocka_unit_test(it_continues),
    };
    if (!crc32c_has_instruction())
        puts("no instruction for CRC-32C here: the table alone is tested");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
