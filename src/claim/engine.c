/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine: a claim's way from its arrival to its answer.
 *
 *     engine_claim --> the view knows? --> answer
 *          |
 *       arrived  (first in, first out; a full batch holds it back)
 *          |
 *        decide --> its event has a control record on its way? --> held, until every view has it
 *          |
 *       reserve --> lost, and nothing is on its way --> answer
 *          |
 *      open batch --> flying batch --> log --> view (the judge) --> answer
 *
 * Two batches: one collects while the other is with the log. Whoever has to wait for a win waits
 * in the batch of the youngest win of that event, so that answers of one batch come in the order
 * of arrival, and a loser of one event never waits for another.
 */
#include "claim/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "claim/batch.h"
#include "claim/control.h"
#include "claim/waiting.h"
#include "lib/failpoint.h"
#include "lib/logger.h"

/* Room of the log that is not counted on: for what the log itself writes beside our records. */
enum { ROOM_SPARE_BYTES = 4 * RECORD_BYTES_MAX };

/* Why the claims of an event are held. */
enum hold {
    HOLD_NOT,
    HOLD_DECIDING, /* a control record is on its way */
    HOLD_UNSEEN,   /* it is decided; not every view has it */
};

struct engine_event {
    uint32_t reserved;   /* WINs in a batch, not yet back from the log */
    uint32_t asking;     /* claims that the reserve has not answered */
    uint64_t batch_last; /* number of the batch with its youngest WIN */
    enum hold hold;
    uint64_t unseen; /* token of the control record, in HOLD_UNSEEN */
};

struct engine {
    struct view *view;
    struct reserve *reserve;
    struct log *log;
    struct engine_sink sink;
    int64_t now_ms;
    int64_t boundary_ms;
    struct waiter_pool pool;
    struct waiter_queue arrived, held;
    uint32_t asking; /* of all events */
    struct batch batches[2];
    struct batch *open;
    struct batch *flying;        /* with the log, or NULL */
    struct engine_event *events; /* by number */
    uint32_t events_capacity;
    bool failed;
    bool handing_over;
    struct engine_verdicts verdicts;
};

static void log_on_records(void *ctx, struct slice records);
static void log_on_failed(void *ctx, int code);
static void reserve_on_reply(void *ctx, const struct claim *claim,
                             const struct reserve_reply *reply);
static void hand_over(struct engine *engine);

/* ---- Answers ---- */

static void answer(struct engine *engine, const struct claim *claim, enum claim_outcome outcome) {
    engine->sink.on_answer(engine->sink.ctx, claim->thread, claim->token, outcome);
}

static void finish(struct engine *engine, struct waiter *waiter, enum claim_outcome outcome) {
    answer(engine, &waiter->claim, outcome);
    waiter_give(&engine->pool, waiter);
}

static void finish_all(struct engine *engine, struct waiter_queue *queue,
                       enum claim_outcome outcome) {
    for (struct waiter *waiter; (waiter = waiter_pop(queue)) != NULL;)
        finish(engine, waiter, outcome);
}

static struct judge *judge_of(const struct engine *engine, const struct claim *claim) {
    struct event *event = view_at(engine->view, claim->event);
    ASSERT(event != NULL);
    return event->judge;
}

/* Answers what the log has decided already. */
static bool answer_from_view(struct engine *engine, const struct claim *claim) {
    struct coupon coupon;
    switch (judge_lookup(judge_of(engine, claim), claim_user_id(claim), &coupon)) {
    case HOLDING_COUPON:
        answer(engine, claim, CLAIM_ALREADY_ISSUED);
        return true;
    case HOLDING_RETURNED:
        answer(engine, claim, CLAIM_RETURNED);
        return true;
    case HOLDING_NONE:
        break;
    }
    return false;
}

