/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal as a log: two threads around one lock.
 *
 *     engine's thread          commit thread                 preparing thread
 *     append:  IDLE -> HANDED  HANDED -> journal_append
 *                              -> DONE, wake the engine
 *     pump:    DONE -> IDLE,
 *              tell the sink   made -> journal_give_segment  wanted -> prepare -> made
 *
 * Only the commit thread touches what journal_append touches; what the others need to know of it
 * (room, whether a segment is wanted) it leaves behind the lock after each of its moves.
 */
#include "log/journal_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/failpoint.h"
#include "lib/logger.h"

/* How long a full disk is left alone before the next try. */
enum { RETRY_MS = 2000 };

enum batch_state {
    BATCH_IDLE,
    BATCH_HANDED, /* the commit thread's */
    BATCH_DONE,   /* to be told by pump */
};

struct journal_thread {
    struct log log; /* first: see journal_thread.h */
    struct journal *journal;
    const struct clock *clock;
    struct journal_counts counts; /* each the committer's or the preparer's */
    void (*wake)(void *ctx);
    void *wake_ctx;
    pthread_t committer, preparer;

    pthread_mutex_t lock; /* over all of the following */
    pthread_cond_t work;  /* for the committer: a batch, a segment, the end */
    pthread_cond_t want;  /* for the preparer: a segment is wanted, the end */
    enum batch_state state;
    void *records;
    size_t bytes, count;
    int code; /* of the last commit */
    uint64_t room_bytes;
    bool wants_segment;
    bool is_short; /* the last try to prepare failed */
    bool is_stopping;
    struct journal_segment *made; /* on its way from the preparer to the journal */
};

static struct journal_thread *thread_of(struct log *log) {
    return CONTAINER_OF(log, struct journal_thread, log);
}

static const struct journal_thread *const_thread_of(const struct log *log) {
    return CONTAINER_OF(log, const struct journal_thread, log);
}

static void lock(const struct journal_thread *thread) {
    ASSERT(pthread_mutex_lock((pthread_mutex_t *)&thread->lock) == 0);
}

static void unlock(const struct journal_thread *thread) {
    ASSERT(pthread_mutex_unlock((pthread_mutex_t *)&thread->lock) == 0);
}

/* ---- The commit thread ---- */

/* Leaves what the others need to know. With the lock held, by whoever owns the journal then. */
static void publish(struct journal_thread *thread) {
    thread->room_bytes = journal_room_bytes(thread->journal);
    thread->wants_segment = journal_wants_segment(thread->journal) && thread->made == NULL;
    if (thread->wants_segment) pthread_cond_signal(&thread->want);
}

static void take_segment(struct journal_thread *thread) {
    FAILPOINT("segment_made");
    journal_give_segment(thread->journal, thread->made);
    thread->made = NULL;
    publish(thread);
}

static void count_commit(struct journal_thread *thread, uint64_t ns) {
    histogram_record(&thread->counts.commit_ns, &histogram_seconds, ns);
    histogram_record(&thread->counts.commit_records, &histogram_sizes, thread->count);
    counter_add(&thread->counts.written_bytes, thread->bytes);
}

/* Called and left with the lock held; the commit itself runs without it. */
static void commit(struct journal_thread *thread) {
    unlock(thread);
    uint64_t begun_ns = clock_monotonic_ns(thread->clock);
    int code = journal_append(thread->journal, thread->records, thread->bytes, thread->count);
    if (code == 0) count_commit(thread, clock_monotonic_ns(thread->clock) - begun_ns);
    lock(thread);
    if (code != 0)
        logger_line(LOG_ERROR, "journal", "event=commit_failed error=\"%s\"", strerror(-code));
    thread->code = code;
    thread->state = BATCH_DONE;
    publish(thread);
}

static void *run_committer(void *ctx) {
    struct journal_thread *thread = ctx;
    (void)pthread_setname_np(pthread_self(), "commit");
    lock(thread);
    for (;;) {
        /* First the segment: the batch may have been let in because of its room. */
        if (thread->made != NULL) {
            take_segment(thread);
        } else if (thread->state == BATCH_HANDED) {
            commit(thread);
            unlock(thread);
            thread->wake(thread->wake_ctx);
            lock(thread);
        } else if (thread->is_stopping) {
            break;
        } else {
            pthread_cond_wait(&thread->work, &thread->lock);
        }
    }
    unlock(thread);
    return NULL;
}

/* ---- The preparing thread ---- */

/* A line for each change, not for each try. */
static void report(struct journal_thread *thread, bool is_short, const struct err *err) {
    if (is_short && !thread->is_short)
        logger_line(LOG_WARN, "journal", "event=segment_not_prepared error=\"%s\"", err->text);
    if (!is_short && thread->is_short) logger_line(LOG_INFO, "journal", "event=segment_prepared");
    thread->is_short = is_short;
}

/* Called and left with the lock held; the work itself runs without it. */
static void prepare(struct journal_thread *thread) {
    struct err err;
    unlock(thread);
    FAILPOINT("segment_wanted");
    struct journal_segment *segment = journal_segment_prepare(thread->journal, &err);
    counter_add(
        segment != NULL ? &thread->counts.segments_prepared : &thread->counts.segments_failed, 1);
    lock(thread);
    report(thread, segment == NULL, &err);
    if (segment == NULL) return;
    thread->made = segment;
    thread->wants_segment = false;
    pthread_cond_signal(&thread->work);
}

