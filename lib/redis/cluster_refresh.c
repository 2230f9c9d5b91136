/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/cluster_private.h"

/* ---- seeds ---- */

static int add_seed(struct redis_cluster *cluster, const struct redis_address *address,
                    struct err *err) {
    uint8_t number = redis_nodes_find(cluster, address);
    if (number == REDIS_NO_NODE)
        return err_set(err, -E2BIG, "more than %d nodes are named", REDIS_NODES_MAX);
    cluster->nodes[number].is_seed = true;
    return 0;
}

/* A name, by the system's resolver; it stands for the first address that it has. */
static int resolve(struct slice text, struct redis_address *address, struct err *err) {
    char words[256];
    const char *colon = text.n == 0 ? NULL : memrchr(text.p, ':', text.n);
    if (colon == NULL || text.n >= sizeof words)
        return err_set(err, -EINVAL, "\"%.*s\" is no host:port", (int)text.n, text.p);
    memcpy(words, text.p, text.n);
    words[text.n] = 0;
    char *port = words + (colon - text.p);
    *port++ = 0;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char host[NI_MAXHOST] = "", service[NI_MAXSERV] = "";
    int code = getaddrinfo(words, port, &hints, &found);
    if (code == 0)
        code = getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, service,
                           sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
    if (found != NULL) freeaddrinfo(found);
    if (code != 0)
        return err_set(err, -EINVAL, "cannot find \"%.*s\": %s", (int)text.n, text.p,
                       gai_strerror(code));
    if (redis_address_make(address, slice_str(host), strtol(service, NULL, 10))) return 0;
    return err_set(err, -EINVAL, "\"%.*s\" has no usable address", (int)text.n, text.p);
}

int redis_refresh_seed(struct redis_cluster *cluster, const char *seeds, struct err *err) {
    for (const char *at = seeds;;) {
        size_t n = strcspn(at, ",");
        struct redis_address address;
        int code = 0;
        if (!redis_address_read(&address, slice_of(at, n), NULL))
            code = resolve(slice_of(at, n), &address, err);
        if (code == 0) code = add_seed(cluster, &address, err);
        if (code != 0) return code;
        if (at[n] == 0) return 0;
        at += n + 1;
    }
}

/* ---- when ---- */

void redis_refresh_soon(struct redis_cluster *cluster) {
    uint64_t due_ms = cluster->refresh_asked_ms + REFRESH_GAP_MS;
    if (due_ms < cluster->now_ms) due_ms = cluster->now_ms;
    due_ms += redis_pause(cluster, REFRESH_GAP_MS / 2);
    if (due_ms < cluster->refresh_due_ms) cluster->refresh_due_ms = due_ms;
}

void redis_refresh_failed(struct redis_cluster *cluster, const char *why) {
    snprintf(cluster->refresh_problem, sizeof cluster->refresh_problem, "%s", why);
    cluster->refresh_due_ms = UINT64_MAX;
    redis_refresh_soon(cluster);
}

/* A node to ask, masters first, each of them as often as the others. */
static struct redis_node *choose(struct redis_cluster *cluster) {
    struct redis_node *chosen = NULL;
    uint64_t masters = 0, others = 0;
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &cluster->nodes[i];
        if (!redis_node_is_ready(node)) continue;
        uint64_t *count = node->is_master ? &masters : &others;
        ++*count;
        if (node->is_master || masters == 0)
            if (redis_pause(cluster, *count) == 1) chosen = node;
    }
    return chosen;
}

void redis_refresh_look_after(struct redis_cluster *cluster) {
    if (cluster->refresh.flying_on != REDIS_NO_NODE || cluster->now_ms < cluster->refresh_due_ms)
        return;
    struct redis_node *node = choose(cluster);
    if (node == NULL) return; /* the next that becomes ready */
    cluster->refresh_asked_ms = cluster->now_ms;
    counter_add(&cluster->counts.refreshes, 1);
    redis_fly(node, &cluster->refresh);
}

/* ---- the map ---- */

static void apply(struct redis_cluster *cluster, const struct redis_slot_map *map) {
    uint8_t numbers[REDIS_NODES_MAX];
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++)
        cluster->nodes[i].is_master = cluster->nodes[i].is_in_map = false;
    for (uint32_t i = 0; i < map->nodes_count; i++) {
        numbers[i] = redis_nodes_find(cluster, &map->nodes[i]);
        if (numbers[i] == REDIS_NO_NODE) continue;
        cluster->nodes[numbers[i]].is_in_map = true;
        cluster->nodes[numbers[i]].is_master = map->is_master[i];
    }
    for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++) {
        uint8_t number = map->node_of[slot];
        cluster->node_of[slot] = number == REDIS_NO_NODE ? REDIS_NO_NODE : numbers[number];
    }
    cluster->slots_covered = map->covered;
    redis_nodes_forget(cluster);
    cluster->routes_changed = true;
}

void redis_refresh_replied(struct redis_node *node, const struct redisReply *reply) {
    struct redis_cluster *cluster = node->cluster;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_refresh_failed(cluster, reply->str);
        return;
    }
    if (!redis_slot_map_read(cluster->fresh, reply, &node->address)) {
        redis_refresh_failed(cluster, "the node knows of no slots: is it part of a cluster?");
        return;
    }
    cluster->refresh_problem[0] = 0;
    apply(cluster, cluster->fresh);
    const uint64_t half_ms = cluster->options.refresh_ms / 2;
    cluster->refresh_due_ms = cluster->now_ms + half_ms + redis_pause(cluster, half_ms + 1);
}