/* What a claim is told whose batch has come back: the judge's word, not what it hoped for (I3). */
static enum claim_outcome outcome_of(const struct engine *engine, const struct waiter *waiter) {
    if (waiter->hope == CLAIM_SOLD_OUT) return CLAIM_SOLD_OUT;
    struct coupon coupon;
    const struct claim *claim = &waiter->claim;
    switch (judge_lookup(judge_of(engine, claim), claim_user_id(claim), &coupon)) {
    case HOLDING_COUPON:
        return waiter->hope == CLAIM_ISSUED && coupon.serial == waiter->serial
                   ? CLAIM_ISSUED
                   : CLAIM_ALREADY_ISSUED;
    case HOLDING_RETURNED:
        return CLAIM_RETURNED;
    case HOLDING_NONE:
        break;
    }
    return CLAIM_UNAVAILABLE; /* the judge refused the win; nothing is reserved any more */
}

/* ---- Time ---- */

static void find_boundary(struct engine *engine) {
    engine->boundary_ms = TIME_MS_MAX;
    for (uint32_t i = 0; i < view_events_count(engine->view); i++) {
        const struct judge_state *state = judge_state(view_at(engine->view, i)->judge);
        const int64_t instants[] = {state->starts_ms, state->ends_ms};
        for (size_t k = 0; k < ARRAY_LEN(instants) && !state->closed; k++)
            if (instants[k] > engine->now_ms && instants[k] < engine->boundary_ms)
                engine->boundary_ms = instants[k];
    }
}

int64_t engine_next_boundary_ms(const struct engine *engine) {
    return engine->boundary_ms;
}

const struct view *engine_view(const struct engine *engine) {
    return engine->view;
}

uint64_t engine_offset(const struct engine *engine) {
    return view_offset(engine->view);
}

const struct engine_verdicts *engine_verdicts(const struct engine *engine) {
    return &engine->verdicts;
}

int64_t engine_begin(struct engine *engine, int64_t wall_ms) {
    int64_t latest_ms = view_latest_ms(engine->view);
    if (engine->now_ms < wall_ms) engine->now_ms = wall_ms;
    if (engine->now_ms < latest_ms) engine->now_ms = latest_ms;
    if (engine->now_ms >= engine->boundary_ms) find_boundary(engine);
    return engine->now_ms;
}

int64_t engine_told_ms(const struct engine *engine) {
    int64_t ends_ms = engine->open->ends_ms_min;
    if (engine->flying != NULL && engine->flying->ends_ms_min < ends_ms)
        ends_ms = engine->flying->ends_ms_min;
    return engine->now_ms < ends_ms ? engine->now_ms : ends_ms - 1;
}

/* ---- Claims ---- */

/* True when one more record is sure to find room in the log, behind everything that is promised. */
static bool log_has_room(const struct engine *engine) {
    uint64_t promised =
        engine->open->bytes + ((uint64_t)engine->asking + 1) * RECORD_BYTES_MAX + ROOM_SPARE_BYTES;
    if (engine->flying != NULL) promised += engine->flying->bytes;
    return engine->log->ops->room_bytes(engine->log) >= promised;
}

static void waiter_decide(struct engine *engine, struct waiter *waiter) {
    struct claim *claim = &waiter->claim;
    if (engine->events[claim->event].hold != HOLD_NOT) {
        waiter_push(&engine->held, waiter);
        return;
    }
    if (answer_from_view(engine, claim)) {
        waiter_give(&engine->pool, waiter);
        return;
    }
    if (claim->kind == CLAIM_KIND_CLAIM && !log_has_room(engine)) {
        /* Nothing may be reserved; but who has a win on its way shall hear of it. */
        claim->kind = CLAIM_KIND_QUERY;
        waiter->short_of_room = true;
    }
    engine->asking++;
    engine->events[claim->event].asking++;
    engine->reserve->ops->claim(engine->reserve, claim, engine->now_ms);
}

/* True when the open batch can take whatever the next claim may need, having been handed over if
 * that helps. */
