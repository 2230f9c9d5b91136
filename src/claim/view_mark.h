/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a view has come and to what effect, for other threads: its owner publishes the pair after
 * each block of records, anybody reads a pair that belongs together. Zeroed memory is a mark of an
 * empty view.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "claim/view.h"

struct view_mark {
    atomic_uint_least64_t version; /* odd while the pair is being changed */
    atomic_uint_least64_t seq, digest;
};

/* The owner's. */
static inline void view_mark_publish(struct view_mark *mark, const struct view *view) {
    uint64_t version = atomic_load(&mark->version);
    atomic_store(&mark->version, version + 1);
    atomic_store(&mark->seq, view_offset(view));
    atomic_store(&mark->digest, view_digest(view));
    atomic_store(&mark->version, version + 2);
}

/* Anybody's. Waits for no more than the few stores of a publication. */
static inline void view_mark_read(const struct view_mark *mark, uint64_t *seq, uint64_t *digest) {
    uint64_t version;
    do {
        version = atomic_load(&mark->version);
        *seq = atomic_load(&mark->seq);
        *digest = atomic_load(&mark->digest);
    } while (version % 2 != 0 || version != atomic_load(&mark->version));
}
