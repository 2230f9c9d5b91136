/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of what was told, and the invariants as seen from outside: an answer is judged by what
 * the log (a model of it, not the judge) says at that moment, and by what was told before the
 * question was asked. C1 to C10 are the checks of a history.
 */
#include <string.h>

#include "claim/coupon_code.h"
#include "lib/hash.h"
#include "sim/sim_world.h"

static const char *outcome_name(enum claim_outcome outcome) {
    static const char *const names[] = {
        [CLAIM_ISSUED] = "issued",
        [CLAIM_ALREADY_ISSUED] = "already_issued",
        [CLAIM_SOLD_OUT] = "sold_out",
        [CLAIM_NOT_STARTED] = "not_started",
        [CLAIM_ENDED] = "ended",
        [CLAIM_PAUSED] = "paused",
        [CLAIM_RETURNED] = "returned",
        [CLAIM_NONE] = "none",
        [CLAIM_UNAVAILABLE] = "unavailable",
        [CLAIM_PENDING] = "pending",
    };
    return names[outcome];
}

static uint64_t *outcome_counter(struct sim_counts *counts, enum claim_outcome outcome) {
    uint64_t *const counters[] = {
        [CLAIM_ISSUED] = &counts->issued,
        [CLAIM_ALREADY_ISSUED] = &counts->already,
        [CLAIM_SOLD_OUT] = &counts->sold_out,
        [CLAIM_NOT_STARTED] = &counts->not_started,
        [CLAIM_ENDED] = &counts->ended,
        [CLAIM_PAUSED] = &counts->paused,
        [CLAIM_RETURNED] = &counts->returned,
        [CLAIM_NONE] = &counts->none,
        [CLAIM_UNAVAILABLE] = &counts->unavailable,
        [CLAIM_PENDING] = &counts->pending,
    };
    return counters[outcome];
}

static void violated(struct sim_world *world, const struct sim_ask *ask, const char *what,
                     enum claim_outcome outcome) {
    sim_violation(world, "%s: u%u of e%u was told %s by thread %u", what, ask->user, ask->event,
                  outcome_name(outcome), ask->network);
}

static const struct view *view_of(const struct sim_world *world, const struct sim_ask *ask) {
    return world->server.servers[ask->network]->view;
}

void sim_ask_note(struct sim_world *world, struct sim_ask *ask) {
    const struct sim_told_event *told = &world->told[ask->event];
    struct sim_promise *promise = &world->promises[ask->event][ask->user];
    ask->changes = world->model.events[ask->event].changes;
    ask->passed_before = promise->passed;
    ask->returned_before = promise->returned;
    ask->ended_before = told->ended && told->ended_changes == ask->changes;
    ask->sold_out_before = told->sold_out && told->sold_out_changes == ask->changes;
    ask->known_before = told->opened;
    ask->serial_before = told->serial;
    ask->offset = view_offset(view_of(world, ask));
    if (ask->kind == ASK_CLAIM) promise->claims++;
}

/* ---- In the engine and the log ---- */

/* True when all that this user waits for from the thread was asked when the event had had so many
 * changes. */
static bool was_asked_after(const struct sim_world *world, uint32_t thread, uint32_t event,
                            uint32_t user, uint32_t changes) {
    bool has_asked = false;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        const struct sim_connection *connection = &world->connections[i];
        if (connection->socket == NULL || connection->network != thread) continue;
        for (uint32_t k = 0; k < connection->count; k++) {
            const struct sim_ask *ask =
                &connection->asks[(connection->first + k) % SIM_PIPELINE_MAX];
            if (ask->event != event || ask->user != user) continue;
            if (ask->changes != changes) return false;
            has_asked = true;
        }
    }
    return has_asked;
}

void sim_engine_answered(struct sim_world *world, uint32_t thread, uint64_t token,
                         enum claim_outcome outcome) {
    struct server *server = world->server.servers[thread];
    const struct waiting *place = waiting_at(&server->waiting, token);
    uint32_t number = sim_number(view_at(world->server.view, place->event)->id);
    uint32_t user = sim_number(slice_of(place->user_id, place->user_id_bytes));
    const struct model_event *event = &world->model.events[number];
    const struct sim_ask ask = {.network = (uint8_t)thread, .event = number, .user = user};
    if (outcome == CLAIM_ISSUED && event->users[user].serial == 0)
        violated(world, &ask, "I3: not in the log", outcome);
    if (outcome == CLAIM_SOLD_OUT && event->taken != event->stock &&
        was_asked_after(world, thread, number, user, event->changes))
        violated(world, &ask, "I5: wins are still on their way", outcome);
}

