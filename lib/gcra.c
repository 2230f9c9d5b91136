/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/gcra.h"

#include <stdatomic.h>
#include <stdlib.h>

#define TIME_MASK ((UINT64_C(1) << GCRA_TIME_BITS) - 1)

enum { WORDS_IN_SET = 8, TAG_SHIFT = GCRA_TIME_BITS, CACHE_LINE_BYTES = 64 };

static_assert(WORDS_IN_SET * sizeof(uint64_t) == CACHE_LINE_BYTES, "a set is one cache line");
/* Far less than half of the round, so that past and future cannot be taken for each other. */
static_assert((uint64_t)GCRA_BURST_MAX * GCRA_INTERVAL_US_MAX < TIME_MASK / 2, "a burst fits");

struct gcra_table {
    struct hash_key key;
    size_t sets_count;
    void *memory;
    atomic_uint_least64_t *words; /* in `memory`, from the start of a cache line on */
};

/* How far `time` is ahead of `now`, on the shorter way round; 0 when it is behind. */
static uint64_t ahead(uint64_t time, uint64_t now) {
    uint64_t distance = (time - now) & TIME_MASK;
    return distance <= TIME_MASK / 2 ? distance : 0;
}

uint64_t gcra_decide(const struct gcra_rate *rate, uint64_t now_us, uint64_t *tat_us) {
    uint64_t empty_us = (uint64_t)rate->interval_us * rate->burst;
    uint64_t taken_us = ahead(*tat_us, now_us);
    /* A thread whose time is a little behind finds a bucket that is emptier than empty, and must
     * not fill it up to that. */
    bool is_too_far = taken_us > empty_us + GCRA_LAG_US_MAX;
    if (is_too_far) taken_us = empty_us;
    uint64_t then_us = taken_us + rate->interval_us;
    if (then_us <= empty_us)
        *tat_us = (now_us + then_us) & TIME_MASK;
    else if (is_too_far)
        *tat_us = (now_us + empty_us) & TIME_MASK;
    return then_us <= empty_us ? 0 : then_us - empty_us;
}

struct gcra_table *gcra_table_new(size_t words_count, const struct hash_key *key) {
    ASSERT(words_count >= WORDS_IN_SET && (words_count & (words_count - 1)) == 0);
    struct gcra_table *table = malloc(sizeof *table);
    /* Zeroed by the system as it is touched: a limit that is off takes no memory. */
    void *memory = calloc(words_count * sizeof *table->words + CACHE_LINE_BYTES, 1);
    if (table == NULL || memory == NULL) {
        free(table);
        free(memory);
        return NULL;
    }
    *table = (struct gcra_table){
        .key = *key,
        .sets_count = words_count / WORDS_IN_SET,
        .memory = memory,
        .words = (void *)round_up((uintptr_t)memory, CACHE_LINE_BYTES),
    };
    return table;
}

void gcra_table_free(struct gcra_table *table) {
    if (table == NULL) return;
    free(table->memory);
    free(table);
}

/* The word of the key in its set, and what is in it; when the key has none, the one to take for it.
 * Threads that see the same set choose the same word, so that one of them finds out. */
static size_t choose(const atomic_uint_least64_t *set, uint64_t tag, uint64_t now_us,
                     uint64_t *old) {
    size_t best = 0;
    uint64_t best_ahead_us = UINT64_MAX;
    for (size_t i = 0; i < WORDS_IN_SET; i++) {
        uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        uint64_t ahead_us = ahead(word & TIME_MASK, now_us);
        if (word >> TAG_SHIFT == tag) {
            *old = word;
            return i;
        }
        if (ahead_us >= best_ahead_us) continue;
        best = i;
        best_ahead_us = ahead_us;
        *old = word;
    }
    return best;
}

uint64_t gcra_take(struct gcra_table *table, const struct gcra_rate *rate, struct slice key,
                   uint64_t now_us) {
    uint64_t hash = hash_slice(&table->key, key);
    atomic_uint_least64_t *set = table->words + (hash & (table->sets_count - 1)) * WORDS_IN_SET;
    uint64_t tag = hash >> TAG_SHIFT;
    /* Whoever makes the swap fail has taken one: the words move on, and a bucket that is empty is
     * not written any more. */
    for (;;) {
        uint64_t old;
        atomic_uint_least64_t *word = set + choose(set, tag, now_us, &old);
        bool is_own = old >> TAG_SHIFT == tag;
        uint64_t tat_us = is_own ? old & TIME_MASK : now_us & TIME_MASK;
        uint64_t wait_us = gcra_decide(rate, now_us, &tat_us);
        uint64_t new = tag << TAG_SHIFT | tat_us;
        if (new == old || atomic_compare_exchange_weak_explicit(
                              word, &old, new, memory_order_relaxed, memory_order_relaxed))
            return wait_us;
    }
}
