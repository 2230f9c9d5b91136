/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C (Castagnoli polynomial 0x1EDC6F41, RFC 3720 appendix B.4), by the processor's own
 * instruction where it has one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `bytes` bytes: crc32c(crc32c(0, a), b) is that of a then b. */
uint32_t crc32c(uint32_t crc, const void *p, size_t bytes);

/* The two ways, for the test that compares them. By instruction only where there is one. */
bool crc32c_has_instruction(void);
uint32_t crc32c_by_instruction(uint32_t crc, const void *p, size_t bytes);
uint32_t crc32c_by_table(uint32_t crc, const void *p, size_t bytes);
