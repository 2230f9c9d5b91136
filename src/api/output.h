/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a network thread writes the answers of one read: a fixed buffer of its own, sent with one
 * write when the read is worked off. Callers make sure of the room before they decide anything.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "api/carried.h"
#include "lib/base.h"
#include "lib/metrics.h"
#include "lib/slice.h"

enum {
    OUTPUT_BYTES = 256 * 1024,
    OUTPUT_REPLY_BYTES_MAX = 16 * 1024, /* no single reply is longer */
};

struct output {
    /* Of the request that is being answered: */
    struct counter *replies; /* counts what is written: of its route, by status / 100 */
    struct slice fields;     /* header lines that every reply of this listener has */
    struct carried carried;  /* goes with it */
    size_t n;
    char bytes[OUTPUT_BYTES];
};

static inline bool output_has_room(const struct output *out) {
    return OUTPUT_BYTES - out->n >= OUTPUT_REPLY_BYTES_MAX;
}

static inline void output_add(struct output *out, const void *p, size_t n) {
    ASSERT(n <= OUTPUT_BYTES - out->n);
    memcpy(out->bytes + out->n, p, n);
    out->n += n;
}

static inline void output_add_slice(struct output *out, struct slice slice) {
    if (slice.n != 0) output_add(out, slice.p, slice.n);
}

#define output_add_literal(out, literal) output_add(out, "" literal, sizeof(literal) - 1)

/* A reply of this status is being written. */
static inline void output_count(const struct output *out, int status) {
    counter_add(&out->replies[status / 100], 1);
}

/* A decimal number. */
void output_add_number(struct output *out, uint64_t number);
