/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/pairs.h"

#include <stdlib.h>

#include "lib/hash.h"

void pairs_deinit(struct pairs *pairs) {
    free(pairs->slots);
    *pairs = (struct pairs){0};
}

static struct pair *slot_of(const struct pairs *pairs, uint32_t a, uint32_t b) {
    size_t mask = pairs->capacity - 1;
    size_t at = hash_mix((uint64_t)a << 32 | b, 0) & mask;
    for (;; at = (at + 1) & mask) {
        struct pair *slot = &pairs->slots[at];
        if (slot->value == PAIR_UNKNOWN || (slot->a == a && slot->b == b)) return slot;
    }
}

static bool grow(struct pairs *pairs) {
    size_t capacity = pairs->capacity == 0 ? 1024 : pairs->capacity * 2;
    struct pairs grown = {.slots = reallocarray(NULL, capacity, sizeof(struct pair)),
                          .count = pairs->count,
                          .capacity = capacity};
    if (grown.slots == NULL) return false;
    for (size_t i = 0; i < capacity; i++) grown.slots[i].value = PAIR_UNKNOWN;
    for (size_t i = 0; i < pairs->capacity; i++) {
        const struct pair *old = &pairs->slots[i];
        if (old->value != PAIR_UNKNOWN) *slot_of(&grown, old->a, old->b) = *old;
    }
    free(pairs->slots);
    *pairs = grown;
    return true;
}

void pairs_set(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t value) {
    if (pairs->count * 2 >= pairs->capacity && !grow(pairs)) {
        pairs->failed = true;
        return;
    }
    struct pair *slot = slot_of(pairs, a, b);
    if (slot->value == PAIR_UNKNOWN) pairs->count++;
    *slot = (struct pair){a, b, value};
}

uint32_t pairs_get(const struct pairs *pairs, uint32_t a, uint32_t b) {
    return pairs->capacity == 0 ? PAIR_UNKNOWN : slot_of(pairs, a, b)->value;
}
