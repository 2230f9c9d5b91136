/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of nodes. A node keeps its place, which is what the slots and the sockets know it by,
 * until no slot, redirect or command can mean it any more.
 */
#include <errno.h>

#include "lib/redis/cluster_private.h"

uint8_t redis_nodes_find(struct redis_cluster *cluster, const struct redis_address *address) {
    struct redis_node *free_node = NULL;
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &cluster->nodes[i];
        if (node->is_used && redis_address_eq(&node->address, address)) return (uint8_t)i;
        if (!node->is_used && free_node == NULL) free_node = node;
    }
    if (free_node == NULL) return REDIS_NO_NODE;
    *free_node = (struct redis_node){.cluster = cluster, .address = *address, .is_used = true};
    redis_connection_init(&free_node->connection, &cluster->link, free_node);
    return (uint8_t)(free_node - cluster->nodes);
}

static bool is_wanted(const struct redis_node *node) {
    return node->is_master || node->cluster->now_ms < node->named_until_ms;
}

/* A command that an ASK sent to a node which is gone asks the slot's owner again. */
static void forget_redirects_to(struct redis_cluster *cluster, uint8_t number) {
    for (struct redis_command *command = cluster->waiting.first; command != NULL;
         command = command->next)
        if (command->asked_node == number) command->asked_node = REDIS_NO_NODE;
}

void redis_nodes_forget(struct redis_cluster *cluster) {
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &cluster->nodes[i];
        if (!node->is_used || node->is_seed || node->is_in_map || is_wanted(node)) continue;
        if (node->flights.first != NULL) continue; /* with the next map */
        forget_redirects_to(cluster, (uint8_t)i);
        redis_connection_deinit(&node->connection);
        node->is_used = false;
    }
}

void redis_node_lost(struct redis_node *node, int code) {
    struct redis_cluster *cluster = node->cluster;
    const uint64_t sent = node->connection.sent;
    struct redis_commands flights = node->flights;
    char text[REDIS_ADDRESS_TEXT_BYTES];
    redis_connection_close(&node->connection, code);
    node->flights = (struct redis_commands){0};
    node->is_confused = false;
    node->text = NULL;
    if (node->failures < UINT8_MAX) node->failures++;
    node->retry_ms =
        cluster->now_ms + redis_pause(cluster, redis_pause_bound(cluster, node->failures));
    counter_add(&cluster->counts.connections_lost, 1);
    if (code == -ETIMEDOUT) counter_add(&cluster->counts.time_outs, 1);
    redis_address_format(&node->address, text);
    logger_line_limited(&cluster->lost_limit, LOG_WARN, "redis",
                        "event=redis_node_lost node=%s reason=\"%s\"", text,
                        node->connection.problem);
    redis_refresh_soon(cluster);
    for (struct redis_command *command; (command = redis_commands_pop(&flights)) != NULL;) {
        if (command->end_offset <= sent) command->may_have_run = true;
        redis_flight_lost(cluster, command, code);
    }
}

/* ---- each turn ---- */

static bool is_any_ready(const struct redis_cluster *cluster, bool masters_only) {
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++)
        if (redis_node_is_ready(&cluster->nodes[i]) &&
            (!masters_only || cluster->nodes[i].is_master))
            return true;
    return false;
}

/* The instant at which its patience with the node ends; UINT64_MAX while it waits for nothing. */
static uint64_t patience_end_ms(const struct redis_node *node) {
    const struct redis_cluster_options *options = &node->cluster->options;
    if (node->connection.state == REDIS_CLOSED) return UINT64_MAX;
    if (node->connection.state != REDIS_READY) return node->opened_ms + options->connect_ms;
    if (node->flights.first == NULL) return UINT64_MAX;
    return node->flights.first->sent_ms + options->try_ms;
}

static void connect_to(struct redis_node *node) {
    struct redis_cluster *cluster = node->cluster;
    node->opened_ms = cluster->now_ms;
    counter_add(&cluster->counts.connects, 1);
    int code = redis_connection_open(&node->connection, &node->address);
    if (code != 0) redis_node_lost(node, code);
}

static bool is_to_be_opened(const struct redis_node *node, bool has_ready) {
    return node->is_used && node->connection.state == REDIS_CLOSED &&
           (is_wanted(node) || !has_ready);
}

void redis_nodes_look_after(struct redis_cluster *cluster) {
    const bool has_master = is_any_ready(cluster, true);
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &cluster->nodes[i];
        if (!node->is_used) continue;
        if (node->is_confused) redis_node_lost(node, -EPROTO);
        if (patience_end_ms(node) <= cluster->now_ms) redis_node_lost(node, -ETIMEDOUT);
        if (has_master && !is_wanted(node) && node->flights.first == NULL)
            redis_connection_close(&node->connection, -ECANCELED);
    }
    const bool has_ready = is_any_ready(cluster, false);
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &cluster->nodes[i];
        if (is_to_be_opened(node, has_ready) && node->retry_ms <= cluster->now_ms) connect_to(node);
    }
}

void redis_nodes_flush(struct redis_cluster *cluster) {
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &cluster->nodes[i];
        if (!redis_node_is_ready(node) || redis_connection_out(&node->connection)->n == 0) continue;
        counter_add(&cluster->counts.writes, 1);
        int code = redis_connection_flush(&node->connection);
        if (code != 0) redis_node_lost(node, code);
    }
}

uint64_t redis_nodes_due_ms(const struct redis_cluster *cluster) {
    const bool has_ready = is_any_ready(cluster, false);
    uint64_t due_ms = UINT64_MAX;
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        const struct redis_node *node = &cluster->nodes[i];
        if (!node->is_used) continue;
        uint64_t at_ms = is_to_be_opened(node, has_ready) ? node->retry_ms : patience_end_ms(node);
        if (at_ms < due_ms) due_ms = at_ms;
    }
    return due_ms;
}
