/* SPDX-License-Identifier: Apache-2.0 */
#include "api/waiting.h"

#include <errno.h>
#include <stdlib.h>

int waiting_pool_init(struct waiting_pool *pool, uint32_t count) {
    *pool = (struct waiting_pool){.places = calloc(count, sizeof *pool->places), .count = count};
    if (pool->places == NULL) return -ENOMEM;
    link_init(&pool->due);
    return 0;
}

void waiting_pool_deinit(struct waiting_pool *pool) {
    free(pool->places);
    pool->places = NULL;
}

struct waiting *waiting_take(struct waiting_pool *pool) {
    struct waiting *place = pool->free;
    if (place != NULL) {
        ASSERT(place->state == WAITING_FREE);
        pool->free = place->next;
    } else if (pool->touched < pool->count) {
        place = &pool->places[pool->touched++];
        link_init(&place->due);
    } else {
        return NULL;
    }
    pool->used++;
    place->next = NULL;
    place->is_claim = false;
    return place;
}

void waiting_release(struct waiting_pool *pool, struct waiting *place) {
    ASSERT(place->state != WAITING_FREE && place->state != WAITING_ENGINE &&
           place->state != WAITING_LATE);
    place->state = WAITING_FREE;
    place->connection = NULL;
    place->next = pool->free;
    pool->free = place;
    pool->used--;
}

void waiting_ask(struct waiting_pool *pool, struct waiting *place, uint64_t since_ns) {
    place->state = WAITING_ENGINE;
    place->since_ns = since_ns;
    link_append(&pool->due, &place->due);
}

void waiting_give_up(struct waiting *place) {
    ASSERT(place->state == WAITING_ENGINE);
    link_remove(&place->due);
    place->state = WAITING_LATE;
}

void waiting_leave(struct waiting *place) {
    ASSERT(place->state == WAITING_ENGINE || place->state == WAITING_LATE);
    link_remove(&place->due);
    place->state = WAITING_LEFT;
    place->connection = NULL;
}
