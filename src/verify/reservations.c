/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/reservations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void reservations_deinit(struct reservations *reservations) {
    for (uint32_t i = 0; i < reservations->count; i++) {
        free(reservations->events[i].holders);
        free(reservations->events[i].free);
        pairs_deinit(&reservations->events[i].by_user);
    }
    free(reservations->events);
    *reservations = (struct reservations){0};
}

uint64_t reservations_sum(const struct reservations *reservations) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < reservations->count; i++) sum += reservations->events[i].holders_count;
    return sum;
}

/* ---- Reading ---- */

/* Room for one more of `size` bytes; `all` and `max` are those of an array. */
static void *make_room(void *all, uint32_t count, uint32_t *max, size_t size) {
    if (count < *max) return all;
    uint32_t more = *max == 0 ? 16 : *max * 2;
    void *grown = reallocarray(all, more, size);
    if (grown != NULL) *max = more;
    return grown;
}

void reservations_list(struct reservations *reservations, struct texts *texts,
                       struct slice event_id) {
    struct reserved_event *events =
        make_room(reservations->events, reservations->count, &reservations->max, sizeof *events);
    if (events == NULL) {
        reservations->failed = true;
        return;
    }
    reservations->events = events;
    events[reservations->count++] = (struct reserved_event){.id = texts_number(texts, event_id)};
}

struct reading {
    struct reserved_event *event;
    struct texts *texts;
    bool failed;
};

static void on_state(void *ctx, const struct reserve_state *state) {
    struct reading *reading = ctx;
    struct reserved_event *event = reading->event;
    event->state = *state;
    snprintf(event->policy, sizeof event->policy, "%.*s", (int)size_min(state->policy.n, 31),
             state->policy.p);
    event->state.policy = slice_str(event->policy);
}

static void on_holder(void *ctx, const struct reserve_holder *holder) {
    struct reading *reading = ctx;
    struct reserved_event *event = reading->event;
    struct reserved_holder *holders =
        make_room(event->holders, event->holders_count, &event->holders_max, sizeof *holders);
    if (holders == NULL) {
        reading->failed = true;
        return;
    }
    event->holders = holders;
    uint32_t user = texts_number(reading->texts, holder->user_id);
    pairs_set(&event->by_user, 0, user, event->holders_count);
    holders[event->holders_count++] = (struct reserved_holder){.user = user,
                                                               .is_readable = holder->is_readable,
                                                               .serial = holder->serial,
                                                               .ms = holder->ms};
}

static void on_free(void *ctx, int64_t serial) {
    struct reading *reading = ctx;
    struct reserved_event *event = reading->event;
    int64_t *all = make_room(event->free, event->free_count, &event->free_max, sizeof *all);
    if (all == NULL) {
        reading->failed = true;
        return;
    }
    event->free = all;
    all[event->free_count++] = serial;
}

int reservations_read(struct reservations *reservations, const struct reserve_source *source,
                      struct texts *texts, struct err *err) {
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < reservations->count; i++) {
        struct reading reading = {.event = &reservations->events[i], .texts = texts};
        const struct reserve_sink sink = {&reading, on_state, on_holder, on_free};
        code = source->read(source->ctx, texts_at(texts, reading.event->id), &sink, err);
        reservations->failed |= reading.failed || reading.event->by_user.failed;
    }
    if (code == 0 && (reservations->failed || texts->failed))
        code = err_set(err, -ENOMEM, "no memory for what %s has", source->name);
    return code;
}

/* ---- Words ---- */

struct comparison {
    const struct truth *truth;
    const struct truth_event *event;
    const struct truth_entry *last; /* as the log has it now */
    const struct reserved_event *found;
    const char *name;
    struct checks *checks;
};

static void tell(const struct comparison *comparison, enum check check, const char *what,
                 uint64_t which, const char *format, ...) PRINTF_LIKE(5, 6);
