/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers by pairs of numbers: which entry belongs to (event, user), for instance.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAIR_UNKNOWN = UINT32_MAX };

struct pairs {
    struct pair {
        uint32_t a, b, value;
    } * slots;
    size_t count, capacity;
    bool failed; /* memory was short: something was not kept */
};

/* Zeroed memory is empty. */
void pairs_deinit(struct pairs *pairs);
/* Keeps `value` (not PAIR_UNKNOWN) for (a, b), in the place of any before. */
void pairs_set(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t value);
/* PAIR_UNKNOWN when there is none. */
uint32_t pairs_get(const struct pairs *pairs, uint32_t a, uint32_t b);
