/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/log_plan_private.h"

/* ---- What is known of each event ---- */

static void look_at_step(struct log_plan *plan, const struct step *step) {
    struct planned_event *event = &plan->events[step->event];
    if (step->kind != STEP_WIN) return;
    if (step->serial > event->serial_max) event->serial_max = step->serial;
    if (step->ms < 0) return;
    if (event->latest_ms < 0 || step->ms < event->first_ms) event->first_ms = step->ms;
    if (step->ms > event->latest_ms) event->latest_ms = step->ms;
}

/* Somebody was told a serial above the stock that is known: it had been raised. */
static void look_at_told(struct log_plan *plan, const struct step *step) {
    struct planned_event *event = &plan->events[step->event];
    if (step->kind == STEP_WIN && step->rank != OF_COPY && step->serial > event->total)
        event->total = step->serial;
}

static int look_at_event(struct log_plan *plan, uint32_t number) {
    struct planned_event *event = &plan->events[number];
    struct slice id = log_plan_text(plan, event->id);
    if (!event->is_known)
        return err_set(plan->err, -EEXIST,
                       "event %.*s: somebody was told a coupon of it, and neither the database nor "
                       "Redis has the event",
                       (int)id.n, id.p);
    if (event->deriver != NULL) return 0;
    if (plan->keys->count == 0)
        return err_set(plan->err, -ENOKEY, "event %.*s: there is no key of codes in --data-dir",
                       (int)id.n, id.p);
    event->key_id = plan->keys->current;
    event->code = code_format_default;
    plan->counts.guessed_codes++;
    return 0;
}

static int look_at_all(struct log_plan *plan) {
    int code = 0;
    for (size_t i = 0; i < plan->steps_count && code == 0; i++) {
        if (plan->steps[i].serial > STOCK_MAX)
            return err_set(plan->err, -EEXIST, "serial %" PRIu32 " is none", plan->steps[i].serial);
        look_at_step(plan, &plan->steps[i]);
        look_at_told(plan, &plan->steps[i]);
        code = log_plan_look_at_code(plan, &plan->steps[i]);
    }
    for (uint32_t n = 0; n < plan->events_count && code == 0; n++) code = look_at_event(plan, n);
    return code;
}

/* ---- Records ---- */

static int no_memory(struct log_plan *plan) {
    return err_set(plan->err, -ENOMEM, "no memory for the records of a log");
}

static int keep(struct log_plan *plan, uint32_t event, const struct record *record) {
    _Alignas(RECORD_ALIGN) char bytes[RECORD_BYTES_MAX];
    struct slice id = log_plan_text(plan, plan->events[event].id);
    size_t n = record_encode(bytes, record);
    if (n == 0)
        return err_set(plan->err, -EEXIST, "event %.*s: what is known of it makes no %s record",
                       (int)id.n, id.p, record_type_name(record->type));
    void *spans =
        log_plan_room(plan->spans, plan->spans_count, &plan->spans_max, sizeof *plan->spans);
    if (spans == NULL) return no_memory(plan);
    plan->spans = spans;
    if (plan->bytes_used + n > plan->bytes_max) {
        size_t more = 2 * (plan->bytes_max + RECORD_BYTES_MAX);
        char *grown = realloc(plan->bytes, more);
        if (grown == NULL) return no_memory(plan);
        plan->bytes = grown;
        plan->bytes_max = more;
    }
    memcpy(plan->bytes + plan->bytes_used, bytes, n);
    plan->spans[plan->spans_count++] =
        (struct span){.at = plan->bytes_used, .bytes = n, .event = event};
    plan->bytes_used += n;
    return 0;
}

static const char *source_of(enum rank rank) {
    return rank == OF_AUDIT   ? "was told it by an audit"
           : rank == OF_REDIS ? "has it in Redis"
                              : "has it in the database";
}

/* The judge refuses a WIN: who stands in the way? */
static int contradicts(struct log_plan *plan, const struct step *step, enum verdict verdict) {
    const struct event *event =
        view_find(plan->view, log_plan_text(plan, plan->events[step->event].id));
    struct slice user = log_plan_text(plan, step->user);
    struct coupon other;
    char who[160] = "";
    if (judge_holder(event->judge, step->serial, &other))
        snprintf(who, sizeof who, ", and it is user %.*s's", (int)other.user_id.n, other.user_id.p);
    else if (judge_lookup(event->judge, user, &other) == HOLDING_COUPON)
        snprintf(who, sizeof who, ", who has serial %" PRIu32, other.serial);
    return err_set(plan->err, -EEXIST,
                   "sources contradict each other (%s): event %.*s: serial %" PRIu32
                   ": user %.*s %s%s",
                   verdict_name(verdict), (int)event->id.n, event->id.p, step->serial, (int)user.n,
                   user.p, source_of(step->rank), who);
}

