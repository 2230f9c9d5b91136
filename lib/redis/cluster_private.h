/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the cluster client share:
 *
 *     cluster.c          the calls of cluster.h, and what a turn does in which order
 *     cluster_nodes.c    the table of nodes and their connections
 *     cluster_route.c    where a command goes, what a reply or a lost connection means for it
 *     cluster_refresh.c  the slot map, and when it is asked for
 */
#pragma once

#include "lib/logger.h"
#include "lib/redis/cluster.h"
#include "lib/redis/command.h"
#include "lib/redis/connection.h"
#include "lib/redis/slot_map.h"

enum {
    REFRESH_GAP_MS = 100, /* between two questions for the slots, whoever wants them */
    REDIRECTS_MAX = 5,    /* in a row without a pause */
    /* How long a node that a redirect named is kept without being in the slot map. */
    NAMED_MS = 10 * 1000,
};

struct redis_node {
    struct redis_cluster *cluster;
    struct redis_address address;
    bool is_used, is_seed, is_master, is_in_map;
    bool is_confused;        /* it said more than it was asked: to be closed */
    uint8_t failures;        /* in a row */
    uint64_t retry_ms;       /* no connection is tried before */
    uint64_t opened_ms;      /* when the last try began */
    uint64_t named_until_ms; /* a redirect named it */
    struct redis_connection connection;
    struct redis_commands flights;
    /* The script whose text was sent last on this connection, and where that ends: a NOSCRIPT to a
     * command before it is no reason to send the text again. */
    const struct redis_script *text;
    uint64_t text_end;
};

struct redis_cluster {
    struct redis_cluster_options options;
    struct redis_connection_options link;
    bool is_closing;
    uint64_t now_ms;
    struct redis_node nodes[REDIS_NODES_MAX];
    uint8_t node_of[REDIS_SLOTS];
    uint32_t slots_covered;

    struct redis_command *commands; /* commands_max of them, each idle, waiting or in flight */
    struct redis_commands idle, waiting;
    bool routes_changed;     /* what waits may find its node ready now */
    uint64_t waiting_due_ms; /* the end of the first pause */
    uint64_t deadline_ms;    /* no command has one before */

    struct redis_slot_map *fresh; /* room to read one into */
    struct redis_command refresh; /* the question for the slots */
    uint64_t refresh_due_ms, refresh_asked_ms;

    struct redis_counts counts;
    struct logger_limit lost_limit, ready_limit;
    char refresh_problem[160], problem[sizeof((struct redis_connection *)0)->problem + 64];
};

/* From 1 to `bound_ms`, evenly. */
uint64_t redis_pause(struct redis_cluster *cluster, uint64_t bound_ms);
/* The bound of the pause after `failures` in a row, 1 or more. */
uint64_t redis_pause_bound(const struct redis_cluster *cluster, unsigned failures);

/* ---- cluster_nodes.c ---- */

/* The number of the node with this address, added when there is room; REDIS_NO_NODE else. */
uint8_t redis_nodes_find(struct redis_cluster *cluster, const struct redis_address *address);
/* Forgets the nodes that are in no map, and that nobody asks for. */
void redis_nodes_forget(struct redis_cluster *cluster);
/* Closes what does not answer and what is not needed, connects what is. */
void redis_nodes_look_after(struct redis_cluster *cluster);
void redis_nodes_flush(struct redis_cluster *cluster);
/* The next instant at which one of them wants redis_nodes_look_after. */
uint64_t redis_nodes_due_ms(const struct redis_cluster *cluster);
/* Its connection is broken: closes it; what was in flight is tried again, or ends. */
void redis_node_lost(struct redis_node *node, int code);
static inline bool redis_node_is_ready(const struct redis_node *node) {
    return node->is_used && node->connection.state == REDIS_READY;
}

/* ---- cluster_route.c ---- */

/* Sends a command to its node, or has it wait. */
void redis_route(struct redis_cluster *cluster, struct redis_command *command);
/* Puts a command into the stream of a node that is ready. */
void redis_fly(struct redis_node *node, struct redis_command *command);
/* Routes what waits and may go by now. */
void redis_route_waiting(struct redis_cluster *cluster);
/* The reply to the oldest command in flight to `owner`, a node. */
void redis_on_reply(void *ctx, void *owner, const struct redisReply *reply);
/* Its connection was lost with it in flight. */
void redis_flight_lost(struct redis_cluster *cluster, struct redis_command *command, int code);
/* Ends a command that is in no list. */
void redis_end(struct redis_cluster *cluster, struct redis_command *command, enum redis_end end,
               const char *error);

/* ---- cluster_refresh.c ---- */

/* Takes a list of seeds. 0 or a negative errno with words. */
int redis_refresh_seed(struct redis_cluster *cluster, const char *seeds, struct err *err);
/* The map may be old: asks for it soon. */
void redis_refresh_soon(struct redis_cluster *cluster);
/* Asks when it is time and some node is ready. */
void redis_refresh_look_after(struct redis_cluster *cluster);
void redis_refresh_replied(struct redis_node *node, const struct redisReply *reply);
void redis_refresh_failed(struct redis_cluster *cluster, const char *why);
