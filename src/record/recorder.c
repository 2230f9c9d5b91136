/* SPDX-License-Identifier: Apache-2.0 */
#include "record/recorder.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/logger.h"

enum { WAIT_FIRST_MS = 10, WAIT_MAX_MS = 1000 };

struct recorder {
    struct store *store;
    struct store_position applied, reached;
    size_t count;
    uint32_t wait_ms; /* 0 while the store obeys */
    bool is_caught_up;
    struct logger_limit waits;

    atomic_int state;
    atomic_uint_least64_t applied_seq, commits, changes_made, retries, rebuilds;

    struct store_change changes[RECORDER_BATCH_MAX];
};

struct recorder *recorder_new(struct store *store) {
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (recorder == NULL) {
        store->ops->free(store);
        return NULL;
    }
    recorder->store = store;
    atomic_init(&recorder->state, RECORDER_CATCHING_UP);
    return recorder;
}

void recorder_free(struct recorder *recorder) {
    if (recorder == NULL) return;
    recorder->store->ops->free(recorder->store);
    free(recorder);
}

/* ---- What it says of itself ---- */

static void set(atomic_uint_least64_t *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_least64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void enter(struct recorder *recorder, enum recorder_state state) {
    atomic_store_explicit(&recorder->state, (int)state, memory_order_relaxed);
}

static void set_applied(struct recorder *recorder, const struct store_position *position) {
    recorder->applied = *position;
    set(&recorder->applied_seq, position->seq);
}

const char *recorder_state_name(enum recorder_state state) {
    static const char *const names[] = {[RECORDER_CATCHING_UP] = "catching_up",
                                        [RECORDER_FOLLOWING] = "ok",
                                        [RECORDER_WAITING] = "waiting",
                                        [RECORDER_IS_STOPPED] = "stopped"};
    return names[state];
}

void recorder_health(const struct recorder *recorder, struct recorder_health *health) {
    *health = (struct recorder_health){
        .state = (enum recorder_state)atomic_load_explicit(&recorder->state, memory_order_relaxed),
        .applied_seq = get(&recorder->applied_seq),
        .commits = get(&recorder->commits),
        .changes = get(&recorder->changes_made),
        .retries = get(&recorder->retries),
        .rebuilds = get(&recorder->rebuilds),
    };
}

/* ---- What to do next ---- */

static enum recorder_next go_on(struct recorder *recorder) {
    if (recorder->wait_ms != 0)
        logger_line(LOG_INFO, "copy", "event=copy_goes_on applied_seq=%" PRIu64,
                    recorder->applied.seq);
    recorder->wait_ms = 0;
    enter(recorder, recorder->is_caught_up ? RECORDER_FOLLOWING : RECORDER_CATCHING_UP);
    return RECORDER_GO_ON;
}

static enum recorder_next wait(struct recorder *recorder, const char *why) {
    recorder->wait_ms = recorder->wait_ms == 0 ? WAIT_FIRST_MS : recorder->wait_ms * 2;
    if (recorder->wait_ms > WAIT_MAX_MS) recorder->wait_ms = WAIT_MAX_MS;
    set(&recorder->retries, get(&recorder->retries) + 1);
    enter(recorder, RECORDER_WAITING);
    logger_line_limited(&recorder->waits, LOG_WARN, "copy",
                        "event=copy_waits text=\"%s\" hint=\"nothing is lost: the journal has it "
                        "all, and this is tried again\"",
                        why);
    return RECORDER_WAIT;
}

enum recorder_next recorder_refuse(struct recorder *recorder, const char *why) {
    logger_line(LOG_WARN, "copy",
                "event=copy_rebuilt text=\"%s\" hint=\"it is put aside and made again from the "
                "journal\"",
                why);
    recorder->is_caught_up = false;
    return RECORDER_REBUILD;
}

enum recorder_next recorder_stop(struct recorder *recorder, const char *why) {
    enter(recorder, RECORDER_IS_STOPPED);
    logger_line(LOG_ERROR, "copy",
                "event=copy_stopped text=\"%s\" hint=\"claims go on, and the journal is right; see "
                "docs/data.md\"",
                why);
    return RECORDER_STOPPED;
}

static enum recorder_next after(struct recorder *recorder, enum store_status status,
                                const struct err *err) {
    switch (status) {
    case STORE_OK:
        return go_on(recorder);
    case STORE_LATER:
        return wait(recorder, err->text);
    case STORE_DAMAGED:
        return recorder_refuse(recorder, err->text);
    case STORE_CONFLICT:
        break;
    }
    return recorder_stop(recorder, err->text);
}

uint32_t recorder_wait_ms(const struct recorder *recorder) {
    return recorder->wait_ms;
}

void recorder_caught_up(struct recorder *recorder) {
    recorder->is_caught_up = true;
    enter(recorder, RECORDER_FOLLOWING);
}

/* ---- The store ---- */

enum recorder_next recorder_open(struct recorder *recorder) {
    struct err err = {0};
    struct store_position position = {.seq = 0};
    enum store_status status = recorder->store->ops->open(recorder->store, &position, &err);
    if (status == STORE_OK) {
        set_applied(recorder, &position);
        recorder->reached = position;
        recorder->count = 0;
    }
    return after(recorder, status, &err);
}

enum recorder_next recorder_reset(struct recorder *recorder) {
    struct err err = {0};
    enum store_status status = recorder->store->ops->reset(recorder->store, &err);
    if (status != STORE_OK) return after(recorder, status, &err);
    set(&recorder->rebuilds, get(&recorder->rebuilds) + 1);
    set_applied(recorder, &(struct store_position){.seq = 0});
    recorder->reached = recorder->applied;
    recorder->count = 0;
    return after(recorder, STORE_OK, &err);
}

const struct store_position *recorder_applied(const struct recorder *recorder) {
    return &recorder->applied;
}

/* ---- The batch ---- */

bool recorder_is_full(const struct recorder *recorder) {
    return recorder->count == RECORDER_BATCH_MAX;
}

bool recorder_is_dirty(const struct recorder *recorder) {
    return recorder->reached.seq != recorder->applied.seq;
}

struct store_change *recorder_place(struct recorder *recorder) {
    ASSERT(!recorder_is_full(recorder));
    return &recorder->changes[recorder->count];
}

void recorder_advance(struct recorder *recorder, const struct store_position *position,
                      bool has_change) {
    ASSERT(position->seq > recorder->reached.seq);
    recorder->reached = *position;
    if (has_change) recorder->count++;
}

enum recorder_next recorder_commit(struct recorder *recorder) {
    if (!recorder_is_dirty(recorder)) return RECORDER_GO_ON;
    struct err err = {0};
    enum store_status status =
        recorder->store->ops->apply(recorder->store, recorder->changes, recorder->count,
                                    &recorder->applied, &recorder->reached, &err);
    if (status == STORE_OK) {
        set_applied(recorder, &recorder->reached);
        set(&recorder->commits, get(&recorder->commits) + 1);
        set(&recorder->changes_made, get(&recorder->changes_made) + recorder->count);
        recorder->count = 0;
    }
    return after(recorder, status, &err);
}