void sim_check_win(struct sim_world *world, const struct record *win) {
    uint32_t event = sim_number(win->event_id), user = sim_number(win->win.user_id);
    if (event >= SIM_EVENTS_MAX || user >= SIM_USERS_MAX) return; /* the model has said so */
    const struct sim_promise *promise = &world->promises[event][user];
    if (!promise->passed && !promise->is_in_doubt && promise->claims == 0)
        sim_violation(world, "C4: u%u of e%u is in the log and was told no, or never asked", user,
                      event);
}

/* ---- Told to a person ---- */

/* The code of a coupon is derived: another serial or round has another one. */
static bool is_code_of(uint32_t event, uint32_t serial, uint32_t round, struct slice code) {
    char expected[COUPON_CODE_BYTES_MAX], id[16];
    snprintf(id, sizeof id, "e%u", event);
    size_t n =
        coupon_code(sim_deriver(), &code_format_default, slice_str(id), serial, round, expected);
    return slice_eq(code, slice_of(expected, n));
}

static void check_order(struct sim_world *world, const struct sim_ask *ask, uint32_t serial) {
    const struct model_event *event = &world->model.events[ask->event];
    if (ask->sold_out_before && ask->changes == event->changes)
        violated(world, ask, "C6: others had been told that all are taken", CLAIM_ISSUED);
    if (ask->ended_before && ask->changes == event->changes)
        violated(world, ask, "I9: others had been told that it was over", CLAIM_ISSUED);
    if (event->returns == 0 && serial <= ask->serial_before)
        violated(world, ask, "C9: a later serial had been told before it was asked", CLAIM_ISSUED);
    if (ask->kind == ASK_QUERY) violated(world, ask, "a question won", CLAIM_ISSUED);
}

/* How many control records of the event its network thread has applied. */
static uint32_t changes_seen(const struct sim_world *world, const struct sim_ask *ask) {
    char id[16];
    snprintf(id, sizeof id, "e%u", ask->event);
    return judge_state(view_find(view_of(world, ask), slice_str(id))->judge)->ver - 1;
}

static void note_no(struct sim_world *world, const struct sim_ask *ask) {
    struct sim_promise *promise = &world->promises[ask->event][ask->user];
    promise->no_changes = changes_seen(world, ask) + 1;
    promise->no_run = world->counts->starts;
}

/* Who was told no for good hears no yes, of whatever claim, until the operator changes something.
 */
static void check_no(struct sim_world *world, const struct sim_ask *ask,
                     enum claim_outcome outcome) {
    const struct sim_promise *promise = &world->promises[ask->event][ask->user];
    if (promise->no_changes == world->model.events[ask->event].changes + 1 &&
        promise->no_run == world->counts->starts && !promise->passed && !ask->is_delayed)
        violated(world, ask, "I2: was told no for good before", outcome);
}

static void check_pass(struct sim_world *world, const struct sim_ask *ask,
                       const struct sim_answer *answer) {
    const struct model_user *user = &world->model.events[ask->event].users[ask->user];
    struct sim_promise *promise = &world->promises[ask->event][ask->user];
    struct sim_told_event *told = &world->told[ask->event];
    if (user->serial != answer->serial)
        violated(world, ask, "I3: not the coupon that the log says", answer->outcome);
    if (!is_code_of(ask->event, answer->serial, user->round, answer->code))
        violated(world, ask, "I2: another code than that coupon's", answer->outcome);
    if (promise->passed && (promise->serial != answer->serial || promise->round != user->round))
        violated(world, ask, "I2: another coupon than before", answer->outcome);
    if (answer->serial < 1 || answer->serial > SIM_STOCK_MAX)
        violated(world, ask, "I1: a serial outside the stock", answer->outcome);
    if (ask->returned_before) violated(world, ask, "I2: it was given back", answer->outcome);
    if (answer->outcome == CLAIM_ISSUED) check_order(world, ask, answer->serial);
    check_no(world, ask, answer->outcome);
    promise->passed = true;
    promise->serial = answer->serial;
    promise->round = user->round;
    if (answer->serial > told->serial) told->serial = answer->serial;
}

