/* SPDX-License-Identifier: Apache-2.0
 *
 * A claim's way in a cluster. It is a copy of the claim from a pool of fixed size, and always in
 * the ring of deadlines; besides in the queue of what its event holds, in the table of what is
 * published, or in the queue of what was decided, which is told at the end of the turn's reading.
 */
#include <errno.h>
#include <stdlib.h>

#include "claim/cluster_private.h"
#include "lib/failpoint.h"
#include "lib/logger.h"

enum {
    /* Of a claim's time, what is kept for the topic: Redis has to have answered before. */
    LOG_SHARE = 3,
};

/* ---- the pool, and where they wait ---- */

void ask_queue_push(struct ask_queue *queue, struct ask *ask) {
    ask->next = NULL;
    ask->before = queue->first == NULL ? NULL : queue->last;
    if (queue->first == NULL)
        queue->first = ask;
    else
        queue->last->next = ask;
    queue->last = ask;
}

void ask_queue_remove(struct ask_queue *queue, struct ask *ask) {
    if (ask->before == NULL)
        queue->first = ask->next;
    else
        ask->before->next = ask->next;
    if (ask->next == NULL)
        queue->last = ask->before;
    else
        ask->next->before = ask->before;
}

struct ask *ask_queue_pop(struct ask_queue *queue) {
    struct ask *ask = queue->first;
    if (ask != NULL) ask_queue_remove(queue, ask);
    return ask;
}

int claims_init(struct cluster *cluster) {
    uint32_t count = cluster->options.claims_max, buckets = 64;
    while (buckets < count) buckets *= 2;
    cluster->asks = calloc(count, sizeof *cluster->asks);
    cluster->published = calloc(buckets, sizeof(struct ask *));
    cluster->published_mask = buckets - 1;
    cluster->oldest.older = cluster->oldest.younger = &cluster->oldest;
    return cluster->asks != NULL && cluster->published != NULL ? 0 : -ENOMEM;
}

void claims_deinit(struct cluster *cluster) {
    free(cluster->asks);
    free(cluster->published);
}

static struct ask *ask_take(struct cluster *cluster) {
    struct ask *ask = cluster->free_asks;
    if (ask != NULL)
        cluster->free_asks = ask->next;
    else if (cluster->asks_count < cluster->options.claims_max)
        ask = &cluster->asks[cluster->asks_count++];
    return ask;
}

static void finish(struct cluster *cluster, struct ask *ask, enum claim_outcome outcome) {
    cluster->sink.on_answer(cluster->sink.ctx, ask->claim.thread, ask->claim.token, outcome);
    ask->older->younger = ask->younger;
    ask->younger->older = ask->older;
    ask->next = cluster->free_asks;
    cluster->free_asks = ask;
}

/* "Not now", which is "perhaps" once something may have been reserved. */
static void finish_in_doubt(struct cluster *cluster, struct ask *ask) {
    finish(cluster, ask, ask->may_be_reserved ? CLAIM_PENDING : CLAIM_UNAVAILABLE);
}

static struct ask **bucket_of(const struct cluster *cluster, uint32_t event, struct slice user) {
    uint64_t hash = hash_mix(hash_slice(&cluster->options.hash_key, user), event);
    return &cluster->published[hash & cluster->published_mask];
}

static void publish_ask(struct cluster *cluster, struct ask *ask) {
    struct ask **bucket = bucket_of(cluster, ask->claim.event, claim_user_id(&ask->claim));
    ask->state = ASK_PUBLISHED;
    ask->next = *bucket;
    *bucket = ask;
    cluster->published_count++;
}

static void unpublish(struct cluster *cluster, struct ask **link) {
    *link = (*link)->next;
    cluster->published_count--;
}

/* ---- to Redis ---- */

/* Answers what the log has decided already. */
static bool answer_from_view(struct cluster *cluster, const struct claim *claim,
                             enum claim_outcome *outcome) {
    struct coupon coupon;
    enum holding holding =
        judge_lookup(cluster_judge(cluster, claim->event), claim_user_id(claim), &coupon);
    *outcome = holding == HOLDING_COUPON ? CLAIM_ALREADY_ISSUED : CLAIM_RETURNED;
    return holding != HOLDING_NONE;
}

