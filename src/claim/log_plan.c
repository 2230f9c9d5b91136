/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/log_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/view.h"
#include "log/record.h"
#include "verify/pairs.h"
#include "verify/texts.h"

enum { RESERVE_OPEN = 1, RESERVE_PAUSED = 2, RESERVE_CLOSED = 3, GEN_MAX = 1000000 };

/* In the order in which they are written; within one, by `seq`. */
enum rank { OF_COPY, RETURNED_BY_REDIS, OF_AUDIT, OF_REDIS };
enum step_kind { STEP_OPEN, STEP_WIN, STEP_RETURN };

struct step {
    enum rank rank;
    enum step_kind kind;
    uint64_t seq;
    uint32_t event, user, claim; /* the latter two are texts */
    uint32_t serial, gen;        /* gen 0: that of the event then */
    int64_t ms;                  /* -1: not known */
    uint32_t operator, reason, code;
    uint32_t round;
    bool gave_back; /* a WIN of which Redis knows no more than that it was given back */
};

struct planned_event {
    uint32_t id; /* a text */
    bool is_in_copy, is_known;
    enum decided_state state;
    uint32_t total, gen;
    uint32_t reserve_gen; /* of Redis; 0: it has nothing */
    int64_t starts_ms, ends_ms;
    uint64_t open_seq;

    /* Found while making. */
    uint32_t serial_max;         /* of any step */
    int64_t first_ms, latest_ms; /* of the WINs whose time is known; latest_ms < 0: none */
    uint64_t key_id;
    struct code_format code;
    bool is_code_known;
};

struct span {
    size_t at, bytes;
    uint32_t event;
};

struct log_plan {
    const struct code_keys *keys;
    struct texts texts;
    struct pairs events_by_id; /* (text, 0) */
    struct pairs holders;      /* (event, user): number of the step that is a WIN of theirs */
    struct pairs returned;     /* (event, user): 1 in the copy's history, 2 by Redis */
    struct planned_event *events;
    uint32_t events_count, events_max;
    struct step *steps;
    size_t steps_count, steps_max;
    struct view *view;
    int64_t made_ms;
    struct log_plan_counts counts;
    bool failed; /* for want of memory */

    char *bytes;
    size_t bytes_used, bytes_max;
    struct span *spans;
    size_t spans_count, spans_max;
    struct err *err;
};

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
    free(plan->events);
    free(plan->steps);
    free(plan->bytes);
    free(plan->spans);
    free(plan);
}

/* ---- Room ---- */

/* Room for one more of `size` bytes; NULL when there is no memory. */
static void *make_room(void *all, size_t count, size_t *max, size_t size) {
    if (count < *max) return all;
    size_t more = *max == 0 ? 64 : *max * 2;
    void *grown = reallocarray(all, more, size);
    if (grown != NULL) *max = more;
    return grown;
}

static struct slice text_at(const struct log_plan *plan, uint32_t number) {
    return texts_at(&plan->texts, number);
}

