/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/log_plan.h"

#include <stdlib.h>

#include "claim/log_plan_private.h"

enum { RESERVE_OPEN = 1, RESERVE_PAUSED = 2, RESERVE_CLOSED = 3, GEN_MAX = 1000000 };

struct log_plan *log_plan_new(const struct code_keys *keys, const struct hash_key *hash_key) {
    struct log_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return NULL;
    plan->keys = keys;
    texts_init(&plan->texts, hash_key);
    (void)texts_number(&plan->texts, slice_of("", 0)); /* number 0 is no text */
    plan->view = view_new(hash_key);
    if (plan->view != NULL) return plan;
    log_plan_free(plan);
    return NULL;
}

void log_plan_free(struct log_plan *plan) {
    if (plan == NULL) return;
    view_free(plan->view);
    texts_deinit(&plan->texts);
    pairs_deinit(&plan->events_by_id);
    pairs_deinit(&plan->holders);
    pairs_deinit(&plan->returned);
    for (uint32_t n = 0; n < plan->events_count; n++) coupon_deriver_free(plan->events[n].deriver);
    free(plan->events);
    free(plan->steps);
    free(plan->bytes);
    free(plan->spans);
    free(plan);
}

/* ---- Room ---- */

void *log_plan_room(void *all, size_t count, size_t *max, size_t size) {
    if (count < *max) return all;
    size_t more = *max == 0 ? 64 : *max * 2;
    void *grown = reallocarray(all, more, size);
    if (grown != NULL) *max = more;
    return grown;
}

/* The event of this id, made when it is new. NULL: no memory. */
static struct planned_event *event_of(struct log_plan *plan, struct slice id, uint32_t *number) {
    uint32_t text = texts_number(&plan->texts, id);
    uint32_t found = pairs_get(&plan->events_by_id, text, 0);
    if (found == PAIR_UNKNOWN) {
        size_t max = plan->events_max;
        void *grown = log_plan_room(plan->events, plan->events_count, &max, sizeof *plan->events);
        if (grown == NULL) {
            plan->failed = true;
            return NULL;
        }
        plan->events = grown;
        plan->events_max = (uint32_t)max;
        found = plan->events_count++;
        plan->events[found] = (struct planned_event){.id = text, .latest_ms = -1};
        pairs_set(&plan->events_by_id, text, 0, found);
    }
    *number = found;
    return &plan->events[found];
}

/* A new step at the end; NULL: no memory. */
static struct step *add_step(struct log_plan *plan, const struct step *step) {
    void *grown = log_plan_room(plan->steps, plan->steps_count, &plan->steps_max, sizeof *step);
    if (grown == NULL) {
        plan->failed = true;
        return NULL;
    }
    plan->steps = grown;
    plan->steps[plan->steps_count] = *step;
    return &plan->steps[plan->steps_count++];
}

static void add_win(struct log_plan *plan, const struct step *step) {
    if (add_step(plan, step) != NULL)
        pairs_set(&plan->holders, step->event, step->user, (uint32_t)plan->steps_count - 1);
}

/* ---- The copy ---- */

static void take_event(struct log_plan *plan, struct planned_event *event, uint32_t number,
                       const struct copy_row *row) {
    event->is_in_copy = event->is_known = true;
    event->state = slice_eq(row->state, SLICE("closed"))   ? DECIDED_CLOSED
                   : slice_eq(row->state, SLICE("paused")) ? DECIDED_PAUSED
                                                           : DECIDED_OPEN;
    event->total = (uint32_t)row->total;
    event->gen = (uint32_t)row->gen;
    event->starts_ms = row->start_ms == DECISION_NO_TIME ? TIME_MS_MIN : row->start_ms;
    event->ends_ms = row->end_ms == DECISION_NO_TIME ? TIME_MS_MAX : row->end_ms;
    event->open_seq = (uint64_t)row->open_seq;
    (void)add_step(
        plan, &(struct step){
                  .rank = OF_COPY, .kind = STEP_OPEN, .event = number, .seq = event->open_seq});
}

static void take_issued(struct log_plan *plan, uint32_t event, const struct copy_row *row) {
    const struct step win = {.rank = OF_COPY,
                             .kind = STEP_WIN,
                             .seq = (uint64_t)row->log_seq,
                             .event = event,
                             .user = texts_number(&plan->texts, row->user_id),
                             .claim = texts_number(&plan->texts, row->claim_id),
                             .code = texts_number(&plan->texts, row->code),
                             .serial = (uint32_t)row->serial,
                             .round = (uint32_t)row->round,
                             .gen = (uint32_t)row->gen,
                             .ms = row->claimed_ms};
    plan->counts.copied++;
    add_win(plan, &win);
    if (row->kind != ROW_RETURNED) return;
    struct step back = win;
    back.kind = STEP_RETURN;
    back.seq = (uint64_t)row->returned_seq;
    back.ms = row->returned_ms;
    back.operator= texts_number(&plan->texts, row->operator);
    back.reason = texts_number(&plan->texts, row->reason);
    pairs_set(&plan->returned, event, win.user, 1);
    (void)add_step(plan, &back);
}