/* The same only as long as nothing moves: an item is of the two gens and vers. */
static void tell(const struct comparison *comparison, enum check check, const char *what,
                 uint64_t which, const char *format, ...) {
    const struct reserve_state *state = &comparison->found->state;
    struct slice id = texts_at(&comparison->truth->texts, comparison->event->id);
    uint64_t item = hash_mix((uint64_t)state->gen << 32 | comparison->last->gen,
                             (uint64_t)state->ver << 32 | comparison->last->ver);
    char text[CHECK_EVIDENCE_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    checks_add(comparison->checks, check, check_item(what, id, hash_mix(item, which)),
               "%s: event %.*s: %s", comparison->name, (int)id.n, id.p, text);
}

static struct slice user_of(const struct comparison *comparison, uint32_t user) {
    return texts_at(&comparison->truth->texts, user);
}

/* Nobody asks Redis for it any more, and its keys may have been given an end. */
static bool is_over(const struct comparison *comparison) {
    const struct truth_entry *last = comparison->last;
    return last->state == DECIDED_CLOSED || (last->ends_ms != DECISION_NO_TIME &&
                                             comparison->found->state.now_ms >= last->ends_ms);
}

/* ---- R7 ---- */

static void check_keys_stay(const struct comparison *comparison) {
    const struct reserve_state *state = &comparison->found->state;
    for (size_t k = 0; k < RESERVE_KEYS; k++)
        if (state->ttl_ms[k] >= 0 && !is_over(comparison))
            tell(comparison, CHECK_R7, "ttl", k,
                 "key %c has an end, in %" PRId64 " ms: PERSIST, and find who set it", "mufo"[k],
                 state -> ttl_ms[k]);
    if (!slice_eq(state->policy, SLICE("noeviction")))
        tell(comparison, CHECK_R7, "policy", 0,
             "maxmemory-policy of its node is %s and must be noeviction",
             comparison->found->policy);
}

/* ---- R5 ---- */

/* While something is left to hand out. */
static bool hands_out(const struct reserved_event *found) {
    const struct reserve_state *state = &found->state;
    bool is_over = state->ends_ms != DECISION_NO_TIME && state->now_ms >= state->ends_ms;
    return state->status != 3 && !is_over && (found->free_count > 0 || state->next <= state->stock);
}

static bool is_at_the_log(const struct comparison *comparison) {
    const struct reserve_state *state = &comparison->found->state;
    return state->gen == comparison->last->gen && state->ver == comparison->last->ver;
}

static void check_place(const struct comparison *comparison) {
    const struct reserve_state *state = &comparison->found->state;
    const struct truth_entry *last = comparison->last;
    if (is_over(comparison) && state->gen <= last->gen && !is_at_the_log(comparison)) return;
    if (!is_at_the_log(comparison)) {
        tell(comparison, CHECK_R5, "place", 0,
             "is of gen %" PRId64 " ver %" PRId64 ", the log of gen %" PRIu32 " ver %" PRIu32,
             state->gen, state->ver, last->gen, last->ver);
        return;
    }
    const struct {
        const char *name;
        int64_t found, right;
    } fields[] = {
        {"n", state->stock, last->stock},
        {"t0", state->starts_ms, last->starts_ms},
        {"t1", state->ends_ms, last->ends_ms},
        {"st", state->status, last->state + 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (fields[i].found != fields[i].right)
            tell(comparison, CHECK_R5, fields[i].name, 0, "%s is %" PRId64 ", by the log %" PRId64,
                 fields[i].name, fields[i].found, fields[i].right);
    if (!state->is_token_now && hands_out(comparison->found))
        tell(comparison, CHECK_R5, "tok", 0,
             "was installed into another process than the one that has it: nothing is handed out");
}

/* ---- R4 ---- */

enum { SEEN_HELD = 1, SEEN_FREE = 2 };

/* Marks it. False when it was marked before, or cannot be: outside of all that there ever was. */
static bool mark(const struct comparison *comparison, unsigned char *seen, int64_t serial,
                 unsigned char as) {
    if (serial < 1 || serial >= comparison->event->serials_count) return false;
    bool is_new = seen[serial] == 0;
    seen[serial] |= as;
    return is_new;
}

static int64_t check_holders(const struct comparison *comparison, unsigned char *seen) {
    const struct reserved_event *found = comparison->found;
    int64_t held = 0;
    for (uint32_t i = 0; i < found->holders_count; i++) {
        const struct reserved_holder *holder = &found->holders[i];
        struct slice user = user_of(comparison, holder->user);
        if (!holder->is_readable)
            tell(comparison, CHECK_R4, "record", holder->user, "what user %.*s has is no record",
                 (int)user.n, user.p);
        if (holder->is_readable && holder->serial == 0) continue; /* gave it back */
        held++;
        bool is_good = holder->serial <= found->state.stock &&
                       mark(comparison, seen, holder->serial, SEEN_HELD);
        if (holder->is_readable && !is_good)
            tell(comparison, CHECK_R4, "serial", holder->user,
                 "user %.*s has serial %" PRId64 " of %" PRId64
                 ", which is none or another one's, too",
                 (int)user.n, user.p, holder->serial, found->state.stock);
    }
    return held;
}

static void check_free(const struct comparison *comparison, unsigned char *seen) {
    const struct reserved_event *found = comparison->found;
    for (uint32_t i = 0; i < found->free_count; i++)
        if (found->free[i] >= found->state.next ||
            !mark(comparison, seen, found->free[i], SEEN_FREE))
            tell(comparison, CHECK_R4, "free", (uint64_t)found->free[i],
                 "serial %" PRId64 " is free, and held, free twice, or not handed out yet",
                 found->free[i]);
}

static void check_serials(const struct comparison *comparison) {
    const struct reserved_event *found = comparison->found;
    unsigned char *seen = calloc(comparison->event->serials_count + 1, 1);
    if (seen == NULL) {
        comparison->checks->failed = true;
        return;
    }
    int64_t held = check_holders(comparison, seen);
    check_free(comparison, seen);
    free(seen);
    if (held == found->state.next - 1 - found->free_count) return;
    tell(comparison, CHECK_R4, "sum", 0,
         "%" PRId64 " hold a serial, but next is %" PRId64 " and %" PRIu32 " are free", held,
         found->state.next, found->free_count);
}

/* ---- R2 and R3 ---- */

static void check_holder_is_reserved(const struct comparison *comparison,
                                     const struct truth_entry *entry) {
    const struct reserved_event *found = comparison->found;
    uint32_t number = pairs_get(&found->by_user, 0, entry->user);
    struct slice user = user_of(comparison, entry->user);
    if (number == PAIR_UNKNOWN) {
        tell(comparison, CHECK_R2, "user", entry->user,
             "user %.*s has serial %" PRIu32 " by the log (seq %" PRIu64 "), and nothing here",
             (int)user.n, user.p, entry->serial, entry->seq);
        return;
    }
    const struct reserved_holder *holder = &found->holders[number];
    if (!holder->is_readable || holder->serial == entry->serial) return; /* R4 has told the one */
    tell(comparison, CHECK_R2, "user", entry->user,
         "user %.*s has serial %" PRIu32 " by the log (seq %" PRIu64 "), and here %" PRId64,
         (int)user.n, user.p, entry->serial, entry->seq, holder->serial);
}

static bool is_in_log(const struct comparison *comparison, const struct reserved_holder *holder) {
    uint32_t number = truth_issued_to(comparison->truth, comparison->event, holder->user);
    return number != TRUTH_NONE && comparison->event->entries[number].is_held;
}

static void check_on_its_way(const struct comparison *comparison,
                             const struct reserved_holder *holder) {
    int64_t age_ms = comparison->found->state.now_ms - holder->ms;
    struct slice user = user_of(comparison, holder->user);
    if (!holder->is_readable || holder->serial == 0 || age_ms < RESERVATION_AGE_MS_MAX ||
        is_in_log(comparison, holder))
        return;
    tell(comparison, CHECK_R3, "user", holder->user,
         "user %.*s has reserved serial %" PRId64 " since %" PRId64
         " s, and the log does not know: no server has written it",
         (int)user.n, user.p, holder->serial, age_ms / 1000);
}

/* ---- All ---- */

static void compare_state(const struct comparison *comparison) {
    const struct truth_event *event = comparison->event;
    const struct reserved_event *found = comparison->found;
    check_place(comparison);
    if (found->state.is_brief) return;
    check_serials(comparison);
    if (!is_at_the_log(comparison)) return;
    for (uint32_t serial = 1; serial < event->serials_count; serial++)
        if (event->serials[serial].holder != TRUTH_NONE)
            check_holder_is_reserved(comparison, &event->entries[event->serials[serial].holder]);
    for (uint32_t i = 0; i < found->holders_count; i++)
        check_on_its_way(comparison, &found->holders[i]);
}

static void compare_event(const struct comparison *comparison) {
    const struct reserve_state *state = &comparison->found->state;
    bool is_wrong = false;
    check_keys_stay(comparison);
    for (size_t k = 0; k < RESERVE_KEYS; k++) {
        if (state->is_wrong[k])
            tell(comparison, CHECK_R4, "type", k, "key %c is of a wrong type", "mufo"[k]);
        is_wrong |= state->is_wrong[k];
    }
    if (is_wrong) return;
    if (state->is_there && state->is_readable)
        compare_state(comparison);
    else if (state->is_there)
        tell(comparison, CHECK_R5, "fields", 0, "key m lacks what an event has");
    else if (!is_over(comparison))
        tell(comparison, CHECK_R5, "missing", 0,
             "nothing is here; the log is at gen %" PRIu32 " ver %" PRIu32, comparison->last->gen,
             comparison->last->ver);
}

void reservations_compare(const struct reservations *reservations, const struct truth *truth,
                          const char *name, struct checks *checks) {
    for (uint32_t i = 0; i < reservations->count; i++) {
        const struct reserved_event *found = &reservations->events[i];
        const struct truth_event *event = truth_event(truth, found->id);
        if (event == NULL) continue; /* cannot be: logs only grow */
        struct comparison comparison = {.truth = truth,
                                        .event = event,
                                        .last = truth_last(event),
                                        .found = found,
                                        .name = name,
                                        .checks = checks};
        checks->event = (uint32_t)(event - truth->events) + 1;
        compare_event(&comparison);
        checks->event = 0;
    }
}
