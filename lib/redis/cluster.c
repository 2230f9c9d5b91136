/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/redis/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/cluster_private.h"

uint64_t redis_pause(struct redis_cluster *cluster, uint64_t bound_ms) {
    uint64_t random;
    random_fill(cluster->options.random, &random, sizeof random);
    return 1 + random % (bound_ms == 0 ? 1 : bound_ms);
}

uint64_t redis_pause_bound(const struct redis_cluster *cluster, unsigned failures) {
    const unsigned doublings = failures < 1 ? 0 : failures > 16 ? 15 : failures - 1;
    const uint64_t bound_ms = (uint64_t)cluster->options.pause_ms << doublings;
    return bound_ms < cluster->options.pause_ms_max ? bound_ms : cluster->options.pause_ms_max;
}

/* ---- life ---- */

static void make_refresh(struct redis_command *refresh) {
    static const struct slice words[] = {{"CLUSTER", 7}, {"SLOTS", 5}};
    buf_init(&refresh->tail, 256);
    const struct redis_request request = {.words = words, .words_count = ARRAY_LEN(words)};
    if (!redis_command_fill(refresh, &request)) refresh->words_count = 0;
}

static bool make_room(struct redis_cluster *cluster) {
    const struct redis_cluster_options *options = &cluster->options;
    cluster->fresh = malloc(sizeof *cluster->fresh);
    cluster->commands = calloc(options->commands_max, sizeof *cluster->commands);
    make_refresh(&cluster->refresh);
    if (cluster->fresh == NULL || cluster->commands == NULL || cluster->refresh.words_count == 0)
        return false;
    for (uint32_t i = 0; i < options->commands_max; i++) {
        buf_init(&cluster->commands[i].tail, options->command_bytes_max);
        redis_commands_push(&cluster->idle, &cluster->commands[i]);
    }
    return true;
}

int redis_cluster_new(struct redis_cluster **out, const struct redis_cluster_options *options,
                      struct err *err) {
    struct redis_cluster *cluster = *out = calloc(1, sizeof *cluster);
    if (cluster == NULL) return err_set(err, -ENOMEM, "no memory for a client of Redis");
    cluster->options = *options;
    cluster->link = (struct redis_connection_options){
        .sockets = options->sockets,
        .tls = options->tls,
        .user = options->user,
        .password = options->password,
        .ctx = cluster,
        .on_reply = redis_on_reply,
    };
    memset(cluster->node_of, REDIS_NO_NODE, sizeof cluster->node_of);
    cluster->waiting_due_ms = cluster->deadline_ms = UINT64_MAX;
    int code = make_room(cluster) ? redis_refresh_seed(cluster, options->seeds, err)
                                  : err_set(err, -ENOMEM, "no memory for a client of Redis");
    if (code == 0) return 0;
    redis_cluster_free(cluster);
    *out = NULL;
    return code;
}

/* In flight, may it have run? As far as the socket tells. */
static void mark_flight(struct redis_cluster *cluster, struct redis_command *command) {
    if (command->flying_on == REDIS_NO_NODE) return;
    const struct redis_connection *connection = &cluster->nodes[command->flying_on].connection;
    if (command->end_offset <= connection->sent) command->may_have_run = true;
}

void redis_cluster_free(struct redis_cluster *cluster) {
    if (cluster == NULL) return;
    cluster->is_closing = true;
    for (uint32_t i = 0; cluster->commands != NULL && i < cluster->options.commands_max; i++) {
        struct redis_command *command = &cluster->commands[i];
        if (command->on_done == NULL) continue;
        mark_flight(cluster, command);
        redis_end(cluster, command, REDIS_SHUTDOWN, command->last);
    }
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++)
        if (cluster->nodes[i].is_used) redis_connection_deinit(&cluster->nodes[i].connection);
    for (uint32_t i = 0; cluster->commands != NULL && i < cluster->options.commands_max; i++)
        buf_deinit(&cluster->commands[i].tail);
    buf_deinit(&cluster->refresh.tail);
    free(cluster->commands);
    free(cluster->fresh);
    free(cluster);
}

/* ---- commands ---- */

int redis_cluster_send(struct redis_cluster *cluster, const struct redis_request *request,
                       uint64_t now_ms) {
    ASSERT(request->on_done != NULL);
    cluster->now_ms = now_ms;
    struct redis_command *command = cluster->is_closing ? NULL : redis_commands_pop(&cluster->idle);
    if (command == NULL) return -EAGAIN;
    if (!redis_command_fill(command, request)) {
        size_t bytes = 0;
        for (size_t i = 0; i < request->words_count; i++) bytes += request->words[i].n;
        command->on_done = NULL;
        redis_commands_push(&cluster->idle, command);
        return bytes > cluster->options.command_bytes_max / 2 ? -EMSGSIZE : -ENOMEM;
    }
    if (request->deadline_ms < cluster->deadline_ms) cluster->deadline_ms = request->deadline_ms;
    redis_route(cluster, command);
    return 0;
}