/* Gives it to the judge, and keeps it. `step` is the one it is of, or NULL. */
static int put(struct log_plan *plan, uint32_t event, const struct step *step,
               const struct record *record) {
    struct record whole = *record;
    struct slice id = log_plan_text(plan, plan->events[event].id);
    enum verdict verdict = VERDICT_NOP;
    whole.event_id = id;
    int code = keep(plan, event, &whole);
    if (code != 0) return code;
    whole.seq = plan->spans_count;
    if (view_apply(plan->view, &whole, &verdict) != 0) return no_memory(plan);
    if (verdict == VERDICT_VALID) return 0;
    if (step != NULL && record->type == RECORD_WIN) return contradicts(plan, step, verdict);
    return err_set(plan->err, -EEXIST,
                   "event %.*s: the judge refuses a %s record that its rows ask for", (int)id.n,
                   id.p, record_type_name(record->type));
}

static const struct judge_state *state_of(const struct log_plan *plan, uint32_t event) {
    const struct event *found = view_find(plan->view, log_plan_text(plan, plan->events[event].id));
    return found == NULL ? NULL : judge_state(found->judge);
}

/* Each takes the log one generation further, as it takes no other. */
static int put_fences(struct log_plan *plan, uint32_t event, uint32_t gen) {
    int code = 0;
    while (code == 0 && state_of(plan, event)->gen < gen) {
        const uint32_t next = state_of(plan, event)->gen + 1;
        code = put(plan, event, NULL,
                   &(struct record){.type = RECORD_FENCE,
                                    .ms = plan->made_ms,
                                    .fence = {.gen = next, .nonce = next}});
    }
    return code;
}

/* With the times and the stock that it ends with, where all that was issued fits into them. */
static bool fits_times(const struct planned_event *event) {
    return event->starts_ms < event->ends_ms && event->state != DECIDED_CLOSED &&
           (event->latest_ms < 0 ||
            (event->first_ms >= event->starts_ms && event->latest_ms < event->ends_ms));
}

static int put_open(struct log_plan *plan, uint32_t number) {
    const struct planned_event *event = &plan->events[number];
    bool fits = fits_times(event);
    struct record open = {
        .type = RECORD_OPEN,
        .ms = plan->made_ms,
        .operator= SLICE(LOG_PLAN_OPERATOR),
        .open = {.stock = event->serial_max > event->total ? event->serial_max : event->total,
                 .starts_ms = fits ? event->starts_ms : TIME_MS_MIN,
                 .ends_ms = fits ? event->ends_ms : TIME_MS_MAX,
                 .key_id = event->key_id,
                 .code = event->code}};
    return put(plan, number, NULL, &open);
}

/* When nobody knows when it was, it was with the last one that is known. */
static int64_t ms_of(const struct log_plan *plan, const struct step *step) {
    const struct planned_event *event = &plan->events[step->event];
    if (step->ms >= 0) return step->ms;
    if (event->latest_ms >= 0) return event->latest_ms;
    if (event->starts_ms != TIME_MS_MIN) return event->starts_ms;
    return plan->made_ms < event->ends_ms ? plan->made_ms : event->ends_ms - 1;
}

static int put_return(struct log_plan *plan, const struct step *step) {
    return put(
        plan, step->event, step,
        &(struct record){
            .type = RECORD_RETURN,
            .ms = step->kind == STEP_RETURN && step->ms >= 0 ? step->ms : plan->made_ms,
            .operator= log_plan_text(plan, step->operator),
            .reason = log_plan_text(plan, step->reason),
            .give_back = {.serial = step->serial, .user_id = log_plan_text(plan, step->user)}});
}

static int put_win(struct log_plan *plan, const struct step *step) {
    int code = put_fences(plan, step->event, step->gen);
    if (code != 0) return code;
    uint32_t gen = step->gen != 0 ? step->gen : state_of(plan, step->event)->gen;
    code = put(plan, step->event, step,
               &(struct record){.type = RECORD_WIN,
                                .ms = ms_of(plan, step),
                                .win = {.gen = gen,
                                        .serial = step->serial,
                                        .user_id = log_plan_text(plan, step->user),
                                        .claim_id = log_plan_text(plan, step->claim)}});
    if (code == 0 && step->gave_back) code = put_return(plan, step);
    return code;
}

static int put_step(struct log_plan *plan, const struct step *step) {
    if (step->kind == STEP_OPEN) return put_open(plan, step->event);
    if (state_of(plan, step->event) == NULL) { /* an event that the copy had not come to */
        int code = put_open(plan, step->event);
        if (code != 0) return code;
    }
    return step->kind == STEP_WIN ? put_win(plan, step) : put_return(plan, step);
}

/* ---- How each event ends ---- */