static bool open_has_place(struct engine *engine) {
    if (batch_has_place(engine->open, engine->asking + 1)) return true;
    hand_over(engine);
    return batch_has_place(engine->open, engine->asking + 1);
}

static void decide_arrived(struct engine *engine) {
    while (engine->arrived.first != NULL && open_has_place(engine)) {
        struct waiter *waiter = waiter_pop(&engine->arrived);
        if (waiter == NULL) return; /* handing over came back with a decision, or a failure */
        waiter_decide(engine, waiter);
    }
}

void engine_claim(struct engine *engine, const struct claim *claim) {
    if (answer_from_view(engine, claim)) return;
    struct waiter *waiter = engine->failed ? NULL : waiter_take(&engine->pool, claim);
    if (waiter == NULL) {
        answer(engine, claim, CLAIM_UNAVAILABLE);
        return;
    }
    waiter_push(&engine->arrived, waiter);
    decide_arrived(engine);
}

/* ---- Replies of the reserve ---- */

static void win_append(struct engine *engine, struct waiter *waiter,
                       const struct reserve_reply *reply) {
    const struct claim *claim = &waiter->claim;
    const struct record win = {
        .type = RECORD_WIN,
        .ms = reply->ms,
        .event_id = view_at(engine->view, claim->event)->id,
        .win = {.gen = reply->gen,
                .serial = reply->serial,
                .reserve_seq = reply->reserve_seq,
                .user_id = claim_user_id(claim),
                .claim_id = claim_claim_id(claim)},
    };
    batch_add_win(engine->open, &win, judge_state(judge_of(engine, claim))->ends_ms);
    engine->events[claim->event].reserved++;
    engine->events[claim->event].batch_last = engine->open->number;
    waiter->hope = CLAIM_ISSUED;
    waiter->serial = reply->serial;
    FAILPOINT("after_reserve");
    waiter_push(&engine->open->waiting, waiter);
}

/* Lets `waiter` wait until the youngest win of its event has come back; answers `otherwise` at once
 * when none is on its way. */
static void wait_for_wins(struct engine *engine, struct waiter *waiter, enum claim_outcome hope,
                          enum claim_outcome otherwise) {
    const struct engine_event *state = &engine->events[waiter->claim.event];
    if (state->reserved == 0) {
        finish(engine, waiter, otherwise);
        return;
    }
    waiter->hope = hope;
    struct batch *batch = engine->open;
    if (state->batch_last != batch->number) batch = engine->flying;
    ASSERT(batch != NULL && batch->number == state->batch_last);
    waiter_push(&batch->waiting, waiter);
}

static void reserve_on_reply(void *ctx, const struct claim *claim,
                             const struct reserve_reply *reply) {
    struct engine *engine = ctx;
    struct waiter *waiter = CONTAINER_OF(claim, struct waiter, claim);
    engine->asking--;
    engine->events[claim->event].asking--;
    if (engine->failed) {
        finish(engine, waiter, CLAIM_UNAVAILABLE); /* a reservation dies with the process */
        return;
    }
    switch (reply->code) {
    case RESERVE_WIN:
        win_append(engine, waiter, reply);
        break;
    case RESERVE_HAVE:
        wait_for_wins(engine, waiter, CLAIM_ALREADY_ISSUED, CLAIM_UNAVAILABLE);
        break;
    case RESERVE_SOLD_OUT:
        wait_for_wins(engine, waiter, CLAIM_SOLD_OUT, CLAIM_SOLD_OUT);
        break;
    case RESERVE_NOT_STARTED:
        finish(engine, waiter, CLAIM_NOT_STARTED);
        break;
    case RESERVE_ENDED:
        finish(engine, waiter, CLAIM_ENDED);
        break;
    case RESERVE_PAUSED:
        finish(engine, waiter, CLAIM_PAUSED);
        break;
    case RESERVE_NONE:
        finish(engine, waiter, waiter->short_of_room ? CLAIM_UNAVAILABLE : CLAIM_NONE);
        break;
    case RESERVE_UNAVAILABLE:
        finish(engine, waiter, CLAIM_UNAVAILABLE);
        break;
    }
}

