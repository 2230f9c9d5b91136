/* SPDX-License-Identifier: Apache-2.0
 *
 * A seeded random_source for tests and the simulator: small, reproducible, for no secret.
 */
#include "sim/random_sim.h"

#include <string.h>

#include "lib/base.h"

static void fill(struct random_source *source, void *out, size_t bytes) {
    struct random_sim *random = CONTAINER_OF(source, struct random_sim, source);
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = random_sim_next(random);
        memcpy((char *)out + at, &word, size_min(sizeof(word), bytes - at));
    }
}

void random_sim_init(struct random_sim *random, uint64_t seed) {
    *random = (struct random_sim){.source = {.fill = fill}, .state = seed};
}

uint64_t random_sim_next(struct random_sim *random) {
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t random_sim_below(struct random_sim *random, uint64_t limit) {
    ASSERT(limit >= 1);
    return random_sim_next(random) % limit;
}

bool random_sim_chance(struct random_sim *random, unsigned of_256) {
    return random_sim_next(random) % 256 < of_256;
}