static bool publish_reservation(struct cluster *cluster, struct ask *ask,
                                const struct script_reservation *reservation) {
    FAILPOINT("cluster_reserved");
    if (!cluster_publish(cluster, ask->claim.event, claim_user_id(&ask->claim), reservation))
        return false;
    FAILPOINT("cluster_published");
    return true;
}

/* `is_again`: the script may have run before for this very claim. */
static void on_reserved(struct cluster *cluster, struct ask *ask,
                        const struct claim_script_reply *reply, bool is_again) {
    const struct script_reservation *reservation = &reply->reservation;
    ask->may_be_reserved = true;
    ask->is_winner =
        reply->code == SCRIPT_WIN ||
        (is_again && slice_eq(reservation->claim_id, claim_claim_id(&ask->claim)));
    ask->gen = reservation->gen;
    ask->serial = reservation->serial;
    bool is_published = publish_reservation(cluster, ask, reservation);
    if (is_published && cluster_tail_is_younger(cluster, CLUSTER_PATIENT_MS))
        publish_ask(cluster, ask);
    else
        finish(cluster, ask, CLAIM_PENDING); /* without room for it the relay writes it */
}

static void hold_and_recover(struct cluster *cluster, struct ask *ask) {
    struct cluster_event *event = cluster->events[ask->claim.event];
    events_recover(event);
    events_hold(event, ask);
}

/* A no of a state that the log has left behind is none: somebody may have restocked since. True when
 * it is one, which is seen to. */
static bool is_outdated_no(struct cluster *cluster, struct ask *ask,
                           const struct claim_script_reply *reply) {
    const struct judge_state *state = judge_state(cluster_judge(cluster, ask->claim.event));
    bool is_no = reply->code == SCRIPT_SOLD_OUT || reply->code == SCRIPT_NOT_STARTED ||
                 reply->code == SCRIPT_ENDED || reply->code == SCRIPT_PAUSED;
    if (!is_no || reply->gen > state->gen) return false;
    if (reply->gen < state->gen)
        claims_go(cluster, ask); /* it was under way while a FENCE was read */
    else if (reply->ver < state->ver)
        hold_and_recover(cluster, ask); /* a control record is in the log, its FENCE is not */
    else
        return false;
    return true;
}

static void on_claim_reply(struct cluster *cluster, struct ask *ask,
                           const struct redis_result *result) {
    struct claim_script_reply read;
    claim_script_read(result->reply, &read);
    if (is_outdated_no(cluster, ask, &read)) return;
    switch (read.code) {
    case SCRIPT_WIN:
    case SCRIPT_HAVE:
        on_reserved(cluster, ask, &read, result->may_have_run_before);
        break;
    case SCRIPT_SOLD_OUT:
        finish(cluster, ask, CLAIM_SOLD_OUT);
        break;
    case SCRIPT_NOT_STARTED:
        finish(cluster, ask, CLAIM_NOT_STARTED);
        break;
    case SCRIPT_ENDED:
        finish(cluster, ask, CLAIM_ENDED);
        break;
    case SCRIPT_PAUSED:
        finish(cluster, ask, CLAIM_PAUSED);
        break;
    case SCRIPT_RETURNED:
        finish(cluster, ask, CLAIM_RETURNED);
        break;
    case SCRIPT_STALE:
    case SCRIPT_FENCED:
    case SCRIPT_NO_STATE:
    case SCRIPT_NONSENSE:
        hold_and_recover(cluster, ask);
        break;
    }
}

/* Nothing is on its way for this user as far as Redis knows, and Redis and the view are of one
 * incarnation: then nobody holds a reservation. */
static void on_query_reply(struct cluster *cluster, struct ask *ask,
                           const struct redisReply *reply) {
    uint32_t gen = judge_state(cluster_judge(cluster, ask->claim.event))->gen;
    struct query_script_reply read;
    query_script_read(reply, &read);
    if (read.is_reserved && read.reservation.gen == gen) {
        ask->may_be_reserved = true;
        ask->gen = read.reservation.gen;
        ask->serial = read.reservation.serial;
        if (publish_reservation(cluster, ask, &read.reservation))
            publish_ask(cluster, ask);
        else
            finish(cluster, ask, CLAIM_PENDING);
        return;
    }
    bool is_sure = read.gen == gen && cluster_tail_is_younger(cluster, CLUSTER_CURRENT_MS);
    finish(cluster, ask, is_sure ? CLAIM_NONE : CLAIM_UNAVAILABLE);
}

