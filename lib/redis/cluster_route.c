/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <hiredis/hiredis.h>

#include "lib/redis/cluster_private.h"

void redis_end(struct redis_cluster *cluster, struct redis_command *command, enum redis_end end,
               const char *error) {
    struct redis_result result = {
        .end = end,
        .error = error,
        .may_have_run = command->may_have_run,
        .may_retry = end != REDIS_REFUSED && end != REDIS_SHUTDOWN,
    };
    counter_add(&cluster->counts.ended[end], 1);
    void (*on_done)(void *, const struct redis_result *) = command->on_done;
    command->on_done = NULL;
    redis_commands_push(&cluster->idle, command);
    on_done(command->ctx, &result);
}

static void replied(struct redis_cluster *cluster, struct redis_command *command,
                    const struct redisReply *reply) {
    struct redis_result result = {
        .end = REDIS_REPLIED,
        .reply = reply,
        .may_have_run = true,
        .may_have_run_before = command->may_have_run,
    };
    counter_add(&cluster->counts.ended[REDIS_REPLIED], 1);
    void (*on_done)(void *, const struct redis_result *) = command->on_done;
    command->on_done = NULL;
    redis_commands_push(&cluster->idle, command);
    on_done(command->ctx, &result);
}

/* ---- out ---- */

void redis_fly(struct redis_node *node, struct redis_command *command) {
    struct redis_cluster *cluster = node->cluster;
    struct buf *out = redis_connection_out(&node->connection);
    const size_t before = out->n;
    redis_command_write(command, out);
    redis_connection_wrote(&node->connection, out->n - before);
    command->end_offset = node->connection.written;
    command->sent_ms = cluster->now_ms;
    command->flying_on = (uint8_t)(node - cluster->nodes);
    if (command->wants_text) {
        node->text = command->script;
        node->text_end = command->end_offset;
        counter_add(&cluster->counts.texts, 1);
    }
    redis_commands_push(&node->flights, command);
}

static void wait_until(struct redis_cluster *cluster, struct redis_command *command,
                       uint64_t due_ms) {
    command->due_ms = due_ms;
    if (due_ms > cluster->now_ms && due_ms < cluster->waiting_due_ms)
        cluster->waiting_due_ms = due_ms;
    redis_commands_push(&cluster->waiting, command);
}

void redis_route(struct redis_cluster *cluster, struct redis_command *command) {
    const bool is_asked = command->asked_node != REDIS_NO_NODE;
    const uint8_t number = is_asked ? command->asked_node : cluster->node_of[command->slot];
    if (number == REDIS_NO_NODE) {
        if (!command->may_have_run) command->last = "no node has its slot";
        redis_refresh_soon(cluster);
    } else if (redis_node_is_ready(&cluster->nodes[number])) {
        if (command->tries + command->redirects > 0) counter_add(&cluster->counts.retries, 1);
        command->is_asking = is_asked;
        redis_fly(&cluster->nodes[number], command);
        return;
    } else if (command->tries == 0) {
        command->last = "its node is not connected";
    }
    wait_until(cluster, command, cluster->now_ms);
}

void redis_route_waiting(struct redis_cluster *cluster) {
    if (!cluster->routes_changed && cluster->now_ms < cluster->waiting_due_ms) return;
    struct redis_commands all = cluster->waiting;
    cluster->waiting = (struct redis_commands){0};
    cluster->routes_changed = false;
    cluster->waiting_due_ms = UINT64_MAX;
    for (struct redis_command *command; (command = redis_commands_pop(&all)) != NULL;)
        if (command->due_ms > cluster->now_ms)
            wait_until(cluster, command, command->due_ms);
        else
            redis_route(cluster, command);
}

/* ---- what comes of a try ---- */

static void try_later(struct redis_cluster *cluster, struct redis_command *command) {
    if (command->tries < UINT8_MAX) command->tries++;
    command->redirects = 0;
    command->asked_node = REDIS_NO_NODE;
    command->is_asking = command->wants_text = false;
    uint64_t bound_ms = redis_pause_bound(cluster, command->tries);
    wait_until(cluster, command, cluster->now_ms + redis_pause(cluster, bound_ms));
}