void log_plan_row(void *ctx, const struct copy_row *row) {
    struct log_plan *plan = ctx;
    uint32_t number;
    if (row->kind == ROW_DEAD_LETTER) plan->counts.dead_letters++;
    if (row->kind == ROW_DEAD_LETTER || row->kind == ROW_COUPON) return;
    struct planned_event *event = event_of(plan, row->event_id, &number);
    if (event == NULL) return;
    if (row->kind == ROW_EVENT)
        take_event(plan, event, number, row);
    else
        take_issued(plan, number, row);
}

bool log_plan_event(const struct log_plan *plan, uint32_t n, struct slice *event_id) {
    if (n >= plan->events_count) return false;
    *event_id = log_plan_text(plan, plan->events[n].id);
    return true;
}

/* ---- Audits ---- */

/* What the copy has already says no more. Another serial of the same user is left for the judge to
 * refuse. */
void log_plan_told(struct log_plan *plan, struct slice event_id, struct slice user_id,
                   uint32_t serial, uint64_t seq) {
    uint32_t number;
    if (event_of(plan, event_id, &number) == NULL) return;
    uint32_t user = texts_number(&plan->texts, user_id);
    uint32_t known = pairs_get(&plan->holders, number, user);
    if (known != PAIR_UNKNOWN && plan->steps[known].serial == serial) {
        struct step *step = &plan->steps[known];
        if (step->rank == OF_AUDIT && seq < step->seq) step->seq = seq;
        return;
    }
    plan->counts.told++;
    add_win(plan, &(struct step){.rank = OF_AUDIT,
                                 .kind = STEP_WIN,
                                 .seq = seq,
                                 .event = number,
                                 .user = user,
                                 .serial = serial,
                                 .ms = -1});
}

/* ---- Redis ---- */

/* Behind the copy it has what the log refused by a later FENCE, and lacks what the copy has. Ahead
 * of it, what it says of the event is newer. */
static void on_state(void *ctx, const struct reserve_state *state) {
    struct log_plan_reserve *reserve = ctx;
    struct planned_event *event = &reserve->plan->events[reserve->event];
    if (!state->is_there || !state->is_readable || state->gen < 1 || state->gen > GEN_MAX ||
        state->stock < 1 || state->stock > STOCK_MAX)
        return;
    event->reserve_gen = (uint32_t)state->gen;
    reserve->counts = event->reserve_gen >= event->gen;
    if (event->is_in_copy && event->reserve_gen <= event->gen) return;
    event->is_known = true;
    event->total = (uint32_t)state->stock;
    event->state = state->status == RESERVE_CLOSED   ? DECIDED_CLOSED
                   : state->status == RESERVE_PAUSED ? DECIDED_PAUSED
                                                     : DECIDED_OPEN;
    event->starts_ms = state->starts_ms == DECISION_NO_TIME ? TIME_MS_MIN : state->starts_ms;
    event->ends_ms = state->ends_ms == DECISION_NO_TIME ? TIME_MS_MAX : state->ends_ms;
}

/* The user gave a coupon back: the copy knows, or knows the coupon, or an audit does, or nobody. */
static void on_given_back(struct log_plan *plan, uint32_t event, uint32_t user) {
    uint32_t known = pairs_get(&plan->holders, event, user);
    if (pairs_get(&plan->returned, event, user) != PAIR_UNKNOWN) return;
    if (known == PAIR_UNKNOWN) {
        plan->counts.unknown_returns++;
        return;
    }
    pairs_set(&plan->returned, event, user, 2);
    struct step *win = &plan->steps[known];
    if (win->rank != OF_COPY) {
        win->gave_back = true;
        return;
    }
    struct step back = *win;
    back.rank = RETURNED_BY_REDIS;
    back.kind = STEP_RETURN;
    back.ms = -1;
    back.operator= texts_number(&plan->texts, SLICE(LOG_PLAN_OPERATOR));
    back.reason = texts_number(&plan->texts, SLICE("Redis knew it, the database did not yet"));
    (void)add_step(plan, &back);
}

static void on_holder(void *ctx, const struct reserve_holder *holder) {
    struct log_plan_reserve *reserve = ctx;
    struct log_plan *plan = reserve->plan;
    if (!reserve->counts || !holder->is_readable) return;
    uint32_t user = texts_number(&plan->texts, holder->user_id);
    if (holder->serial == 0) {
        on_given_back(plan, reserve->event, user);
        return;
    }
    uint32_t known = pairs_get(&plan->holders, reserve->event, user);
    if (known != PAIR_UNKNOWN && plan->steps[known].serial == (uint32_t)holder->serial) {
        if (plan->steps[known].rank == OF_AUDIT) plan->steps[known].ms = holder->ms;
        return;
    }
    plan->counts.reserved++;
    add_win(plan, &(struct step){.rank = OF_REDIS,
                                 .kind = STEP_WIN,
                                 .seq = (uint64_t)holder->serial,
                                 .event = reserve->event,
                                 .user = user,
                                 .serial = (uint32_t)holder->serial,
                                 .ms = holder->ms});
}

struct reserve_sink log_plan_reserve_sink(struct log_plan_reserve *reserve, struct log_plan *plan,
                                          uint32_t event) {
    *reserve = (struct log_plan_reserve){.plan = plan, .event = event};
    return (struct reserve_sink){.ctx = reserve, .on_state = on_state, .on_holder = on_holder};
}