/* The states of the event that the answer may tell: what its thread's view was when it was written,
 * which is now unless the client was slow to take it. `is_it` looks at one. */
static bool may_tell(const struct sim_world *world, const struct sim_ask *ask,
                     bool (*is_it)(const struct model_point *point, const void *ctx),
                     const void *ctx) {
    const struct model_event *event = &world->model.events[ask->event];
    uint64_t now = view_offset(view_of(world, ask)), first = ask->is_delayed ? ask->offset : now;
    for (uint32_t i = event->points_count; i-- > 0;) {
        if (event->points[i].offset > now) continue;
        if (is_it(&event->points[i], ctx)) return true;
        if (event->points[i].offset <= first) return false;
    }
    return false;
}

static bool is_full(const struct model_point *point, const void *ctx) {
    (void)ctx;
    return point->taken == point->stock;
}

static void check_sold_out(struct sim_world *world, const struct sim_ask *ask,
                           const struct sim_answer *answer) {
    if (!answer->is_final) return;
    if (!may_tell(world, ask, is_full, NULL))
        violated(world, ask, "I5: final, and not every seat is taken", CLAIM_SOLD_OUT);
    if (answer->remaining != 0) violated(world, ask, "I5: final, and some remain", CLAIM_SOLD_OUT);
    world->counts->sold_out_final++;
    if (ask->is_delayed) return;
    world->told[ask->event].sold_out = true;
    world->told[ask->event].sold_out_changes = changes_seen(world, ask);
    note_no(world, ask);
}

/* What may be told to somebody who knew of a coupon before asking (I2). A thread whose time is more
 * than its margin behind may not know that an event has begun: stated in claim/decide.h. */
static void check_holder(struct sim_world *world, const struct sim_ask *ask,
                         enum claim_outcome outcome) {
    if (!ask->passed_before || outcome == CLAIM_ALREADY_ISSUED || outcome == CLAIM_RETURNED) return;
    if (outcome == CLAIM_UNAVAILABLE || outcome == CLAIM_PENDING) return;
    const struct sim_server *server = &world->server;
    int64_t behind_ms = server->now_ms - server->servers[ask->network]->engine_ms;
    if (outcome == CLAIM_NOT_STARTED && (behind_ms > 1000 || ask->is_delayed)) {
        world->counts->stale_not_started++;
        return;
    }
    violated(world, ask, "I2: holds a coupon", outcome);
}

static void check_pending(struct sim_world *world, const struct sim_ask *ask) {
    const struct sim_server *server = &world->server;
    bool is_late = threads_sim_now_ns() - ask->asked_ns >= server->shared.answer_timeout_ns;
    if (!server->has_failed && !is_late && !server->wants_stop)
        violated(world, ask, "doubt without a failure, and in time", CLAIM_PENDING);
    if (!server->has_failed) world->counts->pending_late++;
}

static void check_other(struct sim_world *world, const struct sim_ask *ask,
                        enum claim_outcome outcome) {
    const struct model_event *event = &world->model.events[ask->event];
    if (outcome == CLAIM_RETURNED && !event->users[ask->user].returned)
        violated(world, ask, "I4: never returned", outcome);
    if (outcome == CLAIM_PENDING) check_pending(world, ask);
}

static bool is_over(const struct sim_world *world, const struct sim_ask *ask) {
    char id[16];
    snprintf(id, sizeof id, "e%u", ask->event);
    const struct judge_state *state =
        judge_state(view_find(view_of(world, ask), slice_str(id))->judge);
    return state->closed || world->server.servers[ask->network]->engine_ms >= state->ends_ms;
}

/* "Over" is final until the operator says otherwise. */
static void check_ended(struct sim_world *world, const struct sim_ask *ask, bool is_final) {
    if (!is_final || ask->is_delayed) return;
    if (!is_over(world, ask)) violated(world, ask, "final, and it is not over", CLAIM_ENDED);
    world->told[ask->event].ended = true;
    world->told[ask->event].ended_changes = changes_seen(world, ask);
    note_no(world, ask);
}

