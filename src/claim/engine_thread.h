/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the engine on a thread of its own, between the network threads and the log.
 *
 *     network thread --- claims of a tick, controls, applied-up-to --->  engine thread
 *     network thread <-- decided records, answers, the time, fail-stop --  engine thread
 *
 * Parcels travel through mailboxes: one lock for a tick's worth of claims, none for claims that a
 * view answers by itself.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "claim/engine.h"
#include "claim/view_mark.h"
#include "lib/clock.h"
#include "lib/mailbox.h"
#include "lib/metrics.h"

struct engine_ops;
struct engine_thread;

/* ---- What a network thread sends ---- */

enum to_engine_kind { TO_ENGINE_CLAIMS, TO_ENGINE_CONTROL, TO_ENGINE_APPLIED, TO_ENGINE_WAKE };

struct to_engine { /* malloc'd by the sender, freed by the engine thread */
    struct parcel parcel;
    enum to_engine_kind kind;
    uint32_t thread; /* the sender */
    union {
        struct { /* CLAIMS: the claims follow, in order of arrival */
            uint32_t count;
        };
        struct { /* CONTROL: the encoded record follows */
            uint64_t token;
            uint32_t bytes;
        };
        struct { /* APPLIED: this thread's view has reached `offset`; sent when a block asked for
                    it, and with UINT64_MAX when the thread ends */
            uint64_t offset;
        };
    };
    _Alignas(8) char body[];
};

/* ---- What a network thread gets, in this order within a tick ---- */

/* Decided records, shared by all network threads; freed by the last one to release it. */
struct record_block {
    atomic_uint references;
    uint32_t bytes;
    bool wants_applied; /* send TO_ENGINE_APPLIED once applied: an admin write waits for it */
    _Alignas(8) char records[];
};
void record_block_release(struct record_block *block);

struct claim_answer {
    uint64_t token;
    enum claim_outcome outcome;
};
struct control_answer {
    uint64_t token;
    enum control_outcome outcome;
};

enum from_engine_kind {
    FROM_ENGINE_RECORDS,
    FROM_ENGINE_ANSWERS,
    FROM_ENGINE_CONTROL,
    FROM_ENGINE_TIME,
    FROM_ENGINE_FAILED
};

struct from_engine { /* malloc'd by the engine thread, freed by the receiver */
    struct parcel parcel;
    enum from_engine_kind kind;
    int64_t now_ms; /* engine_told_ms, in every kind */
    union {
        struct record_block *block;    /* RECORDS: release it */
        uint32_t count;                /* ANSWERS: that many claim_answer in `answers` */
        struct control_answer control; /* CONTROL: every thread has applied it */
        int code;                      /* FAILED: answer what waits, send it, then call
                                          engine_thread_failed_seen */
    };
    struct claim_answer answers[];
};

struct engine_thread_options {
    const struct engine_ops *ops;
    void *(*make)(void *ctx,
                  const struct engine_sink *sink); /* an engine of `ops` with this sink */
    void *make_ctx;
    /* For an engine that waits for more than parcels: returns after `timeout_ms`, or before when
     * `wake` was called (by any thread) or something else has come for it. NULL: only parcels. */
    void (*wait)(void *engine, int timeout_ms);
    void (*wake)(void *ctx);
    void *wake_ctx;
    struct log *log;
    const struct clock *clock;
    struct mailbox *const *threads; /* of the network threads; index = claim.thread */
    uint32_t threads_count;
    uint32_t followers_count; /* the last so many of `threads` only follow: they get RECORDS and
                                 nothing else, send nothing, and nobody waits for them */
};

/* Starts the thread. NULL when it cannot. The threads' mailboxes must exist until _stop. */
struct engine_thread *engine_thread_start(const struct engine_thread_options *options);

/* Where network threads (to_engine) and the log's own thread (a bare wake-up) send to. */
struct mailbox *engine_thread_mailbox(struct engine_thread *engine);

/* Wakes the engine so that it calls log_ops.pump. Any thread. */
void engine_thread_wake(struct engine_thread *engine);

/* What the engine's thread saw last, for /health and metrics. Any thread may ask. */
struct engine_health {
    bool has_failed;        /* the log: the process is about to end */
    bool has_reserve;       /* log_ops.has_reserve: false when disk space runs short */
    uint64_t room_bytes;    /* log_ops.room_bytes */
    uint64_t busy_since_ns; /* monotonic: since when the batch on its way is; 0 while idle */
    uint64_t turns;         /* made so far: who wakes the thread sees it move while that is well */
};
void engine_thread_health(const struct engine_thread *engine, struct engine_health *health);

/* What the engine's thread has counted since the start. Any thread may read them, until _stop. */
struct engine_counts {
    struct histogram turn_claims; /* histogram_sizes: claims that came together */
    struct counter controls[CONTROL_UNAVAILABLE + 1]; /* by enum control_outcome */
    struct counter claims_waiting, controls_waiting;  /* gauges: without an answer by now */
    struct counter offset;                            /* gauge: seq of the last record judged */
};
const struct engine_counts *engine_thread_counts(const struct engine_thread *engine);
/* Where the engine's view is. */
const struct view_mark *engine_thread_mark(const struct engine_thread *engine);
const struct engine_verdicts *engine_thread_verdicts(const struct engine_thread *engine);

/* A network thread has sent what it had to after FROM_ENGINE_FAILED. When all have, or half a
 * second has passed, the process ends with status 70. */
void engine_thread_failed_seen(struct engine_thread *engine);

/* Lets what is on its way finish (the network threads send nothing more), ends and joins. The log's
 * thread may still wake what has ended, until engine_thread_free. */
void engine_thread_stop(struct engine_thread *engine);
/* Once the log's thread has ended. */
void engine_thread_free(struct engine_thread *engine);