/* ---- To the log ---- */

static bool may_hand_over(const struct engine *engine) {
    const struct log *log = engine->log;
    return !engine->failed && engine->flying == NULL && engine->open->count > 0 &&
           log->ops->is_idle(log) && engine->open->bytes <= log->ops->room_bytes(log);
}

/* A log may bring records back while it takes a batch; so nothing here is left half-done across
 * that call, and it is a loop instead of a recursion. */
static void hand_over(struct engine *engine) {
    if (engine->handing_over) return;
    engine->handing_over = true;
    while (may_hand_over(engine)) {
        struct batch *batch = engine->open;
        engine->flying = batch;
        engine->open = batch == &engine->batches[0] ? &engine->batches[1] : &engine->batches[0];
        batch_reset(engine->open, batch->number + 1);
        FAILPOINT("before_hand_over");
        engine->log->ops->append(engine->log, batch->records, batch->bytes, batch->count);
    }
    engine->handing_over = false;
}

void engine_end(struct engine *engine) {
    engine->reserve->ops->flush(engine->reserve);
    decide_arrived(engine);
    hand_over(engine);
}

/* ---- Control records ---- */

/* Room in `events` for all that are there and all that may be opened by what is on its way. */
static bool events_reserve(struct engine *engine) {
    uint32_t count = view_events_count(engine->view) + 2 * BATCH_CONTROLS_MAX + 1;
    if (count <= engine->events_capacity) return true;
    uint32_t capacity = 2 * count;
    struct engine_event *events = realloc(engine->events, capacity * sizeof *events);
    if (events == NULL) return false;
    memset(events + engine->events_capacity, 0,
           (capacity - engine->events_capacity) * sizeof *events);
    engine->events = events;
    engine->events_capacity = capacity;
    return true;
}

static bool control_is_under_way(const struct engine *engine, struct slice event_id) {
    const struct event *event = view_find(engine->view, event_id);
    if (event != NULL) return engine->events[event->number].hold != HOLD_NOT;
    return batch_controls_event(engine->open, event_id) ||
           (engine->flying != NULL && batch_controls_event(engine->flying, event_id));
}

/* CONTROL_DONE when it may be written now. */
static enum control_outcome control_may_be_written(struct engine *engine,
                                                   const struct record *record) {
    if (engine->failed) return CONTROL_UNAVAILABLE;
    enum control_outcome outcome = control_check(engine->view, record);
    if (outcome != CONTROL_DONE) return outcome;
    if (control_is_under_way(engine, record->event_id)) return CONTROL_UNAVAILABLE;
    if (record->type == RECORD_OPEN && !engine->log->ops->has_reserve(engine->log))
        return CONTROL_NO_SPACE;
    if (engine->open->controls_count == BATCH_CONTROLS_MAX) hand_over(engine);
    const struct event *event = view_find(engine->view, record->event_id);
    if (engine->open->controls_count == BATCH_CONTROLS_MAX || !log_has_room(engine) ||
        !events_reserve(engine) || (event != NULL && engine->events[event->number].asking > 0))
        return CONTROL_UNAVAILABLE;
    return CONTROL_DONE;
}

void engine_control(struct engine *engine, const struct record *record, uint64_t token) {
    ASSERT(record->type != RECORD_WIN && record->type != RECORD_MARK &&
           record->type != RECORD_SEGMENT);
    struct record written = *record;
    written.ms = engine->now_ms;
    enum control_outcome outcome = control_may_be_written(engine, &written);
    if (outcome == CONTROL_DONE && !batch_add_control(engine->open, &written, token))
        outcome = CONTROL_REFUSED;
    if (outcome != CONTROL_DONE) {
        engine->sink.on_control(engine->sink.ctx, token, outcome);
        return;
    }
    const struct event *event = view_find(engine->view, record->event_id);
    if (event != NULL) engine->events[event->number].hold = HOLD_DECIDING;
    FAILPOINT("control_taken");
}

