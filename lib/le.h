/* SPDX-License-Identifier: Apache-2.0
 *
 * Little-endian words in memory of any alignment, the same on every machine.
 */
#pragma once

#include <stdint.h>

/* Spelled byte by byte: gcc and clang make one load of it. */
static inline uint64_t le64_load(const unsigned char *p) {
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}
