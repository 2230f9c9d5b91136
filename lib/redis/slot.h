/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of a Redis Cluster's slots a key is in (Redis Cluster Specification, "Key distribution
 * model" and "Hash tags"): CRC16 of the key, or of what stands between its first { and the next }
 * when that is not empty, modulo 16,384. Keys with the same tag share a slot.
 */
#pragma once

#include <stdint.h>

#include "lib/slice.h"

enum { REDIS_SLOTS = 16384 };

/* CRC-16/XMODEM: polynomial 0x1021, from 0, "123456789" gives 0x31C3. */
uint16_t redis_crc16(struct slice bytes);

uint16_t redis_slot_of(struct slice key);