static void try_now(struct redis_cluster *cluster, struct redis_command *command) {
    if (++command->redirects > REDIRECTS_MAX)
        try_later(cluster, command);
    else
        redis_route(cluster, command);
}

static void redirect(struct redis_node *from, struct redis_command *command, bool is_ask,
                     struct slice text) {
    struct redis_cluster *cluster = from->cluster;
    struct redis_redirect redirect;
    uint8_t number = REDIS_NO_NODE;
    if (redis_redirect_read(text, &from->address, &redirect))
        number = redis_nodes_find(cluster, &redirect.to);
    if (number == REDIS_NO_NODE) { /* a host's name, or no room: the next map may know better */
        redis_refresh_soon(cluster);
        try_later(cluster, command);
        return;
    }
    cluster->nodes[number].named_until_ms = cluster->now_ms + NAMED_MS;
    command->asked_node = is_ask ? number : REDIS_NO_NODE;
    command->wants_text = false;
    if (!is_ask) {
        cluster->slots_covered += cluster->node_of[redirect.slot] == REDIS_NO_NODE;
        cluster->node_of[redirect.slot] = number;
    }
    try_now(cluster, command);
}

/* The node lacks the script: sends its text, unless that is behind this command already. */
static void load(struct redis_node *node, struct redis_command *command) {
    command->wants_text = node->text != command->script || node->text_end <= command->end_offset;
    try_now(node->cluster, command);
}

static void refused(struct redis_node *node, struct redis_command *command, struct slice text) {
    struct redis_cluster *cluster = node->cluster;
    const struct redis_error_class *class = redis_error_class(text);
    enum redis_remedy remedy = class->remedy;
    counter_add(&cluster->counts.errors[class->kind], 1);
    command->last = class->word;
    if (class->may_have_run) command->may_have_run = true;
    if (class->is_map_old) redis_refresh_soon(cluster);
    if (remedy == REDIS_LOAD && command->script == NULL) remedy = REDIS_END;
    if (remedy == REDIS_LATER && class->may_have_run && !command->is_repeatable) remedy = REDIS_END;
    switch (remedy) {
    case REDIS_FOLLOW:
    case REDIS_ASK:
        redirect(node, command, remedy == REDIS_ASK, text);
        break;
    case REDIS_LOAD:
        load(node, command);
        break;
    case REDIS_LATER:
        try_later(cluster, command);
        break;
    case REDIS_END:
        redis_end(cluster, command, REDIS_REFUSED, text.p);
        break;
    }
}

void redis_on_reply(void *ctx, void *owner, const struct redisReply *reply) {
    struct redis_cluster *cluster = ctx;
    struct redis_node *node = owner;
    struct redis_command *command = node->flights.first;
    if (command == NULL) {
        node->is_confused = true;
        return;
    }
    if (command->is_asking) { /* this was the reply to ASKING */
        command->is_asking = false;
        return;
    }
    redis_commands_remove(&node->flights, command);
    command->flying_on = REDIS_NO_NODE;
    node->failures = 0;
    if (command == &cluster->refresh) {
        redis_refresh_replied(node, reply);
        return;
    }
    counter_add(&cluster->counts.replies, 1);
    if (command->on_done == NULL)
        redis_commands_push(&cluster->idle, command);
    else if (reply->type != REDIS_REPLY_ERROR)
        replied(cluster, command, reply);
    else
        refused(node, command, slice_of(reply->str, reply->len));
}

void redis_flight_lost(struct redis_cluster *cluster, struct redis_command *command, int code) {
    const bool may_have_run = command->may_have_run;
    command->last = code == -ETIMEDOUT ? "no answer in time" : "its connection was lost";
    command->flying_on = REDIS_NO_NODE;
    if (command == &cluster->refresh)
        redis_refresh_failed(cluster, command->last);
    else if (command->on_done == NULL)
        redis_commands_push(&cluster->idle, command);
    else if (may_have_run && !command->is_repeatable)
        redis_end(cluster, command, REDIS_LOST, command->last);
    else
        try_later(cluster, command);
}