static void on_redis(void *ctx, const struct redis_result *result) {
    struct ask *ask = ctx;
    struct cluster *cluster = ask->cluster;
    if (cluster->failed) {
        finish_in_doubt(cluster, ask);
    } else if (result->end == REDIS_REPLIED) {
        if (ask->claim.kind == CLAIM_KIND_QUERY)
            on_query_reply(cluster, ask, result->reply);
        else
            on_claim_reply(cluster, ask, result);
    } else {
        static struct logger_limit limit;
        logger_line_limited(&limit, LOG_WARN, "cluster", "event=redis_does_not_answer text=\"%s\"",
                            result->error);
        if (result->may_have_run && ask->claim.kind == CLAIM_KIND_CLAIM)
            ask->may_be_reserved = true;
        finish_in_doubt(cluster, ask);
    }
}

static bool ask_redis(struct cluster *cluster, struct ask *ask) {
    struct cluster_event *event = cluster->events[ask->claim.event];
    const struct claim *claim = &ask->claim;
    struct claim_call call;
    claim_call_make(&call, &event->keys, claim_user_id(claim), claim_claim_id(claim),
                    judge_state(cluster_judge(cluster, claim->event))->gen);
    bool is_query = claim->kind == CLAIM_KIND_QUERY;
    uint64_t left_ns = ask->deadline_ns > cluster->now_ns ? ask->deadline_ns - cluster->now_ns : 0;
    uint64_t log_ns = (uint64_t)cluster->options.answer_ms * NS_PER_MS / LOG_SHARE;
    if (left_ns <= log_ns) return false;
    const struct redis_request request = {
        .key = script_key(&event->keys),
        .script = is_query ? &query_script : &claim_script,
        .words = call.words,
        .words_count = is_query ? QUERY_CALL_WORDS : CLAIM_CALL_WORDS,
        .deadline_ms = (cluster->now_ns + left_ns - log_ns) / NS_PER_MS,
        .is_repeatable = true, /* who has a reservation is told of it */
        .on_done = on_redis,
        .ctx = ask,
    };
    ask->state = ASK_ASKING;
    return redis_cluster_send(cluster->redis, &request, cluster_now_redis_ms(cluster)) == 0;
}

/* A question about somebody for whom nothing can be on its way: that nobody holds a reservation was
 * seen, and the tail has been at the end of the log since. Redis may know nothing of such an event
 * any more. */
static bool is_surely_none(const struct cluster *cluster, const struct ask *ask) {
    const struct cluster_event *event = cluster->events[ask->claim.event];
    return ask->claim.kind == CLAIM_KIND_QUERY && event_is_quiet(event) &&
           counter_read(&cluster->counts.confirmed_ns) > event->empty_ns &&
           cluster_tail_is_younger(cluster, CLUSTER_CURRENT_MS);
}

/* From the start, or once more. */
void claims_go(struct cluster *cluster, struct ask *ask) {
    enum claim_outcome outcome;
    struct cluster_event *event = cluster->events[ask->claim.event];
    if (answer_from_view(cluster, &ask->claim, &outcome))
        finish(cluster, ask, outcome);
    else if (is_surely_none(cluster, ask))
        finish(cluster, ask, CLAIM_NONE);
    else if (event->phase != EVENT_READY)
        events_hold(event, ask);
    else if (cluster->published_count >= cluster->options.winners_max || !ask_redis(cluster, ask))
        finish_in_doubt(cluster, ask);
}

void claims_take(struct cluster *cluster, const struct claim *claim) {
    enum claim_outcome outcome = CLAIM_UNAVAILABLE;
    struct ask *ask = NULL;
    if (!answer_from_view(cluster, claim, &outcome)) {
        outcome = CLAIM_UNAVAILABLE;
        ask = cluster->failed ? NULL : ask_take(cluster);
    }
    if (ask == NULL) {
        cluster->sink.on_answer(cluster->sink.ctx, claim->thread, claim->token, outcome);
        return;
    }
    *ask = (struct ask){
        .cluster = cluster,
        .claim = *claim,
        .deadline_ns = cluster->now_ns + (uint64_t)cluster->options.answer_ms * NS_PER_MS,
        .older = cluster->oldest.older,
        .younger = &cluster->oldest,
    };
    ask->older->younger = ask;
    cluster->oldest.older = ask;
    claims_go(cluster, ask);
}

