/* SPDX-License-Identifier: Apache-2.0
 *
 * Keyed hashing of outside bytes: SipHash-1-3 (Aumasson, Bernstein, "SipHash: a fast short-input
 * PRF", 2012, with the reduced rounds that Rust and Ruby use), so that nobody can choose user ids
 * that collide in a table of ours.
 */
#pragma once

#include <stdint.h>

#include "lib/slice.h"

struct hash_key {
    uint64_t k[2];
};

uint64_t hash_slice(const struct hash_key *key, struct slice bytes);

/* An unkeyed, reversible mix of two words, for digests (the finalizer of MurmurHash3). */
static inline uint64_t hash_mix(uint64_t state, uint64_t word) {
    uint64_t x = state ^ (word + 0x9e3779b97f4a7c15u + (state << 6) + (state >> 2));
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}
