/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that are over leave Redis: once all that was reserved is in the log, and whoever records
 * it has come as far, their keys get an end. Everything about them is answered from the view,
 * before and after. Whatever opens such an event again is a control record, whose FENCE and install
 * bring the keys back.
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>

#include "claim/cluster_private.h"
#include "claim/settings_watch.h"

enum { COMMAND_MS = 1000, AGAIN_MS = 1000 };

static bool is_over(const struct judge_state *state, int64_t now_ms) {
    return state->closed || now_ms - CLUSTER_CLOCKS_MS >= state->ends_ms;
}

/* Done, or there is nothing left that could be. */
static bool is_done(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_INTEGER &&
           reply->element[1]->type == REDIS_REPLY_INTEGER &&
           (reply->element[0]->integer == 1 || reply->element[1]->integer == 0);
}

static void on_archived(void *ctx, const struct redis_result *result) {
    struct cluster_event *event = ctx;
    struct cluster *cluster = event->cluster;
    event->is_archiving = false;
    if (cluster->failed || result->end != REDIS_REPLIED || !is_done(result->reply)) return;
    if (result->reply->element[0]->integer == 1) counter_add(&cluster->counts.archived, 1);
    event->archived_gen = event->archiving_gen;
}

/* Until then Redis has what the database has not, should the log be lost. An answer from before it
 * was over may be of a time when there were no consumers yet. */
static bool is_consumed(struct cluster_event *event, uint32_t gen) {
    const struct cluster *cluster = event->cluster;
    const struct consumed *consumed = cluster->options.consumed;
    if (consumed == NULL) return true;
    if (event->over_gen != gen) {
        event->over_gen = gen;
        event->over_seq = view_offset(cluster->view);
        event->over_ns = cluster->now_ns;
    }
    return atomic_load(&consumed->asked_ns) > event->over_ns &&
           atomic_load(&consumed->seq) >= event->over_seq;
}

void archive_turn(struct cluster_event *event) {
    struct cluster *cluster = event->cluster;
    const struct judge_state *state = judge_state(cluster_judge(cluster, event->number));
    if (cluster->options.archive_s == 0 || event->is_archiving ||
        event->archived_gen == state->gen || cluster->now_ns < event->archive_ns ||
        !is_over(state, cluster->now_ms) || !event_is_quiet(event) ||
        !is_consumed(event, state->gen))
        return;
    event->archive_ns =
        cluster->now_ns + (AGAIN_MS / 2 + cluster_dice(cluster, AGAIN_MS)) * NS_PER_MS;
    event->archiving_gen = state->gen;
    char gen[16], seconds[24];
    int gen_bytes = snprintf(gen, sizeof gen, "%" PRIu32, state->gen);
    int seconds_bytes = snprintf(seconds, sizeof seconds, "%" PRIu64, cluster->options.archive_s);
    struct slice words[1 + SCRIPT_KEYS + 2] = {SLICE("4")};
    for (int i = 0; i < SCRIPT_KEYS; i++)
        words[1 + i] = slice_of(event->keys.text[i], event->keys.bytes);
    words[1 + SCRIPT_KEYS] = slice_of(gen, (size_t)gen_bytes);
    words[2 + SCRIPT_KEYS] = slice_of(seconds, (size_t)seconds_bytes);
    const struct redis_request request = {
        .key = script_key(&event->keys),
        .script = &archive_script,
        .words = words,
        .words_count = ARRAY_LEN(words),
        .deadline_ms = cluster_now_redis_ms(cluster) + COMMAND_MS,
        .is_repeatable = true,
        .on_done = on_archived,
        .ctx = event,
    };
    event->is_archiving =
        redis_cluster_send(cluster->redis, &request, cluster_now_redis_ms(cluster)) == 0;
}
