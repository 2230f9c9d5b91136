/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of the engine's thread. A turn of it is:
 *
 *     wait for parcels, or for the time of a start or end
 *     engine_begin, pump the log, feed the parcels, engine_end
 *     tell the time when it is due
 *     send each network thread its chain
 *
 * Everything here but engine_thread_wake, _failed_seen, _health, the mailbox and the stop flag
 * belongs to that one thread. Memory it cannot get for a parcel ends the process: an answer that
 * cannot be told must not be lost silently, and after a restart the journal knows it.
 */
#include "claim/engine_thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim/engine_ops.h"
#include "claim/outbox.h"
#include "lib/base.h"
#include "lib/failpoint.h"
#include "lib/logger.h"
#include "log/record.h"

enum {
    EXIT_FAIL_STOP = 70,
    FAILED_SEEN_WAIT_MS = 500,
    TIME_TOLD_EVERY_MS = 500, /* while some event has a start or an end ahead */
    WAIT_IDLE_MS = 1000,
    /* The machine's clock may be set while we wait, so near a boundary the waits are short. */
    BOUNDARY_NEAR_MS = 10 * 1000,
    WAIT_NEAR_BOUNDARY_MS = 100,
};

/* A control record on its way: its address is the token that the engine sees. */
struct pending_control {
    struct pending_control *next;
    uint64_t token; /* the asker's */
    uint32_t thread;
    uint64_t offset; /* every thread must have applied this much */
};

struct engine_thread {
    struct engine_thread_options options;
    void *engine; /* of options.ops */
    struct mailbox box;
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint failed_seen;

    /* What /health asks for, as of the last turn. */
    atomic_bool has_failed, has_reserve;
    atomic_uint_least64_t room_bytes, busy_since_ns, turns;
    struct engine_counts counts;
    struct view_mark mark;
    uint64_t turn_claims; /* that came in this turn */

    int64_t told_ms;         /* engine_told_ms: what every parcel says */
    int64_t boundary_ms;     /* the next start or end that views have not been told of */
    uint64_t time_told_ns;   /* 0: never */
    uint64_t claims_waiting; /* given to the engine, not yet answered */
    uint64_t controls_waiting;
    uint64_t block_offset; /* last record of the last block that wants to be applied */
    int failed_code;       /* 0 while all is well */

    struct outbox *outboxes;          /* one for each network thread */
    uint64_t *applied;                /* likewise: how far its view is known to be */
    struct pending_control *applying; /* decided, not yet applied by every thread */
};

void record_block_release(struct record_block *block) {
    if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) == 1) free(block);
}

/* How many of the threads have views that answers come from. */
static uint32_t askers_count(const struct engine_thread *engine) {
    return engine->options.threads_count - engine->options.followers_count;
}

static uint64_t offset_of(const struct engine_thread *engine) {
    return view_offset(engine->options.ops->view(engine->engine));
}

/* ---- The engine's sink ---- */

static uint64_t last_offset(struct slice records) {
    struct record record = {.seq = 0};
    for (size_t at = 0, bytes; at < records.n; at += bytes) {
        enum record_status status =
            record_decode(slice_of(records.p + at, records.n - at), &record, &bytes);
        ASSERT(status == RECORD_OK);
    }
    return record.seq;
}

static void on_records(void *ctx, struct slice records) {
    struct engine_thread *engine = ctx;
    uint32_t threads_count = engine->options.threads_count;
    atomic_store_explicit(&engine->busy_since_ns, 0, memory_order_relaxed);
    bool wants_applied = engine->controls_waiting > 0;
    if (wants_applied) engine->block_offset = last_offset(records);
    if (threads_count == 0) return;
    struct record_block *block = memory_needed(malloc(sizeof *block + records.n));
    atomic_init(&block->references, threads_count);
    block->bytes = (uint32_t)records.n;
    block->wants_applied = wants_applied;
    memcpy(block->records, records.p, records.n);
    for (uint32_t i = 0; i < threads_count; i++)
        outbox_add(&engine->outboxes[i], FROM_ENGINE_RECORDS, engine->told_ms)->block = block;
}

static void on_answer(void *ctx, uint32_t thread, uint64_t token, enum claim_outcome outcome) {
    struct engine_thread *engine = ctx;
    ASSERT(thread < askers_count(engine) && engine->claims_waiting > 0);
    engine->claims_waiting--;
    outbox_add_answer(&engine->outboxes[thread], engine->told_ms,
                      (struct claim_answer){.token = token, .outcome = outcome});
}

static void control_tell(struct engine_thread *engine, struct pending_control *control,
                         enum control_outcome outcome) {
    counter_add(&engine->counts.controls[outcome], 1);
    outbox_add(&engine->outboxes[control->thread], FROM_ENGINE_CONTROL, engine->told_ms)->control =
        (struct control_answer){.token = control->token, .outcome = outcome};
    free(control);
}

