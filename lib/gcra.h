/* SPDX-License-Identifier: Apache-2.0
 *
 * Rate limits by the generic cell rate algorithm (ITU-T I.371, annex A): a bucket is one number,
 * the time at which it will be whole again.
 *
 *     at once: `burst` requests; after that one each `interval_us`
 *
 *        now                        tat        now + burst * interval
 *     ----|--------------------------|------------------|-------> time
 *         |<--- taken from bucket -->|<--- left in it ->|
 *
 * The table holds a word for each of the keys that were seen last, in sets of one cache line. It is
 * shared by threads without a lock: a word is changed by compare-and-swap. Its size is fixed.
 *
 *     word: | 16 bits: tag of the key | 48 bits: time in us, which goes round in 8.9 years |
 *
 * Which set and which tag a key has is a secret hash's choice. Two keys of one set are told apart
 * by their tags. When a set is full the bucket that is nearest to being whole makes way, and
 * whoever it belonged to begins with a whole one again: the table forgets, at worst, that somebody
 * has asked a little; it does not blame a newcomer for others. Two keys of the same set and tag
 * share a bucket: for a chosen victim that is one key in 65,536 times the number of sets, and who
 * wants to be that one cannot find out which it is.
 *
 * Time is passed in, and may differ a little between threads or go backwards.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/hash.h"
#include "lib/slice.h"

enum {
    GCRA_BURST_MAX = 1000000,
    GCRA_INTERVAL_US_MAX = 100000000,
    GCRA_LAG_US_MAX = 1000000, /* threads' times differ by less */
    GCRA_TIME_BITS = 48,
};

struct gcra_rate {
    uint32_t interval_us; /* 1 to GCRA_INTERVAL_US_MAX; 0: no limit */
    uint32_t burst;       /* 1 to GCRA_BURST_MAX */
};

/* One request at `now_us` of a bucket that is whole at `*tat_us`; both go round in 48 bits. 0 when
 * it may pass, `*tat_us` is then one interval later; else the microseconds to wait, and the bucket
 * is left as it was. A `*tat_us` that is more than GCRA_LAG_US_MAX further ahead than an empty
 * bucket's (the clock went back, the rate was changed) is taken, and left, as that of an empty
 * bucket: nobody waits longer than an interval, or that lag, because of it. */
uint64_t gcra_decide(const struct gcra_rate *rate, uint64_t now_us, uint64_t *tat_us);

struct gcra_table;

/* A table of `words_count` words, a power of two of at least 8. NULL without memory. */
struct gcra_table *gcra_table_new(size_t words_count, const struct hash_key *key) MUST_CHECK;
void gcra_table_free(struct gcra_table *table);

/* One request of `key` at `now_us`: as gcra_decide. Any thread. */
uint64_t gcra_take(struct gcra_table *table, const struct gcra_rate *rate, struct slice key,
                   uint64_t now_us);