/* ---- From the log ---- */

static void log_refused_win(const struct record *win, enum verdict verdict) {
    static struct logger_limit limit;
    logger_line_limited(&limit, LOG_WARN, "engine",
                        "event=win_refused verdict=%s id=%.*s serial=%u", verdict_name(verdict),
                        (int)win->event_id.n, win->event_id.p, win->win.serial);
}

static void win_settle(struct engine *engine, const struct record *win, enum verdict verdict) {
    uint32_t number = view_find(engine->view, win->event_id)->number;
    ASSERT(engine->events[number].reserved > 0);
    engine->events[number].reserved--;
    engine->reserve->ops->settled(engine->reserve, number, win->win.user_id);
    if (verdict != VERDICT_VALID && verdict != VERDICT_DUP) log_refused_win(win, verdict);
}

/* A control record takes effect: every win reserved before it is in front of it in the log. */
static int control_settle(struct engine *engine, const struct record *record,
                          enum verdict verdict) {
    struct batch *batch = engine->flying;
    ASSERT(batch->controls_decided_count < batch->controls_count);
    struct batch_control *control = &batch->controls[batch->controls_decided_count++];
    control->outcome = verdict == VERDICT_VALID ? CONTROL_DONE : CONTROL_REFUSED;
    if (verdict != VERDICT_VALID) return 0;
    const struct event *event = view_find(engine->view, record->event_id);
    ASSERT(event->number < engine->events_capacity);
    ASSERT(engine->events[event->number].reserved == 0);
    return engine->reserve->ops->install(engine->reserve, event->number, event->judge);
}

static int record_apply(struct engine *engine, const struct record *record) {
    enum verdict verdict;
    int status = view_apply(engine->view, record, &verdict);
    if (status != 0) return status;
    struct engine_verdicts *verdicts = &engine->verdicts;
    bool is_win = record->type == RECORD_WIN;
    counter_add(is_win ? &verdicts->wins[verdict] : &verdicts->controls[verdict], 1);
    if (is_win)
        win_settle(engine, record, verdict);
    else
        status = control_settle(engine, record, verdict);
    return status;
}

/* Claims whose event is not held any more go before all others. */
static void release_held(struct engine *engine) {
    struct waiter_queue held = engine->held, released = {NULL, NULL};
    engine->held.first = NULL;
    for (struct waiter *waiter; (waiter = waiter_pop(&held)) != NULL;)
        waiter_push(engine->events[waiter->claim.event].hold != HOLD_NOT ? &engine->held
                                                                         : &released,
                    waiter);
    waiter_queue_prepend(&engine->arrived, &released);
}

static void controls_answer(struct engine *engine, const struct batch *batch) {
    for (uint32_t i = 0; i < batch->controls_count; i++) {
        const struct batch_control *control = &batch->controls[i];
        struct slice id = slice_of(control->event_id, control->event_id_bytes);
        struct engine_event *state = &engine->events[view_find(engine->view, id)->number];
        state->hold = control->outcome == CONTROL_DONE ? HOLD_UNSEEN : HOLD_NOT;
        state->unseen = control->token;
        engine->sink.on_control(engine->sink.ctx, control->token, control->outcome);
    }
    if (batch->controls_count == 0) return;
    FAILPOINT("control_decided");
    find_boundary(engine);
    release_held(engine);
}