static void on_control(void *ctx, uint64_t token, enum control_outcome outcome) {
    struct engine_thread *engine = ctx;
    struct pending_control *control = (struct pending_control *)(uintptr_t)token;
    ASSERT(engine->controls_waiting > 0);
    engine->controls_waiting--;
    if (outcome != CONTROL_DONE) {
        control_tell(engine, control, outcome);
        return;
    }
    control->offset = engine->block_offset;
    control->next = engine->applying;
    engine->applying = control;
}

static void on_failed(void *ctx, int code) {
    struct engine_thread *engine = ctx;
    engine->failed_code = code == 0 ? -1 : code;
}

/* ---- Parcels of the network threads ---- */

static void take_claims(struct engine_thread *engine, const struct to_engine *message) {
    const struct claim *claims = (const struct claim *)(const void *)message->body;
    engine->claims_waiting += message->count;
    engine->turn_claims += message->count;
    for (uint32_t i = 0; i < message->count; i++)
        engine->options.ops->claim(engine->engine, &claims[i]);
}

static void take_control(struct engine_thread *engine, const struct to_engine *message) {
    struct record record;
    enum record_status status =
        record_decode(slice_of(message->body, message->bytes), &record, NULL);
    ASSERT(status == RECORD_OK && message->thread < askers_count(engine));
    struct pending_control *control = memory_needed(malloc(sizeof *control));
    *control = (struct pending_control){.token = message->token, .thread = message->thread};
    engine->controls_waiting++;
    engine->options.ops->control(engine->engine, &record, (uintptr_t)control);
}

static bool everybody_applied(const struct engine_thread *engine, uint64_t offset) {
    for (uint32_t i = 0; i < askers_count(engine); i++)
        if (engine->applied[i] < offset) return false;
    return true;
}

static void take_applied(struct engine_thread *engine, const struct to_engine *message) {
    ASSERT(message->thread < askers_count(engine));
    if (message->offset > engine->applied[message->thread])
        engine->applied[message->thread] = message->offset;
}

/* Lets the claims of an event go on, and answers whoever asked, when every thread has applied its
 * control record. During a stop the threads say nothing any more: then nobody is waited for. */
static void finish_applied(struct engine_thread *engine, bool stopping) {
    for (struct pending_control **link = &engine->applying; *link != NULL;) {
        struct pending_control *control = *link;
        if (stopping || everybody_applied(engine, control->offset)) {
            *link = control->next;
            FAILPOINT("control_applied_by_all");
            engine->options.ops->control_seen(engine->engine, (uintptr_t)control);
            control_tell(engine, control, CONTROL_DONE);
        } else {
            link = &control->next;
        }
    }
}

static void take_parcels(struct engine_thread *engine, struct parcel *chain) {
    for (struct parcel *parcel = chain, *next; parcel != NULL; parcel = next) {
        next = parcel->next;
        struct to_engine *message = CONTAINER_OF(parcel, struct to_engine, parcel);
        switch (message->kind) {
        case TO_ENGINE_CLAIMS:
            take_claims(engine, message);
            break;
        case TO_ENGINE_CONTROL:
            take_control(engine, message);
            break;
        case TO_ENGINE_APPLIED:
            take_applied(engine, message);
            break;
        case TO_ENGINE_WAKE:
            break;
        }
        free(message);
    }
}

/* ---- Time ---- */

/* How long the next wait may be, so that no start and no end is told late. */
static int wait_ms(const struct engine_thread *engine) {
    if (engine->time_told_ns == 0) return 0;
    int64_t boundary_ms = engine->options.ops->next_boundary_ms(engine->engine);
    if (boundary_ms == TIME_MS_MAX) return WAIT_IDLE_MS;
    int64_t left_ms = boundary_ms - clock_wall_ms(engine->options.clock);
    if (left_ms > BOUNDARY_NEAR_MS) return TIME_TOLD_EVERY_MS;
    if (left_ms > WAIT_NEAR_BOUNDARY_MS) return WAIT_NEAR_BOUNDARY_MS;
    return left_ms > 0 ? (int)left_ms : 0;
}

static bool time_is_due(const struct engine_thread *engine, uint64_t now_ns) {
    if (engine->time_told_ns == 0 || engine->told_ms >= engine->boundary_ms) return true;
    return engine->boundary_ms != TIME_MS_MAX &&
           now_ns - engine->time_told_ns >= TIME_TOLD_EVERY_MS * UINT64_C(1000000);
}

