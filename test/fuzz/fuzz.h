/* SPDX-License-Identifier: Apache-2.0
 *
 * What a fuzz target provides, and what all of them want. It takes any bytes, and aborts when the
 * code under test does what it must not. libFuzzer calls it, and so does replay_main.c.
 *
 * A target is fast, because what it finds grows with the number of its runs: it keeps what it needs
 * from run to run, and leaves no trace of one in the next.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly these bytes, so that a step over their end is seen; to be freed. */
static inline char *fuzz_copy(const void *bytes, size_t n) {
    char *copy = malloc(n + (n == 0));
    ASSERT(copy != NULL);
    if (n > 0) memcpy(copy, bytes, n);
    return copy;
}
