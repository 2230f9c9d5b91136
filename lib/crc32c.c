/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C in two ways that agree: the instruction of SSE 4.2, and eight tables that take eight
 * bytes a step. Called by the record codec for every record written or read.
 */
#include "lib/crc32c.h"

#include "lib/base.h"
#include "lib/le.h"

/* A remainder is linear over XOR, so eight of them, one for each bit, make a table of 256. */
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                           \
    ((((i)&1) ? (a) : 0) ^ (((i)&2) ? (b) : 0) ^ (((i)&4) ? (c) : 0) ^ (((i)&8) ? (d) : 0) ^       \
     (((i)&16) ? (e) : 0) ^ (((i)&32) ? (f) : 0) ^ (((i)&64) ? (g) : 0) ^ (((i)&128) ? (h) : 0))
#define ENTRIES_4(i, ...)                                                                          \
    ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__),               \
        ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                                                         \
    ENTRIES_4(i, __VA_ARGS__), ENTRIES_4((i) + 4, __VA_ARGS__), ENTRIES_4((i) + 8, __VA_ARGS__),   \
        ENTRIES_4((i) + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                                                         \
    ENTRIES_16(i, __VA_ARGS__), ENTRIES_16((i) + 16, __VA_ARGS__),                                 \
        ENTRIES_16((i) + 32, __VA_ARGS__), ENTRIES_16((i) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {                                                                                              \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__),     \
            ENTRIES_64(192, __VA_ARGS__)                                                           \
    }

/* after_zeros[k][b]: the remainder of byte b followed by k zero bytes, by the reflected polynomial
 * 0x82f63b78. Each row is given by the remainders of the bytes 1, 2, 4 … 128. */
static const uint32_t after_zeros[8][256] = {
    TABLE(0xf26b8303u, 0xe13b70f7u, 0xc79a971fu, 0x8ad958cfu, /* k = 0 */
          0x105ec76fu, 0x20bd8edeu, 0x417b1dbcu, 0x82f63b78u),
    TABLE(0x13a29877u, 0x274530eeu, 0x4e8a61dcu, 0x9d14c3b8u, /* k = 1 */
          0x3fc5f181u, 0x7f8be302u, 0xff17c604u, 0xfbc3faf9u),
    TABLE(0xa541927eu, 0x4f6f520du, 0x9edea41au, 0x38513ec5u, /* k = 2 */
          0x70a27d8au, 0xe144fb14u, 0xc76580d9u, 0x8b277743u),
    TABLE(0xdd45aab8u, 0xbf672381u, 0x7b2231f3u, 0xf64463e6u, /* k = 3 */
          0xe964b13du, 0xd725148bu, 0xaba65fe7u, 0x52a0c93fu),
    TABLE(0x38116facu, 0x7022df58u, 0xe045beb0u, 0xc5670b91u, /* k = 4 */
          0x8f2261d3u, 0x1ba8b557u, 0x37516aaeu, 0x6ea2d55cu),
    TABLE(0xef306b19u, 0xdb8ca0c3u, 0xb2f53777u, 0x6006181fu, /* k = 5 */
          0xc00c303eu, 0x85f4168du, 0x0e045bebu, 0x1c08b7d6u),
    TABLE(0x68032cc8u, 0xd0065990u, 0xa5e0c5d1u, 0x4e2dfd53u, /* k = 6 */
          0x9c5bfaa6u, 0x3d5b83bdu, 0x7ab7077au, 0xf56e0ef4u),
    TABLE(0x493c7d27u, 0x9278fa4eu, 0x211d826du, 0x423b04dau, /* k = 7 */
          0x847609b4u, 0x0d006599u, 0x1a00cb32u, 0x34019664u),
};

uint32_t crc32c_by_table(uint32_t crc, const void *p, size_t bytes) {
    const unsigned char *at = p;
    crc = ~crc;
    for (; bytes >= 8; at += 8, bytes -= 8) {
        uint64_t word = le64_load(at) ^ crc;
        crc = 0;
        for (int i = 0; i < 8; i++) crc ^= after_zeros[7 - i][word >> (8 * i) & 0xff];
    }
    for (; bytes > 0; at++, bytes--) crc = after_zeros[0][(crc ^ *at) & 0xff] ^ crc >> 8;
    return ~crc;
}

#ifdef __x86_64__

bool crc32c_has_instruction(void) {
    return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) uint32_t crc32c_by_instruction(uint32_t crc, const void *p,
                                                                 size_t bytes) {
    const unsigned char *at = p;
    uint64_t wide = ~crc;
    for (; bytes >= 8; at += 8, bytes -= 8) wide = __builtin_ia32_crc32di(wide, le64_load(at));
    crc = (uint32_t)wide;
    for (; bytes > 0; at++, bytes--) crc = __builtin_ia32_crc32qi(crc, *at);
    return ~crc;
}

#else

bool crc32c_has_instruction(void) {
    return false;
}

uint32_t crc32c_by_instruction(uint32_t crc, const void *p, size_t bytes) {
    return crc32c_by_table(crc, p, bytes);
}

#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t bytes) {
    return LIKELY(crc32c_has_instruction()) ? crc32c_by_instruction(crc, p, bytes)
                                            : crc32c_by_table(crc, p, bytes);
}
