/* SPDX-License-Identifier: Apache-2.0
 *
 * A claim on its way from a network thread to the engine, and what may come of it.
 */
#pragma once

#include <stdint.h>

#include "log/record.h"

/* What became of a claim. A decision, never a failure (those are CLAIM_UNAVAILABLE). */
enum claim_outcome {
    CLAIM_ISSUED,         /* this claim won: the view has the coupon */
    CLAIM_ALREADY_ISSUED, /* the user holds the coupon that the view has */
    CLAIM_SOLD_OUT,       /* nothing left: final when the view agrees, else all are reserved */
    CLAIM_NOT_STARTED,
    CLAIM_ENDED,
    CLAIM_PAUSED,
    CLAIM_RETURNED,    /* held one and gave it back */
    CLAIM_NONE,        /* of a query only: holds nothing, nothing is on its way */
    CLAIM_UNAVAILABLE, /* cannot be decided now and nothing is reserved: try again */
    CLAIM_PENDING,     /* reserved, and the log failed: only the next start can tell */
};

enum claim_kind {
    CLAIM_KIND_CLAIM,
    CLAIM_KIND_QUERY, /* "did I get it?": reserves nothing */
};

struct claim {
    uint32_t event; /* number in the view */
    uint32_t thread; /* where the answer goes: index of the network thread */
    uint64_t token;  /* the asker's own, comes back with the answer */
    uint8_t kind;    /* enum claim_kind */
    uint8_t user_id_bytes, claim_id_bytes;
    char user_id[USER_ID_BYTES_MAX];
    char claim_id[CLAIM_ID_BYTES_MAX];
};

static inline struct slice claim_user_id(const struct claim *claim) {
    return slice_of(claim->user_id, claim->user_id_bytes);
}
static inline struct slice claim_claim_id(const struct claim *claim) {
    return slice_of(claim->claim_id, claim->claim_id_bytes);
}