void sim_told(struct sim_world *world, const struct sim_ask *ask, const struct sim_answer *answer) {
    struct sim_promise *promise = &world->promises[ask->event][ask->user];
    if (ask->kind == ASK_CLAIM) promise->claims--;
    bool is_perhaps_in_log = answer->outcome == CLAIM_PENDING || answer->outcome == CLAIM_RETURNED;
    if (ask->kind == ASK_CLAIM && is_perhaps_in_log) promise->is_in_doubt = true;
    *outcome_counter(world->counts, answer->outcome) += 1;
    check_holder(world, ask, answer->outcome);
    if (answer->outcome == CLAIM_ISSUED || answer->outcome == CLAIM_ALREADY_ISSUED)
        check_pass(world, ask, answer);
    else if (answer->outcome == CLAIM_SOLD_OUT)
        check_sold_out(world, ask, answer);
    else if (answer->outcome == CLAIM_ENDED)
        check_ended(world, ask, answer->is_final);
    else
        check_other(world, ask, answer->outcome);
}

void sim_told_unknown_event(struct sim_world *world, const struct sim_ask *ask) {
    if (ask->kind == ASK_CLAIM) world->promises[ask->event][ask->user].claims--;
    world->counts->unknown_event++;
    if (ask->known_before || ask->passed_before)
        sim_violation(world, "I7: e%u was forgotten by thread %u", ask->event, ask->network);
}

static bool is_status(const struct model_point *point, const void *ctx) {
    const struct model_point *told = ctx;
    return point->taken == told->taken && point->stock == told->stock;
}

void sim_told_status(struct sim_world *world, const struct sim_ask *ask, uint32_t stock,
                     uint32_t remaining, uint32_t holders) {
    const struct model_point told = {.taken = holders, .stock = stock};
    if (!may_tell(world, ask, is_status, &told) || stock - holders != remaining)
        sim_violation(world, "the status of e%u is told as %u of %u", ask->event, holders, stock);
}

void sim_lost(struct sim_world *world, const struct sim_ask *ask) {
    struct sim_promise *promise = &world->promises[ask->event][ask->user];
    if (ask->kind != ASK_CLAIM) return;
    promise->claims--;
    promise->is_in_doubt = true;
}

/* ---- Told to the operator ---- */

static uint64_t *control_counter(struct sim_counts *counts, enum record_type type) {
    switch (type) {
    case RECORD_OPEN:
        return &counts->opens;
    case RECORD_RESTOCK:
        return &counts->restocks;
    case RECORD_RESCHEDULE:
        return &counts->reschedules;
    case RECORD_PAUSE:
        return &counts->pauses;
    case RECORD_RESUME:
        return &counts->resumes;
    case RECORD_CLOSE:
        return &counts->closes;
    default:
        return &counts->returns;
    }
}

static void told_done(struct sim_world *world, const struct sim_ask *ask) {
    const struct model_event *event = &world->model.events[ask->event];
    *control_counter(world->counts, ask->type) += 1;
    if (!event->opened)
        sim_violation(world, "e%u is not in the log, and the operator was told so", ask->event);
    if (ask->type == RECORD_OPEN) world->told[ask->event].opened = true;
    if (ask->type == RECORD_CLOSE && !event->closed)
        sim_violation(world, "e%u is not closed, and the operator was told so", ask->event);
    if (ask->type != RECORD_RETURN) return;
    world->promises[ask->event][ask->user].returned = true;
    if (!event->users[ask->user].returned)
        sim_violation(world, "the return of u%u of e%u is not in the log", ask->user, ask->event);
}

static void told_no(struct sim_world *world, const struct sim_ask *ask, int status,
                    struct slice code) {
    const struct model_event *event = &world->model.events[ask->event];
    world->counts->controls_refused++;
    if (slice_eq(code, SLICE("event_exists")) && !event->opened)
        sim_violation(world, "e%u does not exist", ask->event);
    if (status == 404 && ask->known_before)
        sim_violation(world, "I7: e%u is in the log", ask->event);
    if (slice_eq(code, SLICE("event_closed")) && !event->closed)
        sim_violation(world, "e%u is not closed", ask->event);
    if (status != 404 && status != 409 && status != 422)
        sim_violation(world, "the operator is answered %d %.*s", status, (int)code.n, code.p);
}

