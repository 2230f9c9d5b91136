/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-1-3, written from its paper: four words of state, one round for each word of input, three
 * to finish. Called by every table whose keys come from outside.
 */
#include "lib/hash.h"

#include "lib/le.h"

struct sip {
    uint64_t a, b, c, d; /* v0 to v3 of the paper */
};

static inline uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *s) {
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word) {
    s->d ^= word;
    sip_round(s);
    s->a ^= word;
}

/* The last word: the 0 to 7 bytes that are left, and the low byte of the length on top. */
static inline uint64_t last_word(const unsigned char *p, size_t left, size_t bytes) {
    uint64_t word = (uint64_t)bytes << 56;
    for (size_t i = 0; i < left; i++) word |= (uint64_t)p[i] << (8 * i);
    return word;
}

uint64_t hash_slice(const struct hash_key *key, struct slice bytes) {
    struct sip s = {
        key->k[0] ^ 0x736f6d6570736575u,
        key->k[1] ^ 0x646f72616e646f6du,
        key->k[0] ^ 0x6c7967656e657261u,
        key->k[1] ^ 0x7465646279746573u,
    };
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t left = bytes.n;
    for (; left >= 8; p += 8, left -= 8) sip_word(&s, le64_load(p));
    sip_word(&s, last_word(p, left, bytes.n));
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
