/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness from a seed (splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
 * generators", 2014), as a random_source and as numbers. The same seed gives the same run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/random.h"

struct random_sim {
    struct random_source source; /* hand &random.source to the code under test */
    uint64_t state;
};

void random_sim_init(struct random_sim *random, uint64_t seed);

uint64_t random_sim_next(struct random_sim *random);

/* Less than `limit`, which is at least 1. */
uint64_t random_sim_below(struct random_sim *random, uint64_t limit);

/* True in `of_256` cases of 256. */
bool random_sim_chance(struct random_sim *random, unsigned of_256);