void sim_told_control(struct sim_world *world, const struct sim_ask *ask, int status,
                      struct slice code) {
    sim_trace(world, "  told operator: %s e%u: %d", record_type_name(ask->type), ask->event,
              status);
    if (status == 200 || status == 201)
        told_done(world, ask);
    else if (status == 202)
        world->counts->controls_pending++;
    else if (status == 503)
        world->counts->controls_unavailable++;
    else if (status == 507)
        world->counts->controls_no_space++;
    else
        told_no(world, ask, status, code);
}

/* ---- After every recovery ---- */

static void check_promise(struct sim_world *world, uint32_t event, uint32_t user) {
    const struct sim_promise *promise = &world->promises[event][user];
    const struct model_user *found = &world->model.events[event].users[user];
    if (promise->passed && (found->serial != promise->serial || found->round != promise->round))
        sim_violation(world, "I4: u%u of e%u was told serial %u, the log says %u", user, event,
                      promise->serial, found->serial);
    if (promise->returned && !found->returned)
        sim_violation(world, "I4: the return of u%u of e%u is lost", user, event);
}

void sim_check_promises(struct sim_world *world) {
    if (world->model.wrong != NULL) sim_violation(world, "%s", world->model.wrong);
    for (uint32_t event = 0; event < SIM_EVENTS_MAX; event++) {
        if (world->told[event].opened && !world->model.events[event].opened)
            sim_violation(world, "I7: e%u is lost", event);
        for (uint32_t user = 0; user < SIM_USERS_MAX; user++) check_promise(world, event, user);
    }
}

/* ---- The copy ---- */

static void check_rows(struct sim_world *world, uint32_t number) {
    static const struct hash_key unkeyed = {{0, 0}};
    const struct store_sim_event *rows = &world->store.events[number];
    const struct model_event *event = &world->model.events[number];
    enum store_event_state state = event->closed   ? STORE_CLOSED
                                   : event->paused ? STORE_PAUSED
                                                   : STORE_OPEN;
    if (rows->opened != event->opened ||
        (event->opened && (rows->state != state || rows->ver != event->changes + 1)))
        sim_violation(world, "copy: e%u is not as the log says", number);
    for (uint32_t serial = 1; serial <= SIM_STOCK_MAX; serial++) {
        const struct store_sim_holder *holder = &rows->holders[serial];
        if (holder->user != event->holders[serial])
            sim_violation(world, "copy: serial %u of e%u is another's", serial, number);
        if (holder->user == 0) continue;
        char code[COUPON_CODE_BYTES_MAX], id[16];
        snprintf(id, sizeof id, "e%u", number);
        size_t n = coupon_code(sim_deriver(), &code_format_default, slice_str(id), serial,
                               event->rounds[serial], code);
        if (holder->code != hash_slice(&unkeyed, slice_of(code, n)))
            sim_violation(world, "copy: the code of serial %u of e%u is another", serial, number);
    }
}

void sim_check_copy(struct sim_world *world, bool is_whole) {
    const struct store_sim *store = &world->store;
    if (store->wrong != NULL) sim_violation(world, "%s", store->wrong);
    if (store->at.seq > world->model.offset)
        sim_violation(world, "copy: ahead of what is acknowledged");
    if (is_whole && store->at.seq != world->model.offset)
        sim_violation(world, "copy: never caught up");
    for (uint32_t number = 0; number < SIM_EVENTS_MAX; number++) {
        const struct model_point *point = model_at(&world->model.events[number], store->at.seq);
        const struct store_sim_event *rows = &store->events[number];
        if (rows->opened != (point != NULL) ||
            (point != NULL && (rows->taken != point->taken || rows->stock != point->stock)))
            sim_violation(world, "copy: at %llu, e%u has %u of %u taken",
                          (unsigned long long)store->at.seq, number, rows->taken, rows->stock);
        if (is_whole) check_rows(world, number);
    }
}