static void tell_time(struct engine_thread *engine) {
    uint64_t now_ns = clock_monotonic_ns(engine->options.clock);
    engine->told_ms = engine->options.ops->told_ms(engine->engine);
    if (time_is_due(engine, now_ns)) {
        for (uint32_t i = 0; i < askers_count(engine); i++)
            outbox_add(&engine->outboxes[i], FROM_ENGINE_TIME, engine->told_ms);
        engine->time_told_ns = now_ns == 0 ? 1 : now_ns;
    }
    /* A boundary that the engine has passed is kept while it may not be told yet. */
    int64_t next_ms = engine->options.ops->next_boundary_ms(engine->engine);
    if (engine->told_ms >= engine->boundary_ms || next_ms < engine->boundary_ms)
        engine->boundary_ms = next_ms;
}

/* ---- The loop ---- */

/* Records go to everybody before the answers that rest on them go to anybody: who was told of a
 * coupon finds it wherever they ask next. */
static void send_all(struct engine_thread *engine) {
    bool is_more = true;
    while (is_more) {
        is_more = false;
        for (uint32_t i = 0; i < engine->options.threads_count; i++)
            if (outbox_send(&engine->outboxes[i], engine->options.threads[i])) is_more = true;
    }
}

/* Everybody gets the chance to say what can still be said; then the process ends, because only a
 * new one reads from the disk what is really there. */
static _Noreturn void fail_stop(struct engine_thread *engine) {
    uint32_t count = askers_count(engine);
    for (uint32_t i = 0; i < count; i++)
        outbox_add(&engine->outboxes[i], FROM_ENGINE_FAILED, engine->told_ms)->code =
            engine->failed_code;
    send_all(engine);
    logger_line(LOG_ERROR, "engine",
                "event=fail_stop code=%d text=\"%s\" hint=\"the log cannot be written; a restart "
                "reads back what is in it\"",
                engine->failed_code, strerror(abs(engine->failed_code)));
    const struct clock *clock = engine->options.clock;
    uint64_t deadline_ns = clock_monotonic_ns(clock) + FAILED_SEEN_WAIT_MS * UINT64_C(1000000);
    while (atomic_load(&engine->failed_seen) < count) {
        uint64_t now_ns = clock_monotonic_ns(clock);
        if (now_ns >= deadline_ns) break;
        mailbox_wait(&engine->box, (int)((deadline_ns - now_ns) / 1000000) + 1);
    }
    _exit(EXIT_FAIL_STOP);
}

static void note_health(struct engine_thread *engine) {
    const struct log *log = engine->options.log;
    atomic_fetch_add_explicit(&engine->turns, 1, memory_order_relaxed);
    bool is_failed = engine->failed_code != 0;
    atomic_store_explicit(&engine->has_failed, is_failed, memory_order_relaxed);
    if (is_failed) return;
    uint64_t since_ns = atomic_load_explicit(&engine->busy_since_ns, memory_order_relaxed);
    if (log->ops->is_idle(log))
        since_ns = 0;
    else if (since_ns == 0)
        since_ns = clock_monotonic_ns(engine->options.clock);
    atomic_store_explicit(&engine->busy_since_ns, since_ns, memory_order_relaxed);
    atomic_store_explicit(&engine->has_reserve, log->ops->has_reserve(log), memory_order_relaxed);
    atomic_store_explicit(&engine->room_bytes, log->ops->room_bytes(log), memory_order_relaxed);
}

static void note_counts(struct engine_thread *engine) {
    struct engine_counts *counts = &engine->counts;
    if (engine->turn_claims != 0)
        histogram_record(&counts->turn_claims, &histogram_sizes, engine->turn_claims);
    engine->turn_claims = 0;
    counter_set(&counts->claims_waiting, engine->claims_waiting);
    counter_set(&counts->controls_waiting, engine->controls_waiting);
    if (counter_read(&counts->offset) == offset_of(engine)) return;
    counter_set(&counts->offset, offset_of(engine));
    view_mark_publish(&engine->mark, engine->options.ops->view(engine->engine));
}

static void turn(struct engine_thread *engine, struct parcel *parcels, bool stopping) {
    (void)engine->options.ops->begin(engine->engine, clock_wall_ms(engine->options.clock));
    engine->told_ms = engine->options.ops->told_ms(engine->engine);
    engine->options.log->ops->pump(engine->options.log);
    take_parcels(engine, parcels);
    finish_applied(engine, stopping);
    engine->options.ops->end(engine->engine);
    tell_time(engine);
    note_health(engine);
    note_counts(engine);
    if (engine->failed_code != 0) fail_stop(engine);
    FAILPOINT("before_answer");
    send_all(engine);
    FAILPOINT("after_answer");
}

static bool is_idle(const struct engine_thread *engine) {
    return engine->claims_waiting == 0 && engine->controls_waiting == 0;
}

