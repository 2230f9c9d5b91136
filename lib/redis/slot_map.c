/* SPDX-License-Identifier: Apache-2.0
 *
 *     *ranges --> first, last, master, replica…       each node: host, port, id, [name, value…]
 */
#include "lib/redis/slot_map.h"

#include <hiredis/hiredis.h>
#include <string.h>

static bool is_text(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static struct slice text_of(const struct redisReply *reply) {
    return is_text(reply) ? slice_of(reply->str, reply->len) : SLICE("");
}

/* The address that a node tells beside its name, in the list behind its id. */
static struct slice ip_beside(const struct redisReply *node) {
    if (node->elements < 4 || node->element[3]->type != REDIS_REPLY_ARRAY) return SLICE("");
    const struct redisReply *pairs = node->element[3];
    for (size_t i = 0; i + 1 < pairs->elements; i += 2)
        if (slice_eq(text_of(pairs->element[i]), SLICE("ip")))
            return text_of(pairs->element[i + 1]);
    return SLICE("");
}

static bool read_address(const struct redisReply *node, const struct redis_address *asked,
                         struct redis_address *address) {
    if (node->type != REDIS_REPLY_ARRAY || node->elements < 2) return false;
    if (node->element[1]->type != REDIS_REPLY_INTEGER) return false;
    struct slice host = text_of(node->element[0]);
    const long long port = node->element[1]->integer;
    if (host.n == 0) host = slice_str(asked->host);
    return redis_address_make(address, host, port) ||
           redis_address_make(address, ip_beside(node), port);
}

/* The number of this node in the map; REDIS_NO_NODE when it cannot be had. */
static uint8_t number_of(struct redis_slot_map *map, const struct redisReply *node,
                         const struct redis_address *asked) {
    struct redis_address address;
    if (!read_address(node, asked, &address)) return REDIS_NO_NODE;
    for (uint32_t i = 0; i < map->nodes_count; i++)
        if (redis_address_eq(&map->nodes[i], &address)) return (uint8_t)i;
    if (map->nodes_count == REDIS_NODES_MAX) return REDIS_NO_NODE;
    map->nodes[map->nodes_count] = address;
    map->is_master[map->nodes_count] = false;
    return (uint8_t)map->nodes_count++;
}

static bool is_slot(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0 &&
           reply->integer < REDIS_SLOTS;
}

static bool read_range(struct redis_slot_map *map, const struct redisReply *range,
                       const struct redis_address *asked) {
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3) return false;
    if (!is_slot(range->element[0]) || !is_slot(range->element[1])) return false;
    const long long first = range->element[0]->integer, last = range->element[1]->integer;
    const uint8_t master = number_of(map, range->element[2], asked);
    for (size_t i = 3; i < range->elements; i++) number_of(map, range->element[i], asked);
    if (master == REDIS_NO_NODE) return true;
    map->is_master[master] = true;
    for (long long slot = first; slot <= last; slot++) {
        map->covered += map->node_of[slot] == REDIS_NO_NODE;
        map->node_of[slot] = master;
    }
    return true;
}

bool redis_slot_map_read(struct redis_slot_map *map, const struct redisReply *reply,
                         const struct redis_address *asked) {
    map->nodes_count = 0;
    map->covered = 0;
    memset(map->node_of, REDIS_NO_NODE, sizeof map->node_of);
    if (reply->type != REDIS_REPLY_ARRAY) return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (!read_range(map, reply->element[i], asked)) return false;
    return map->covered > 0;
}
