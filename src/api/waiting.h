/* SPDX-License-Identifier: Apache-2.0
 *
 * Places of requests that cannot be answered at once: one for each that is with the engine, and for
 * decided ones that stand behind such a one on the same connection. A fixed pool is the bound on
 * work in flight: when it is empty a claim is refused with 503 before anything is reserved.
 *
 *     FREE -> ENGINE -> READY -> FREE        asked, answered, written
 *               \-> LATE -> LEFT -> FREE     not decided in time: told 202 pending in its turn; the
 *                                            engine's answer still comes, and frees the place
 *               \-> LEFT -> FREE             the connection went away: the same
 *     FREE -> READY -> FREE                  decided by the view, waiting for its turn
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/carried.h"
#include "api/link.h"
#include "claim/claim.h"
#include "lib/base.h"
#include "lib/metrics.h"

struct connection;
struct server;

enum waiting_state { WAITING_FREE, WAITING_ENGINE, WAITING_READY, WAITING_LATE, WAITING_LEFT };

struct waiting {
    struct waiting *next; /* of the connection's queue, or of the free places */
    struct connection *connection;
    void (*write)(struct server *server, const struct waiting *place); /* the answer */
    struct counter *replies; /* counts the answer: of its route, see output.h */
    struct link due; /* while ENGINE: in order of `since_ns` */
    uint64_t since_ns;
    uint32_t event; /* number in the view, of a claim or query */
    uint8_t state;
    uint8_t outcome; /* while READY or LATE: enum claim_outcome, control_outcome or
                        bearer_result */
    bool close, head_only;
    bool is_claim;    /* no query, no control record */
    bool is_creation; /* a control record of an event that was not there */
    uint8_t user_id_bytes, event_id_bytes;
    char user_id[USER_ID_BYTES_MAX];
    char event_id[EVENT_ID_BYTES_MAX]; /* of a control record */
    struct carried_copy carried;       /* goes with the answer */
};

struct waiting_pool {
    struct waiting *places;
    uint32_t count, used;
    uint32_t touched; /* places behind these were never taken: their memory is not there yet */
    struct waiting *free;
    void (*write)(struct server *server, const struct waiting *place); /* the answer */
    struct link due; /* ENGINE places, earliest deadline first */
};

/* 0 or -ENOMEM. */
int waiting_pool_init(struct waiting_pool *pool, uint32_t count) MUST_CHECK;
void waiting_pool_deinit(struct waiting_pool *pool);

static inline bool waiting_has_place(const struct waiting_pool *pool) {
    return pool->used < pool->count;
}
/* A place, or NULL when all are taken. */
struct waiting *waiting_take(struct waiting_pool *pool);
void waiting_release(struct waiting_pool *pool, struct waiting *place);

/* The place is with the engine from `since_ns` on, which is now. */
void waiting_ask(struct waiting_pool *pool, struct waiting *place, uint64_t since_ns);
/* Its deadline has passed: out of the order of deadlines, but still in its connection's queue. Since
 * deadlines come in order of asking, nothing before it in that queue is left with the engine. */
void waiting_give_up(struct waiting *place);
/* The asker does not wait any more; the engine's answer will release the place. */
void waiting_leave(struct waiting *place);

/* Engine tokens are places. */
static inline uint64_t waiting_token(const struct waiting_pool *pool, const struct waiting *place) {
    return (uint64_t)(place - pool->places);
}
static inline struct waiting *waiting_at(struct waiting_pool *pool, uint64_t token) {
    ASSERT(token < pool->count);
    return &pool->places[token];
}
