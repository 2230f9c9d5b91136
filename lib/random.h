/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness is a parameter too: the system's for a server, a seeded one for a test.
 */
#pragma once

#include <stddef.h>

struct random_source {
    /* Fills `bytes` bytes at `out`. Cannot fail: the system's one ends the process instead. */
    void (*fill)(struct random_source *source, void *out, size_t bytes);
};

/* getrandom(2). */
extern struct random_source random_system;

static inline void random_fill(struct random_source *source, void *out, size_t bytes) {
    source->fill(source, out, bytes);
}
