/* SPDX-License-Identifier: Apache-2.0
 *
 * Claims that wait inside the engine: for their turn, for a control record, for a batch. Each is a
 * copy taken from a pool of fixed size, so that waiting takes no memory and cannot fail half-way: a
 * claim that finds the pool empty is refused before anything is reserved for it.
 */
#pragma once

#include <stdint.h>

#include "claim/claim.h"
#include "lib/base.h"

struct waiter {
    struct waiter *next;
    struct claim claim;
    enum claim_outcome hope; /* the answer if the log agrees: ISSUED, ALREADY_ISSUED, SOLD_OUT */
    uint32_t serial;         /* reserved for it, when hope is ISSUED */
    bool short_of_room;      /* a claim that may only be looked up, as there is no room for a win */
};

/* First in, first out. */
struct waiter_queue {
    struct waiter *first, *last;
};

static inline void waiter_push(struct waiter_queue *queue, struct waiter *waiter) {
    waiter->next = NULL;
    if (queue->first == NULL)
        queue->first = waiter;
    else
        queue->last->next = waiter;
    queue->last = waiter;
}

/* The oldest one, or NULL. */
static inline struct waiter *waiter_pop(struct waiter_queue *queue) {
    struct waiter *waiter = queue->first;
    if (waiter != NULL) queue->first = waiter->next;
    return waiter;
}

/* Puts all of `queue` behind all of `front`, and both into `queue`. */
static inline void waiter_queue_prepend(struct waiter_queue *queue, struct waiter_queue *front) {
    if (front->first == NULL) return;
    front->last->next = queue->first;
    if (queue->first == NULL) queue->last = front->last;
    queue->first = front->first;
    front->first = NULL;
}

struct waiter_pool {
    struct waiter *waiters;
    struct waiter *returned; /* used before and free again */
    uint32_t used;           /* those behind were never touched, and so take no memory yet */
    uint32_t count;
};

/* 0 or -ENOMEM. */
int waiter_pool_init(struct waiter_pool *pool, uint32_t count) MUST_CHECK;
void waiter_pool_deinit(struct waiter_pool *pool);

/* A copy of `claim`, or NULL when all are in use. */
struct waiter *waiter_take(struct waiter_pool *pool, const struct claim *claim);
void waiter_give(struct waiter_pool *pool, struct waiter *waiter);
