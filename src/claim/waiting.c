/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of waiting claims.
 */
#include "claim/waiting.h"

#include <errno.h>
#include <stdlib.h>

int waiter_pool_init(struct waiter_pool *pool, uint32_t count) {
    *pool = (struct waiter_pool){.count = count};
    pool->waiters = malloc((size_t)count * sizeof *pool->waiters);
    return pool->waiters == NULL ? -ENOMEM : 0;
}

void waiter_pool_deinit(struct waiter_pool *pool) {
    free(pool->waiters);
    pool->waiters = NULL;
}

struct waiter *waiter_take(struct waiter_pool *pool, const struct claim *claim) {
    struct waiter *waiter = pool->returned;
    if (waiter != NULL)
        pool->returned = waiter->next;
    else if (pool->used < pool->count)
        waiter = &pool->waiters[pool->used++];
    else
        return NULL;
    *waiter = (struct waiter){.claim = *claim};
    return waiter;
}

void waiter_give(struct waiter_pool *pool, struct waiter *waiter) {
    waiter->next = pool->returned;
    pool->returned = waiter;
}
