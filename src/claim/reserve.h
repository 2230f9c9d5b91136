/* SPDX-License-Identifier: Apache-2.0
 *
 * The reserve hands out serials in order of arrival, before the log makes them true. It is fast and
 * may be lost: what it says only ever leads to a record that the judge accepts or not. In memory
 * here (reserve_memory.h), in a Redis Cluster later; serve.c chooses.
 *
 * All calls and replies are on the engine's thread. A reply may come during the claim call or later;
 * `flush` ends a tick: what is queued then leaves in one write.
 */
#pragma once

#include <stdint.h>

#include "claim/claim.h"
#include "claim/judge.h"

enum reserve_code {
    RESERVE_WIN,  /* reserved: gen, serial, ms, reserve_seq are filled */
    RESERVE_HAVE, /* this user has a reservation already: same fields */
    RESERVE_SOLD_OUT,
    RESERVE_NOT_STARTED,
    RESERVE_ENDED,
    RESERVE_PAUSED,
    RESERVE_NONE,        /* of a query: no reservation */
    RESERVE_UNAVAILABLE, /* nothing reserved, try again */
};

struct reserve_reply {
    enum reserve_code code;
    uint32_t gen, serial;
    int64_t ms; /* the latched instant of the reservation */
    uint64_t reserve_seq;
};

struct reserve;

struct reserve_ops {
    /* Reserves for `claim` (a query only looks) at latched time `now_ms`; the reply goes to
     * on_reply with the same pointer. */
    void (*claim)(struct reserve *reserve, const struct claim *claim, int64_t now_ms);
    void (*flush)(struct reserve *reserve);
    /* (Re)builds the reservations of an event from what its judge holds, forgetting all others: the
     * one way that opening, control records and recovery take effect. 0 or -ENOMEM. */
    int (*install)(struct reserve *reserve, uint32_t event, const struct judge *judge);
    /* The log has decided: the reservation of this user is now in the judge (or void). */
    void (*settled)(struct reserve *reserve, uint32_t event, struct slice user_id);
    void (*free)(struct reserve *reserve);
};

struct reserve {
    const struct reserve_ops *ops;
    void (*on_reply)(void *ctx, const struct claim *claim, const struct reserve_reply *reply);
    void *ctx;
};

/* The reserve of the embedded mode. NULL when memory is short. */
struct reserve *reserve_memory_new(const struct hash_key *key);