static void end_late(struct redis_cluster *cluster, struct redis_command *command) {
    if (command->flying_on == REDIS_NO_NODE) {
        redis_commands_remove(&cluster->waiting, command);
        redis_end(cluster, command, REDIS_LATE, command->last);
        return;
    }
    /* It keeps its place in the connection's order until its reply has come. */
    mark_flight(cluster, command);
    const struct redis_result result = {
        .end = REDIS_LATE,
        .error = command->last,
        .may_have_run = command->may_have_run,
        .may_retry = true,
    };
    void (*on_done)(void *, const struct redis_result *) = command->on_done;
    command->on_done = NULL;
    counter_add(&cluster->counts.ended[REDIS_LATE], 1);
    on_done(command->ctx, &result);
}

static void check_deadlines(struct redis_cluster *cluster) {
    if (cluster->now_ms < cluster->deadline_ms) return;
    cluster->deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < cluster->options.commands_max; i++) {
        struct redis_command *command = &cluster->commands[i];
        if (command->on_done == NULL) continue;
        if (command->deadline_ms <= cluster->now_ms)
            end_late(cluster, command);
        else if (command->deadline_ms < cluster->deadline_ms)
            cluster->deadline_ms = command->deadline_ms;
    }
}

/* ---- turns ---- */

static void became_ready(struct redis_node *node) {
    struct redis_cluster *cluster = node->cluster;
    char text[REDIS_ADDRESS_TEXT_BYTES];
    redis_address_format(&node->address, text);
    logger_line_limited(&cluster->ready_limit, LOG_INFO, "redis", "event=redis_node_ready node=%s",
                        text);
    cluster->routes_changed = true;
}

void redis_cluster_on_event(struct redis_cluster *cluster, const struct socket_event *event,
                            uint64_t now_ms) {
    struct redis_node *node = event->owner;
    cluster->now_ms = now_ms;
    const bool was_ready = redis_node_is_ready(node);
    int code = redis_connection_on_event(&node->connection, event->what);
    if (code != 0)
        redis_node_lost(node, code);
    else if (!was_ready && redis_node_is_ready(node))
        became_ready(node);
}

uint64_t redis_cluster_turn(struct redis_cluster *cluster, uint64_t now_ms) {
    cluster->now_ms = now_ms;
    redis_nodes_look_after(cluster);
    check_deadlines(cluster);
    redis_route_waiting(cluster);
    redis_refresh_look_after(cluster);
    redis_nodes_flush(cluster);
    uint64_t next_ms = redis_nodes_due_ms(cluster);
    if (cluster->waiting_due_ms < next_ms) next_ms = cluster->waiting_due_ms;
    if (cluster->deadline_ms < next_ms) next_ms = cluster->deadline_ms;
    const bool is_asked = cluster->refresh.flying_on != REDIS_NO_NODE;
    if (!is_asked && cluster->refresh_due_ms > now_ms && cluster->refresh_due_ms < next_ms)
        next_ms = cluster->refresh_due_ms;
    return next_ms;
}

/* ---- what is told ---- */

const struct redis_counts *redis_cluster_counts(const struct redis_cluster *cluster) {
    return &cluster->counts;
}

static uint32_t length(const struct redis_commands *list) {
    uint32_t count = 0;
    for (const struct redis_command *command = list->first; command != NULL;
         command = command->next)
        count++;
    return count;
}

static const char *problem_of(struct redis_cluster *cluster, const struct redis_node *node) {
    char text[REDIS_ADDRESS_TEXT_BYTES];
    redis_address_format(&node->address, text);
    snprintf(cluster->problem, sizeof cluster->problem, "%s: %s", text, node->connection.problem);
    return cluster->problem;
}

void redis_cluster_state(struct redis_cluster *cluster, struct redis_state *state) {
    *state = (struct redis_state){
        .slots_covered = cluster->slots_covered,
        .waiting = length(&cluster->waiting),
        .problem = cluster->refresh_problem,
    };
    const bool has_map = cluster->slots_covered > 0;
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        const struct redis_node *node = &cluster->nodes[i];
        if (!node->is_used) continue;
        const bool is_ready = redis_node_is_ready(node);
        state->in_flight += length(&node->flights);
        state->masters += node->is_master;
        state->masters_ready += node->is_master && is_ready;
        if (!is_ready && node->connection.problem[0] != 0 &&
            (has_map ? node->is_master : node->is_seed))
            state->problem = problem_of(cluster, node);
    }
}

uint32_t redis_cluster_masters(const struct redis_cluster *cluster, uint16_t *slots, uint32_t max) {
    bool is_told[REDIS_NODES_MAX] = {0};
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < REDIS_SLOTS && count < max; slot++) {
        const uint8_t number = cluster->node_of[slot];
        if (number == REDIS_NO_NODE || is_told[number]) continue;
        is_told[number] = true;
        slots[count++] = (uint16_t)slot;
    }
    return count;
}

void redis_cluster_master_of(const struct redis_cluster *cluster, uint16_t slot,
                             char address[REDIS_ADDRESS_TEXT_BYTES]) {
    const uint8_t number = cluster->node_of[slot];
    address[0] = '\0';
    if (number != REDIS_NO_NODE) redis_address_format(&cluster->nodes[number].address, address);
}
