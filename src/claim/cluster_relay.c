/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox of an event, a stream in Redis: every reservation, in order, until it is in the log.
 * Each server looks now and then: what is old and not in the log it writes once more (twice does no
 * harm: the judge says DUP), and what leads the stream and is in the log it cuts off.
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/cluster_private.h"
#include "lib/failpoint.h"
#include "lib/logger.h"

enum {
    EVERY_MS = 1000,
    OLD_MS = 500, /* whoever reserved has had the time to write it */
    COUNT_MAX = 1000,
    COMMAND_MS = 1000,
};

static struct slice outbox_key(const struct cluster_event *event) {
    return slice_of(event->keys.text[SCRIPT_KEYS - 1], event->keys.bytes);
}

static bool command(struct cluster_event *event, const struct slice *words, size_t count,
                    void (*on_done)(void *ctx, const struct redis_result *result)) {
    struct cluster *cluster = event->cluster;
    const struct redis_request request = {
        .key = script_key(&event->keys),
        .words = words,
        .words_count = count,
        .deadline_ms = cluster_now_redis_ms(cluster) + COMMAND_MS,
        .is_repeatable = true,
        .on_done = on_done,
        .ctx = event,
    };
    return redis_cluster_send(cluster->redis, &request, cluster_now_redis_ms(cluster)) == 0;
}

static void on_trimmed(void *ctx, const struct redis_result *result) {
    (void)ctx;
    (void)result; /* if it was not cut, the next look cuts it */
}

/* Cuts off everything up to the entry `id`, which is "gen-seq". */
static void trim(struct cluster_event *event, const char *id) {
    char behind[48];
    uint64_t gen, seq;
    if (sscanf(id, "%" SCNu64 "-%" SCNu64, &gen, &seq) != 2) return;
    int n = snprintf(behind, sizeof behind, "%" PRIu64 "-%" PRIu64, gen, seq + 1);
    const struct slice words[] = {SLICE("XTRIM"), outbox_key(event), SLICE("MINID"),
                                  slice_of(behind, (size_t)n)};
    (void)command(event, words, ARRAY_LEN(words), on_trimmed);
}

/* One entry: {id, {"u", user, "r", rec}}. */
struct entry {
    const char *id;
    struct slice user_id;
    struct script_reservation reservation;
};

static bool is_text(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_STRING;
}

static bool read_entry(const struct redisReply *reply, struct entry *entry) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !is_text(reply->element[0]))
        return false;
    const struct redisReply *fields = reply->element[1];
    if (fields->type != REDIS_REPLY_ARRAY || fields->elements != 4) return false;
    for (size_t i = 0; i < fields->elements; i++)
        if (!is_text(fields->element[i])) return false;
    entry->id = reply->element[0]->str;
    entry->user_id = slice_of(fields->element[1]->str, fields->element[1]->len);
    return user_id_is_valid(entry->user_id) &&
           script_reservation_read(slice_of(fields->element[3]->str, fields->element[3]->len),
                                   &entry->reservation);
}

/* In the log, or of an incarnation that the log has closed. */
static bool is_settled(const struct cluster_event *event, const struct entry *entry) {
    const struct judge *judge = cluster_judge(event->cluster, event->number);
    struct coupon coupon;
    return entry->reservation.gen < judge_state(judge)->gen ||
           judge_lookup(judge, entry->user_id, &coupon) != HOLDING_NONE;
}

static void note_nonsense(const struct cluster_event *event) {
    static struct logger_limit limit;
    const struct slice id = view_at(event->cluster->view, event->number)->id;
    logger_line_limited(&limit, LOG_WARN, "cluster",
                        "event=no_outbox_entry event_id=%.*s hint=\"somebody else has written into "
                        "coupon:{%.*s}:o; remove that entry\"",
                        (int)id.n, id.p, (int)id.n, id.p);
}

static void on_entries(void *ctx, const struct redis_result *result) {
    struct cluster_event *event = ctx;
    struct cluster *cluster = event->cluster;
    event->is_relaying = false;
    if (result->end != REDIS_REPLIED || result->reply->type != REDIS_REPLY_ARRAY || cluster->failed)
        return;
    const struct judge_state *state = judge_state(cluster_judge(cluster, event->number));
    const char *settled = NULL;
    bool is_prefix = true;
    if (result->reply->elements == 0) {
        event->empty_gen = state->gen;
        event->empty_ns = cluster->now_ns;
    }
    for (size_t i = 0; i < result->reply->elements; i++) {
        struct entry entry;
        if (!read_entry(result->reply->element[i], &entry)) {
            note_nonsense(event);
            is_prefix = false;
            continue;
        }
        if (is_settled(event, &entry)) {
            if (is_prefix) settled = entry.id;
            continue;
        }
        is_prefix = false;
        if (cluster->now_ms - entry.reservation.ms < OLD_MS) continue;
        FAILPOINT("cluster_relaying");
        if (!cluster_publish(cluster, event->number, entry.user_id, &entry.reservation)) break;
        counter_add(&cluster->counts.relayed, 1);
    }
    if (settled != NULL) trim(event, settled);
}

/* Nothing can be reserved of this incarnation any more, or not yet, by any clock. */
static bool reserves_nothing(const struct judge_state *state, int64_t now_ms) {
    return state->closed || state->paused || state->taken == state->stock ||
           now_ms + CLUSTER_CLOCKS_MS < state->starts_ms ||
           now_ms - CLUSTER_CLOCKS_MS >= state->ends_ms;
}

bool event_is_quiet(const struct cluster_event *event) {
    const struct cluster *cluster = event->cluster;
    const struct judge_state *state = judge_state(cluster_judge(cluster, event->number));
    return event->empty_gen == state->gen && reserves_nothing(state, cluster->now_ms);
}

void relay_turn(struct cluster_event *event) {
    struct cluster *cluster = event->cluster;
    if (event->phase != EVENT_READY || event->is_relaying || cluster->now_ns < event->relay_ns ||
        event_is_quiet(event))
        return;
    /* Behind the log, everything would look as if it were not in there. */
    if (!cluster_tail_is_younger(cluster, CLUSTER_CURRENT_MS)) return;
    event->relay_ns =
        cluster->now_ns + (EVERY_MS / 2 + cluster_dice(cluster, EVERY_MS)) * NS_PER_MS;
    char count[8];
    int n = snprintf(count, sizeof count, "%d", COUNT_MAX);
    const struct slice words[] = {SLICE("XRANGE"), outbox_key(event), SLICE("-"),
                                  SLICE("+"),      SLICE("COUNT"),    slice_of(count, (size_t)n)};
    event->is_relaying = command(event, words, ARRAY_LEN(words), on_entries);
}