/* Waits for a segment to be wanted, or, after a failure, for some time to pass. */
static void wait_for_want(struct journal_thread *thread) {
    if (!thread->is_short) {
        pthread_cond_wait(&thread->want, &thread->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_MS / 1000;
    while (!thread->is_stopping &&
           pthread_cond_timedwait(&thread->want, &thread->lock, &until) == 0) {
    }
}

static void *run_preparer(void *ctx) {
    struct journal_thread *thread = ctx;
    (void)pthread_setname_np(pthread_self(), "prepare");
    lock(thread);
    while (!thread->is_stopping) {
        if (thread->wants_segment) prepare(thread);
        if (!thread->is_stopping && (!thread->wants_segment || thread->is_short))
            wait_for_want(thread);
    }
    unlock(thread);
    return NULL;
}

/* ---- The engine's thread ---- */

static void thread_append(struct log *log, void *records, size_t bytes, size_t count) {
    struct journal_thread *thread = thread_of(log);
    lock(thread);
    ASSERT(thread->state == BATCH_IDLE && thread->code == 0);
    ASSERT(bytes <= thread->room_bytes);
    thread->records = records;
    thread->bytes = bytes;
    thread->count = count;
    thread->state = BATCH_HANDED;
    unlock(thread);
    /* Not under the lock, which the committer would run into. */
    pthread_cond_signal(&thread->work);
}

static bool thread_is_idle(const struct log *log) {
    const struct journal_thread *thread = const_thread_of(log);
    lock(thread);
    bool is_idle = thread->state == BATCH_IDLE;
    unlock(thread);
    return is_idle;
}

/* A batch on its way has used its part already. */
static uint64_t thread_room_bytes(const struct log *log) {
    const struct journal_thread *thread = const_thread_of(log);
    lock(thread);
    uint64_t used = thread->state == BATCH_HANDED ? thread->bytes : 0;
    uint64_t room = thread->room_bytes > used ? thread->room_bytes - used : 0;
    unlock(thread);
    return room;
}

/* While the next segment is being made for the first time nothing has run short yet. */
static bool thread_has_reserve(const struct log *log) {
    const struct journal_thread *thread = const_thread_of(log);
    lock(thread);
    bool has_reserve = !thread->wants_segment || !thread->is_short;
    unlock(thread);
    return has_reserve;
}

static void thread_pump(struct log *log) {
    struct journal_thread *thread = thread_of(log);
    lock(thread);
    bool is_done = thread->state == BATCH_DONE;
    struct slice records = slice_of(thread->records, thread->bytes);
    int code = thread->code;
    /* Idle from here on, so that the sink may hand over the next batch. */
    if (is_done) thread->state = BATCH_IDLE;
    unlock(thread);
    if (!is_done) return;
    if (code == 0)
        log->sink.on_records(log->sink.ctx, records);
    else
        log->sink.on_failed(log->sink.ctx, code);
}

static const struct log_ops journal_thread_ops = {
    .append = thread_append,
    .is_idle = thread_is_idle,
    .room_bytes = thread_room_bytes,
    .has_reserve = thread_has_reserve,
    .pump = thread_pump,
};

/* ---- Start and stop ---- */

static void init_conditions(struct journal_thread *thread) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&thread->work, &attributes);
    pthread_cond_init(&thread->want, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&thread->lock, NULL);
}

static void deinit(struct journal_thread *thread) {
    pthread_cond_destroy(&thread->work);
    pthread_cond_destroy(&thread->want);
    pthread_mutex_destroy(&thread->lock);
    free(thread);
}

static void begin_stop(struct journal_thread *thread) {
    lock(thread);
    thread->is_stopping = true;
    pthread_cond_signal(&thread->work);
    pthread_cond_signal(&thread->want);
    unlock(thread);
}

struct log *journal_thread_start(struct journal *journal, const struct clock *clock,
                                 void (*wake)(void *ctx), void *wake_ctx) {
    struct journal_thread *thread = calloc(1, sizeof(*thread));
    if (thread == NULL) return NULL;
    thread->log.ops = &journal_thread_ops;
    thread->journal = journal;
    thread->clock = clock;
    thread->wake = wake;
    thread->wake_ctx = wake_ctx;
    init_conditions(thread);
    publish(thread);
    if (pthread_create(&thread->preparer, NULL, run_preparer, thread) != 0) {
        deinit(thread);
        return NULL;
    }
    if (pthread_create(&thread->committer, NULL, run_committer, thread) != 0) {
        begin_stop(thread);
        pthread_join(thread->preparer, NULL);
        if (thread->made != NULL) take_segment(thread);
        deinit(thread);
        return NULL;
    }
    return &thread->log;
}

const struct journal_counts *journal_thread_counts(const struct log *log) {
    return &const_thread_of(log)->counts;
}

void journal_thread_stop(struct log *log) {
    struct journal_thread *thread = thread_of(log);
    begin_stop(thread);
    pthread_join(thread->preparer, NULL);
    pthread_join(thread->committer, NULL);
    FAILPOINT("stop_journal_idle");
    /* Made after the committer's last look. */
    if (thread->made != NULL) take_segment(thread);
    deinit(thread);
}