void engine_control_seen(struct engine *engine, uint64_t token) {
    if (engine->failed) return;
    uint32_t number = 0, count = view_events_count(engine->view);
    while (number < count &&
           !(engine->events[number].hold == HOLD_UNSEEN && engine->events[number].unseen == token))
        number++;
    ASSERT(number < count);
    engine->events[number].hold = HOLD_NOT;
    release_held(engine);
    decide_arrived(engine);
}

/* The whole batch is decided: tells everybody who waited for it, oldest first. */
static void batch_answer(struct engine *engine) {
    struct batch *batch = engine->flying;
    engine->flying = NULL;
    for (struct waiter *waiter; (waiter = waiter_pop(&batch->waiting)) != NULL;)
        finish(engine, waiter, outcome_of(engine, waiter));
    controls_answer(engine, batch);
    decide_arrived(engine);
}

static void log_on_records(void *ctx, struct slice records) {
    struct engine *engine = ctx;
    if (engine->failed) return;
    struct batch *batch = engine->flying;
    ASSERT(batch != NULL);
    FAILPOINT("after_sync_before_judge");
    for (struct slice rest = records; rest.n > 0; batch->decided_count++) {
        struct record record;
        size_t bytes;
        enum record_status status = record_decode(rest, &record, &bytes);
        ASSERT(status == RECORD_OK && batch->decided_count < batch->count);
        /* Without memory the view is behind its log, and ahead of those of the threads: it can
         * answer nobody, not even that their claims are pending. */
        if (record_apply(engine, &record) != 0) memory_needed(NULL);
        rest = slice_of(rest.p + bytes, rest.n - bytes);
    }
    FAILPOINT("after_judge_before_answer");
    engine->sink.on_records(engine->sink.ctx, records);
    if (batch->decided_count == batch->count) batch_answer(engine);
}

static void log_on_failed(void *ctx, int code) {
    struct engine *engine = ctx;
    if (engine->failed) return;
    engine->failed = true;
    if (engine->flying != NULL) finish_all(engine, &engine->flying->waiting, CLAIM_PENDING);
    finish_all(engine, &engine->open->waiting, CLAIM_PENDING);
    finish_all(engine, &engine->held, CLAIM_UNAVAILABLE);
    finish_all(engine, &engine->arrived, CLAIM_UNAVAILABLE);
    engine->sink.on_failed(engine->sink.ctx, code);
}

/* ---- Life ---- */

static int install_all(struct engine *engine) {
    for (uint32_t i = 0; i < view_events_count(engine->view); i++) {
        const struct judge *judge = view_at(engine->view, i)->judge;
        int status = engine->reserve->ops->install(engine->reserve, i, judge);
        if (status != 0) return status;
    }
    return 0;
}

static int engine_init(struct engine *engine, uint32_t waiting_max) {
    if (waiter_pool_init(&engine->pool, waiting_max) != 0 || batch_init(&engine->batches[0]) != 0 ||
        batch_init(&engine->batches[1]) != 0 || !events_reserve(engine))
        return -ENOMEM;
    engine->open = &engine->batches[0];
    batch_reset(engine->open, 1);
    engine->now_ms = view_latest_ms(engine->view);
    find_boundary(engine);
    engine->reserve->on_reply = reserve_on_reply;
    engine->reserve->ctx = engine;
    engine->log->sink = (struct log_sink){engine, log_on_records, log_on_failed};
    return install_all(engine);
}

struct engine *engine_new(struct view *view, struct reserve *reserve, struct log *log,
                          const struct engine_sink *sink, uint32_t waiting_max) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) return NULL;
    engine->view = view;
    engine->reserve = reserve;
    engine->log = log;
    engine->sink = *sink;
    if (engine_init(engine, waiting_max) == 0) return engine;
    engine_free(engine);
    return NULL;
}

void engine_free(struct engine *engine) {
    if (engine == NULL) return;
    batch_deinit(&engine->batches[0]);
    batch_deinit(&engine->batches[1]);
    waiter_pool_deinit(&engine->pool);
    free(engine->events);
    free(engine);
}