/* The event of this id, made when it is new. NULL: no memory. */
static struct planned_event *event_of(struct log_plan *plan, struct slice id, uint32_t *number) {
    uint32_t text = texts_number(&plan->texts, id);
    uint32_t found = pairs_get(&plan->events_by_id, text, 0);
    if (found == PAIR_UNKNOWN) {
        size_t max = plan->events_max;
        void *grown = make_room(plan->events, plan->events_count, &max, sizeof *plan->events);
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
    void *grown = make_room(plan->steps, plan->steps_count, &plan->steps_max, sizeof *step);
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
    *event_id = text_at(plan, plan->events[n].id);
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

static void on_free(void *ctx, int64_t serial) {
    (void)ctx, (void)serial;
}

struct reserve_sink log_plan_reserve_sink(struct log_plan_reserve *reserve, struct log_plan *plan,
                                          uint32_t event) {
    *reserve = (struct log_plan_reserve){.plan = plan, .event = event};
    return (struct reserve_sink){reserve, on_state, on_holder, on_free};
}

/* ---- The format of codes, found by the codes ---- */

/* Alphabets that an event may have been given; a code proves which. */
static const char *const alphabets[] = {
    NULL, /* the default */
    "0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHJKLMNPQRSTUVWXYZ23456789",
    "23456789ABCDEFGHJKLMNPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "0123456789ABCDEF",
    "0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz",
};

static bool gives_code(struct coupon_deriver *deriver, const struct code_format *format,
                       struct slice event_id, const struct step *step, struct slice wanted) {
    char code[COUPON_CODE_BYTES_MAX];
    size_t n = coupon_code(deriver, format, event_id, step->serial, step->round, code);
    return slice_eq(slice_of(code, n), wanted);
}

/* A code is a prefix, `length` characters and a check character: each split of it is tried. */
static bool fits_alphabet(struct coupon_deriver *deriver, struct slice alphabet,
                          struct slice event_id, const struct step *step, struct slice wanted,
                          struct code_format *format) {
    for (size_t prefix = 0; prefix <= CODE_PREFIX_BYTES_MAX && prefix + 2 <= wanted.n; prefix++) {
        *format = (struct code_format){.prefix = slice_of(wanted.p, prefix),
                                       .alphabet = alphabet,
                                       .length = (uint8_t)(wanted.n - prefix - 1)};
        if (code_format_problem(format) == NULL &&
            gives_code(deriver, format, event_id, step, wanted))
            return true;
    }
    return false;
}

static int find_format(struct log_plan *plan, struct planned_event *event,
                       const struct step *step) {
    struct slice wanted = text_at(plan, step->code), id = text_at(plan, event->id);
    bool is_found = false;
    for (size_t k = 0; k < plan->keys->count && !is_found; k++) {
        struct coupon_deriver *deriver = coupon_deriver_new(plan->keys->keys[k].key);
        if (deriver == NULL) return err_set(plan->err, -ENOMEM, "no memory for codes");
        for (size_t i = 0; i < ARRAY_LEN(alphabets) && !is_found; i++)
            is_found = fits_alphabet(deriver,
                                     alphabets[i] == NULL ? code_format_default.alphabet
                                                          : slice_str(alphabets[i]),
                                     id, step, wanted, &event->code);
        event->key_id = plan->keys->keys[k].id;
        coupon_deriver_free(deriver);
    }
    if (!is_found)
        return err_set(plan->err, -ENOKEY,
                       "event %.*s: no key of --data-dir gives serial %" PRIu32
                       " the code that was told: it is of another key, or of an alphabet that is "
                       "not known here",
                       (int)id.n, id.p, step->serial);
    event->is_code_known = true;
    return 0;
}

/* Every code that is known has to come out of it. */
static int check_codes(struct log_plan *plan, uint32_t number) {
    const struct planned_event *event = &plan->events[number];
    const unsigned char *key = code_keys_find(plan->keys, event->key_id);
    struct coupon_deriver *deriver = key == NULL ? NULL : coupon_deriver_new(key);
    struct slice id = text_at(plan, event->id);
    int code = deriver != NULL ? 0 : err_set(plan->err, -ENOMEM, "no memory for codes");
    for (size_t i = 0; i < plan->steps_count && code == 0; i++) {
        const struct step *step = &plan->steps[i];
        if (step->event != number || step->kind != STEP_WIN || step->code == 0) continue;
        if (!gives_code(deriver, &event->code, id, step, text_at(plan, step->code)))
            code = err_set(plan->err, -ENOKEY,
                           "event %.*s: the code of serial %" PRIu32
                           " is not the one that its key gives",
                           (int)id.n, id.p, step->serial);
    }
    coupon_deriver_free(deriver);
    return code;
}

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

static int look_at_code(struct log_plan *plan, const struct step *step) {
    struct planned_event *event = &plan->events[step->event];
    bool is_first = step->kind == STEP_WIN && step->code != 0 && !event->is_code_known;
    return is_first ? find_format(plan, event, step) : 0;
}

static int look_at_event(struct log_plan *plan, uint32_t number) {
    struct planned_event *event = &plan->events[number];
    struct slice id = text_at(plan, event->id);
    if (!event->is_known)
        return err_set(plan->err, -EEXIST,
                       "event %.*s: somebody was told a coupon of it, and neither the database nor "
                       "Redis has the event",
                       (int)id.n, id.p);
    if (event->is_code_known) return check_codes(plan, number);
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
        code = look_at_code(plan, &plan->steps[i]);
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
    struct slice id = text_at(plan, plan->events[event].id);
    size_t n = record_encode(bytes, record);
    if (n == 0)
        return err_set(plan->err, -EEXIST, "event %.*s: what is known of it makes no %s record",
                       (int)id.n, id.p, record_type_name(record->type));
    void *spans = make_room(plan->spans, plan->spans_count, &plan->spans_max, sizeof *plan->spans);
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
    const struct event *event = view_find(plan->view, text_at(plan, plan->events[step->event].id));
    struct slice user = text_at(plan, step->user);
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
    struct slice id = text_at(plan, plan->events[event].id);
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
    const struct event *found = view_find(plan->view, text_at(plan, plan->events[event].id));
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
    return put(plan, step->event, step,
               &(struct record){
                   .type = RECORD_RETURN,
                   .ms = step->kind == STEP_RETURN && step->ms >= 0 ? step->ms : plan->made_ms,
                   .operator= text_at(plan, step->operator),
                   .reason = text_at(plan, step->reason),
                   .give_back = {.serial = step->serial, .user_id = text_at(plan, step->user)}});
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
                                        .user_id = text_at(plan, step->user),
                                        .claim_id = text_at(plan, step->claim)}});
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
    return (struct log_plan_record){.event_id = text_at(plan, plan->events[span->event].id),
                                    .value = slice_of(plan->bytes + span->at, span->bytes)};
}