/* ---- back by the tail ---- */

/* The log has decided this user's record: whoever waits for it is told at the end of the reading. A
 * refusal decides only for whoever had that very reservation. One of the running incarnation says
 * that Redis and log do not agree, whoever waits: the relay would write it for ever. */
void claims_on_win(struct cluster *cluster, const struct record *win, enum verdict verdict) {
    const struct event *event = view_find(cluster->view, win->event_id);
    if (event == NULL) return;
    if (verdict == VERDICT_VOID_SERIAL || verdict == VERDICT_VOID_USER ||
        verdict == VERDICT_VOID_TIME)
        events_recover(cluster->events[event->number]);
    bool is_good = verdict == VERDICT_VALID || verdict == VERDICT_DUP;
    struct ask **link = bucket_of(cluster, event->number, win->win.user_id);
    while (*link != NULL) {
        struct ask *ask = *link;
        bool is_same = ask->claim.event == event->number &&
                       slice_eq(claim_user_id(&ask->claim), win->win.user_id) &&
                       (is_good || (ask->gen == win->win.gen && ask->serial == win->win.serial));
        if (!is_same) {
            link = &ask->next;
            continue;
        }
        unpublish(cluster, link);
        ask->state = ASK_DECIDED;
        ask->verdict = verdict;
        ask_queue_push(&cluster->decided, ask);
    }
}

/* The judge's word, not what was hoped for (I3). */
static void tell(struct cluster *cluster, struct ask *ask) {
    struct coupon coupon;
    switch (judge_lookup(cluster_judge(cluster, ask->claim.event), claim_user_id(&ask->claim),
                         &coupon)) {
    case HOLDING_COUPON:
        finish(cluster, ask,
               ask->is_winner && coupon.serial == ask->serial ? CLAIM_ISSUED
                                                              : CLAIM_ALREADY_ISSUED);
        return;
    case HOLDING_RETURNED:
        finish(cluster, ask, CLAIM_RETURNED);
        return;
    case HOLDING_NONE:
        break;
    }
    /* Its reservation is worth nothing. One of an older incarnation is simply gone; any other
     * refusal says that Redis and log do not agree, and until that is put right it may come again. */
    counter_add(&cluster->counts.claims_again, 1);
    if (ask->verdict == VERDICT_VOID_GEN) {
        ask->may_be_reserved = false;
        claims_go(cluster, ask);
    } else {
        hold_and_recover(cluster, ask);
    }
}

void claims_tell(struct cluster *cluster) {
    struct ask_queue decided = cluster->decided;
    cluster->decided.first = NULL;
    for (struct ask *ask; (ask = ask_queue_pop(&decided)) != NULL;) tell(cluster, ask);
}

/* ---- time ---- */

static void take_out(struct cluster *cluster, struct ask *ask) {
    if (ask->state == ASK_PUBLISHED) {
        struct ask **link = bucket_of(cluster, ask->claim.event, claim_user_id(&ask->claim));
        while (*link != ask) link = &(*link)->next;
        unpublish(cluster, link);
        return;
    }
    ask_queue_remove(&cluster->events[ask->claim.event]->held, ask);
}

/* Redis' own deadlines come earlier: what is with Redis comes back by itself. */
void claims_turn(struct cluster *cluster) {
    for (struct ask *ask = cluster->oldest.younger, *next; ask != &cluster->oldest; ask = next) {
        next = ask->younger;
        if (ask->deadline_ns > cluster->now_ns) break;
        if (ask->state == ASK_ASKING || ask->state == ASK_DECIDED) continue;
        take_out(cluster, ask);
        finish_in_doubt(cluster, ask);
    }
}

/* The log cannot be followed any more: everybody who is not with Redis hears what is known. */
void claims_fail(struct cluster *cluster) {
    for (struct ask *ask = cluster->oldest.younger, *next; ask != &cluster->oldest; ask = next) {
        next = ask->younger;
        if (ask->state == ASK_ASKING) continue;
        if (ask->state != ASK_DECIDED) take_out(cluster, ask);
        finish_in_doubt(cluster, ask);
    }
    cluster->decided.first = NULL;
}