static struct parcel *wait(struct engine_thread *engine, int timeout_ms) {
    if (engine->options.wait == NULL) return mailbox_wait(&engine->box, timeout_ms);
    engine->options.wait(engine->engine, timeout_ms);
    return mailbox_take(&engine->box);
}

static void *run(void *argument) {
    struct engine_thread *engine = argument;
    (void)pthread_setname_np(pthread_self(), "engine");
    for (bool stopping = false, was_stopping = false; !was_stopping || !is_idle(engine);) {
        /* What was sent before the stop is among the parcels taken after it was noticed. */
        was_stopping = stopping;
        int timeout_ms = stopping && is_idle(engine) ? 0 : wait_ms(engine);
        struct parcel *parcels = wait(engine, timeout_ms);
        stopping = atomic_load(&engine->stopping);
        turn(engine, parcels, stopping);
    }
    FAILPOINT("stop_engine_ended");
    return NULL;
}

/* ---- Life, and what other threads call ---- */

static void free_parcels(struct parcel *chain) {
    for (struct parcel *parcel = chain, *next; parcel != NULL; parcel = next) {
        next = parcel->next;
        free(CONTAINER_OF(parcel, struct to_engine, parcel));
    }
}

void engine_thread_free(struct engine_thread *engine) {
    if (engine->engine != NULL) engine->options.ops->free(engine->engine);
    for (uint32_t i = 0; engine->outboxes != NULL && i < engine->options.threads_count; i++)
        outbox_deinit(&engine->outboxes[i]);
    for (struct pending_control *control = engine->applying, *next; control != NULL;
         control = next) {
        next = control->next;
        free(control);
    }
    free_parcels(mailbox_take(&engine->box));
    mailbox_deinit(&engine->box);
    free(engine->outboxes);
    free(engine->applied);
    free(engine);
}

static bool engine_thread_make(struct engine_thread *engine) {
    const struct engine_thread_options *options = &engine->options;
    const struct engine_sink sink = {engine, on_records, on_answer, on_control, on_failed};
    size_t count = options->threads_count == 0 ? 1 : options->threads_count;
    engine->outboxes = calloc(count, sizeof *engine->outboxes);
    engine->applied = calloc(count, sizeof *engine->applied);
    if (engine->outboxes == NULL || engine->applied == NULL) return false;
    for (uint32_t i = 0; i < options->threads_count; i++) outbox_init(&engine->outboxes[i]);
    engine->boundary_ms = TIME_MS_MAX;
    engine->engine = options->make(options->make_ctx, &sink);
    if (engine->engine == NULL) return false;
    counter_set(&engine->counts.offset, offset_of(engine));
    view_mark_publish(&engine->mark, engine->options.ops->view(engine->engine));
    return true;
}

struct engine_thread *engine_thread_start(const struct engine_thread_options *options) {
    struct engine_thread *engine = calloc(1, sizeof *engine);
    if (engine == NULL) return NULL;
    engine->options = *options;
    mailbox_init(&engine->box, options->wake, options->wake_ctx);
    if (engine_thread_make(engine) && pthread_create(&engine->thread, NULL, run, engine) == 0)
        return engine;
    engine_thread_free(engine);
    return NULL;
}

struct mailbox *engine_thread_mailbox(struct engine_thread *engine) {
    return &engine->box;
}

void engine_thread_health(const struct engine_thread *engine, struct engine_health *health) {
    *health = (struct engine_health){
        .has_failed = atomic_load_explicit(&engine->has_failed, memory_order_relaxed),
        .has_reserve = atomic_load_explicit(&engine->has_reserve, memory_order_relaxed),
        .room_bytes = atomic_load_explicit(&engine->room_bytes, memory_order_relaxed),
        .busy_since_ns = atomic_load_explicit(&engine->busy_since_ns, memory_order_relaxed),
        .turns = atomic_load_explicit(&engine->turns, memory_order_relaxed),
    };
}

const struct engine_counts *engine_thread_counts(const struct engine_thread *engine) {
    return &engine->counts;
}

const struct view_mark *engine_thread_mark(const struct engine_thread *engine) {
    return &engine->mark;
}

const struct engine_verdicts *engine_thread_verdicts(const struct engine_thread *engine) {
    return engine->options.ops->verdicts(engine->engine);
}

void engine_thread_wake(struct engine_thread *engine) {
    struct to_engine *message = memory_needed(malloc(sizeof *message));
    *message = (struct to_engine){.kind = TO_ENGINE_WAKE};
    mailbox_send(&engine->box, &message->parcel);
}

void engine_thread_failed_seen(struct engine_thread *engine) {
    atomic_fetch_add(&engine->failed_seen, 1);
    engine_thread_wake(engine);
}

void engine_thread_stop(struct engine_thread *engine) {
    atomic_store(&engine->stopping, true);
    engine_thread_wake(engine);
    pthread_join(engine->thread, NULL);
}
