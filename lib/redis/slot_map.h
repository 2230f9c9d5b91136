/* SPDX-License-Identifier: Apache-2.0
 *
 * Which node has which slots, as one node told it in its reply to CLUSTER SLOTS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/redis/address.h"
#include "lib/redis/slot.h"

struct redisReply;

enum { REDIS_NODES_MAX = 128, REDIS_NO_NODE = 0xff };
static_assert(REDIS_NODES_MAX <= REDIS_NO_NODE, "a node's number is a byte");

struct redis_slot_map {
    uint32_t nodes_count;
    struct redis_address nodes[REDIS_NODES_MAX];
    bool is_master[REDIS_NODES_MAX];
    uint32_t covered;             /* slots that somebody has */
    uint8_t node_of[REDIS_SLOTS]; /* index of the master, or REDIS_NO_NODE */
};

/* Reads a reply of any shape, which `asked` gave: false, and `map` is worth nothing, when it is no
 * list of slots or has none. A node that tells its host's name instead of its address is found by
 * the address that stands beside the name, and left out when there is none. */
bool redis_slot_map_read(struct redis_slot_map *map, const struct redisReply *reply,
                         const struct redis_address *asked);