static int put_times(struct log_plan *plan, uint32_t number) {
    const struct planned_event *event = &plan->events[number];
    const struct judge_state *state = state_of(plan, number);
    bool is_closed = event->state == DECIDED_CLOSED;
    int64_t ends_ms = is_closed ? TIME_MS_MAX : event->ends_ms; /* CLOSE says it */
    if (state->starts_ms == event->starts_ms && state->ends_ms == ends_ms) return 0;
    return put(plan, number, NULL,
               &(struct record){.type = RECORD_RESCHEDULE,
                                .ms = plan->made_ms,
                                .operator= SLICE(LOG_PLAN_OPERATOR),
                                .reschedule = {.starts_ms = event->starts_ms, .ends_ms = ends_ms}});
}

static int put_end(struct log_plan *plan, uint32_t number) {
    const struct planned_event *event = &plan->events[number];
    int code = state_of(plan, number) == NULL ? put_open(plan, number) : 0;
    if (code == 0 && state_of(plan, number)->stock != event->total)
        code = put(plan, number, NULL,
                   &(struct record){.type = RECORD_RESTOCK,
                                    .ms = plan->made_ms,
                                    .operator= SLICE(LOG_PLAN_OPERATOR),
                                    .restock = {.stock = event->total}});
    if (code == 0) code = put_times(plan, number);
    if (code == 0 && event->state == DECIDED_PAUSED)
        code = put(plan, number, NULL,
                   &(struct record){.type = RECORD_PAUSE,
                                    .ms = plan->made_ms,
                                    .operator= SLICE(LOG_PLAN_OPERATOR)});
    if (code == 0 && event->state == DECIDED_CLOSED)
        code = put(plan, number, NULL,
                   &(struct record){.type = RECORD_CLOSE,
                                    .ms = event->ends_ms,
                                    .operator= SLICE(LOG_PLAN_OPERATOR)});
    uint32_t gen = event->gen > event->reserve_gen ? event->gen : event->reserve_gen;
    return code == 0 ? put_fences(plan, number, gen + 1) : code;
}

/* ---- The first record tells how many there are ---- */

static const char reason_format[] = "the log was lost; made anew of %" PRIu64 " records";

/* Encoded anew behind all others, as it gets longer. No judge asks for a reason. */
static int announce(struct log_plan *plan) {
    _Alignas(RECORD_ALIGN) char bytes[RECORD_BYTES_MAX];
    char reason[REASON_BYTES_MAX];
    struct record record;
    if (plan->spans_count == 0) return 0;
    const struct span first = plan->spans[0];
    memcpy(bytes, plan->bytes + first.at, first.bytes);
    enum record_status status = record_decode(slice_of(bytes, first.bytes), &record, NULL);
    ASSERT(status == RECORD_OK);
    int n = snprintf(reason, sizeof reason, reason_format, (uint64_t)plan->spans_count);
    record.reason = slice_of(reason, (size_t)n);
    int code = keep(plan, first.event, &record);
    if (code == 0) plan->spans[0] = plan->spans[--plan->spans_count];
    return code;
}

bool log_plan_is_first(const struct record *record, uint64_t *count) {
    char reason[REASON_BYTES_MAX + 1];
    snprintf(reason, sizeof reason, "%.*s", (int)record->reason.n, record->reason.p);
    return record->type == RECORD_OPEN && slice_eq(record->operator, SLICE(LOG_PLAN_OPERATOR)) &&
           sscanf(reason, "the log was lost; made anew of %" SCNu64 " records", count) == 1;
}

/* ---- All of it ---- */

static int compare_steps(const void *x, const void *y) {
    const struct step *a = x, *b = y;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    if (a->event != b->event) return a->event < b->event ? -1 : 1;
    if (a->serial != b->serial) return a->serial < b->serial ? -1 : 1;
    return (a->user > b->user) - (a->user < b->user);
}

static bool has_failed(const struct log_plan *plan) {
    return plan->failed || plan->texts.failed || plan->events_by_id.failed ||
           plan->holders.failed || plan->returned.failed;
}

int log_plan_make(struct log_plan *plan, int64_t made_ms, struct log_plan_counts *counts,
                  struct err *err) {
    plan->err = err;
    plan->made_ms = made_ms;
    if (has_failed(plan)) return no_memory(plan);
    int code = look_at_all(plan);
    if (code != 0) return code;
    if (plan->steps_count > 0)
        qsort(plan->steps, plan->steps_count, sizeof *plan->steps, compare_steps);
    for (size_t i = 0; i < plan->steps_count && code == 0; i++)
        code = put_step(plan, &plan->steps[i]);
    for (uint32_t n = 0; n < plan->events_count && code == 0; n++) code = put_end(plan, n);
    if (code == 0) code = announce(plan);
    plan->counts.events = plan->events_count;
    *counts = plan->counts;
    return code;
}

size_t log_plan_count(const struct log_plan *plan) {
    return plan->spans_count;
}

struct log_plan_record log_plan_at(const struct log_plan *plan, size_t n) {
    const struct span *span = &plan->spans[n];
    return (struct log_plan_record){.event_id = log_plan_text(plan, plan->events[span->event].id),
                                    .value = slice_of(plan->bytes + span->at, span->bytes)};
}
