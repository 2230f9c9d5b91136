/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/copy_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "claim/copy_rows.h"
#include "claim/engine_thread.h"
#include "lib/logger.h"

enum {
    BATCH_WAIT_MS = 20, /* no change waits longer for others to share its commit */
    IDLE_WAIT_MS = 10000,
    PAUSE_MS = 10,        /* how soon a pause notices the end */
    READ_AGAIN_MS = 1000, /* after the log could not be read */
    LOWER_PRIORITY = 10,  /* a tenth of a processor that those who answer want, too */
};

struct copy_thread {
    struct copy_thread_options options;
    struct recorder *recorder;
    struct copy_rows *rows;
    struct view *view;
    struct view_mark mark;
    struct store_position judged; /* the last record that was durable when it came here */
    struct mailbox box;
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint_least64_t stop_until_ns;

    uint64_t commit_due_ns; /* of the batch that is collecting; 0 while it is empty */

    /* While the log is read again. */
    bool has_met_applied; /* the record that the store says it has come to */
    enum recorder_next read_next;
};

struct store_position copy_position(const struct record *record, struct slice encoded) {
    return (struct store_position){
        .seq = record->seq, .segment = record->segment, .crc = record_crc(encoded.p)};
}

/* ---- Patience ---- */

static uint64_t now_ns(const struct copy_thread *copy) {
    return clock_monotonic_ns(copy->options.clock);
}

static bool is_out_of_time(const struct copy_thread *copy) {
    return atomic_load(&copy->stopping) && now_ns(copy) >= atomic_load(&copy->stop_until_ns);
}

/* False when the time to stop has come first. */
static bool wait_a_little(const struct copy_thread *copy, uint32_t ms) {
    uint64_t until_ns = now_ns(copy) + ms * UINT64_C(1000000);
    while (now_ns(copy) < until_ns && !is_out_of_time(copy))
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    return !is_out_of_time(copy);
}

/* Does `step` until the store obeys, however long that takes; RECORDER_WAIT when it never did
 * before the end. */
static enum recorder_next persist(struct copy_thread *copy,
                                  enum recorder_next (*step)(struct recorder *recorder)) {
    for (;;) {
        enum recorder_next next = step(copy->recorder);
        if (next != RECORDER_WAIT) return next;
        if (!wait_a_little(copy, recorder_wait_ms(copy->recorder))) return RECORDER_WAIT;
    }
}

/* ---- One record ---- */

static enum recorder_next commit(struct copy_thread *copy) {
    copy->commit_due_ns = 0;
    return persist(copy, recorder_commit);
}

/* Judges a record and puts what it changes into the batch. */
static enum recorder_next take_record(struct copy_thread *copy, const struct record *record,
                                      struct slice encoded) {
    enum verdict verdict;
    if (view_apply(copy->view, record, &verdict) != 0)
        return recorder_stop(copy->recorder, "no memory for a view");
    struct store_position position = copy_position(record, encoded);
    bool has_change =
        copy_rows_change(copy->rows, copy->view, record, verdict, recorder_place(copy->recorder));
    recorder_advance(copy->recorder, &position, has_change);
    return recorder_is_full(copy->recorder) ? commit(copy) : RECORDER_GO_ON;
}

/* ---- Reading the log again ---- */

/* A record that the store should have already, or the first that it has not. */
static enum recorder_next read_record(struct copy_thread *copy, const struct record *record,
                                      struct slice encoded) {
    const struct store_position *applied = recorder_applied(copy->recorder);
    struct store_position position = copy_position(record, encoded);
    if (is_out_of_time(copy)) return RECORDER_WAIT;
    if (store_position_eq(&position, applied)) copy->has_met_applied = true;
    if (record->seq >= applied->seq && !copy->has_met_applied)
        return recorder_refuse(copy->recorder, "is the copy of another journal");
    if (!copy->has_met_applied || record->seq == applied->seq)
        return view_apply(copy->view, record, NULL) == 0
                   ? RECORDER_GO_ON
                   : recorder_stop(copy->recorder, "no memory for a view");
    return take_record(copy, record, encoded);
}

static int on_read(void *ctx, const struct record *record, struct slice encoded) {
    struct copy_thread *copy = ctx;
    if (record->seq > copy->judged.seq) return -ECANCELED; /* comes by mail, once it is durable */
    copy->read_next = read_record(copy, record, encoded);
    return copy->read_next == RECORDER_GO_ON ? 0 : -ECANCELED;
}

/* One reading. RECORDER_GO_ON also when it ended early for a failure of its own. */
static enum recorder_next read_log_once(struct copy_thread *copy) {
    struct err err = {0};
    const struct copy_thread_options *options = &copy->options;
    view_free(copy->view);
    copy->view = view_new(&options->hash_key);
    if (copy->view == NULL) return recorder_stop(copy->recorder, "no memory for a view");
    copy->has_met_applied = recorder_applied(copy->recorder)->seq == 0;
    copy->read_next = RECORDER_GO_ON;
    (void)options->read_log(options->read_log_ctx, on_read, copy, &err);
    if (copy->read_next != RECORDER_GO_ON) return copy->read_next;
    if (view_offset(copy->view) != copy->judged.seq)
        logger_line(LOG_ERROR, "copy", "event=copy_cannot_read_journal text=\"%s\"", err.text);
    return commit(copy);
}

static enum recorder_next read_log_again(struct copy_thread *copy) {
    logger_line(LOG_INFO, "copy", "event=copy_catches_up applied_seq=%" PRIu64 " seq=%" PRIu64,
                recorder_applied(copy->recorder)->seq, copy->judged.seq);
    for (;;) {
        enum recorder_next next = read_log_once(copy);
        if (next != RECORDER_GO_ON || view_offset(copy->view) == copy->judged.seq) return next;
        if (!wait_a_little(copy, READ_AGAIN_MS)) return RECORDER_WAIT;
    }
}

/* One attempt to bring the store, whatever it holds, to where the view is. */
static enum recorder_next catch_up_once(struct copy_thread *copy) {
    enum recorder_next next = persist(copy, recorder_open);
    if (next != RECORDER_GO_ON) return next;
    const struct store_position *applied = recorder_applied(copy->recorder);
    if (applied->seq > copy->judged.seq)
        return recorder_refuse(copy->recorder, "is ahead of the journal: the copy of another one");
    bool is_there = store_position_eq(applied, &copy->judged);
    if (!is_there || view_offset(copy->view) != copy->judged.seq) next = read_log_again(copy);
    if (next != RECORDER_GO_ON) return next;
    recorder_caught_up(copy->recorder);
    view_mark_publish(&copy->mark, copy->view);
    if (!is_there)
        logger_line(LOG_INFO, "copy", "event=copy_caught_up applied_seq=%" PRIu64, applied->seq);
    return next;
}

static enum recorder_next catch_up(struct copy_thread *copy) {
    for (;;) {
        enum recorder_next next = catch_up_once(copy);
        if (next != RECORDER_REBUILD) return next;
        next = persist(copy, recorder_reset);
        if (next != RECORDER_GO_ON) return next;
    }
}

/* ---- Following ---- */

/* Whatever has to be done, until it is RECORDER_GO_ON or the end. */
static enum recorder_next mend(struct copy_thread *copy, enum recorder_next next) {
    if (next != RECORDER_REBUILD) return next;
    next = persist(copy, recorder_reset);
    return next == RECORDER_GO_ON ? catch_up(copy) : next;
}

static enum recorder_next take_block(struct copy_thread *copy, const struct record_block *block,
                                     enum recorder_next next) {
    struct slice records = slice_of(block->records, block->bytes);
    while (records.n != 0 && next == RECORDER_GO_ON) {
        struct record record;
        size_t bytes;
        enum record_status status = record_decode(records, &record, &bytes);
        /* Reading the log again ends where the mail goes on. */
        ASSERT(status == RECORD_OK && record.seq > view_offset(copy->view));
        copy->judged = copy_position(&record, records);
        next = mend(copy, take_record(copy, &record, records));
        records = slice_of(records.p + bytes, records.n - bytes);
    }
    if (next == RECORDER_GO_ON) view_mark_publish(&copy->mark, copy->view);
    return next;
}

static enum recorder_next take_mail(struct copy_thread *copy, struct parcel *parcels,
                                    enum recorder_next next) {
    for (struct parcel *parcel = parcels; parcel != NULL;) {
        struct from_engine *message = CONTAINER_OF(parcel, struct from_engine, parcel);
        parcel = parcel->next;
        if (message->kind == FROM_ENGINE_RECORDS) {
            next = take_block(copy, message->block, next);
            record_block_release(message->block);
        }
        free(message);
    }
    return next;
}

/* How long the next wait for mail may be: no change waits longer than BATCH_WAIT_MS. */
static int mail_wait_ms(struct copy_thread *copy) {
    if (atomic_load(&copy->stopping)) return 0;
    if (!recorder_is_dirty(copy->recorder)) return IDLE_WAIT_MS;
    uint64_t now = now_ns(copy);
    if (copy->commit_due_ns == 0) copy->commit_due_ns = now + BATCH_WAIT_MS * UINT64_C(1000000);
    return copy->commit_due_ns <= now ? 0 : (int)((copy->commit_due_ns - now) / 1000000) + 1;
}

/* While rows wait for their commit this thread sleeps, and then takes all that has come: nobody has
 * to wake it for each of them. A stop waits for that, too. */
static struct parcel *next_mail(struct copy_thread *copy) {
    int wait_ms = mail_wait_ms(copy);
    if (!recorder_is_dirty(copy->recorder)) return mailbox_wait(&copy->box, wait_ms);
    nanosleep(&(struct timespec){.tv_nsec = wait_ms * 1000000L}, NULL);
    return mailbox_take(&copy->box);
}

static bool commit_is_due(const struct copy_thread *copy) {
    return copy->commit_due_ns != 0 && copy->commit_due_ns <= now_ns(copy);
}

static enum recorder_next follow(struct copy_thread *copy) {
    enum recorder_next next = RECORDER_GO_ON;
    bool is_last = false;
    while (next == RECORDER_GO_ON && !is_last) {
        /* What was sent before the stop is in the mail that is taken after it was noticed. */
        is_last = atomic_load(&copy->stopping);
        next = take_mail(copy, next_mail(copy), next);
        if (next == RECORDER_GO_ON && (is_last || commit_is_due(copy)))
            next = mend(copy, commit(copy));
    }
    return next;
}

/* After a conflict the mail still has to be taken, so that it does not pile up. */
static void only_take_mail(struct copy_thread *copy) {
    while (!atomic_load(&copy->stopping))
        (void)take_mail(copy, mailbox_wait(&copy->box, IDLE_WAIT_MS), RECORDER_STOPPED);
}

static void *run(void *argument) {
    struct copy_thread *copy = argument;
    (void)pthread_setname_np(pthread_self(), "copy");
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOWER_PRIORITY);
    enum recorder_next next = catch_up(copy);
    if (next == RECORDER_GO_ON) next = follow(copy);
    if (next == RECORDER_STOPPED) only_take_mail(copy);
    if (next == RECORDER_WAIT)
        logger_line(LOG_WARN, "copy",
                    "event=copy_left_behind applied_seq=%" PRIu64
                    " hint=\"the next start writes what is missing\"",
                    recorder_applied(copy->recorder)->seq);
    return NULL;
}

/* ---- Life, and what other threads call ---- */

static void copy_thread_free(struct copy_thread *copy) {
    (void)take_mail(copy, mailbox_take(&copy->box), RECORDER_STOPPED);
    mailbox_deinit(&copy->box);
    recorder_free(copy->recorder);
    copy_rows_free(copy->rows);
    view_free(copy->view);
    free(copy);
}

struct copy_thread *copy_thread_start(const struct copy_thread_options *options) {
    struct copy_thread *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        options->store->ops->free(options->store);
        view_free(options->view);
        return NULL;
    }
    copy->options = *options;
    copy->view = options->view;
    copy->judged = options->position;
    mailbox_init(&copy->box, NULL, NULL);
    copy->recorder = recorder_new(options->store);
    copy->rows = copy_rows_new(options->keys);
    if (copy->recorder != NULL && copy->rows != NULL &&
        pthread_create(&copy->thread, NULL, run, copy) == 0)
        return copy;
    copy_thread_free(copy);
    return NULL;
}

struct mailbox *copy_thread_mailbox(struct copy_thread *copy) {
    return &copy->box;
}

void copy_thread_health(const struct copy_thread *copy, struct recorder_health *health) {
    recorder_health(copy->recorder, health);
}

const struct view_mark *copy_thread_mark(const struct copy_thread *copy) {
    return &copy->mark;
}

void copy_thread_stop(struct copy_thread *copy) {
    if (copy == NULL) return;
    uint64_t patience_ns = copy->options.stop_timeout_ms * UINT64_C(1000000);
    atomic_store(&copy->stop_until_ns, now_ns(copy) + patience_ns);
    atomic_store(&copy->stopping, true);
    struct from_engine *wake = memory_needed(calloc(1, sizeof *wake));
    wake->kind = FROM_ENGINE_TIME;
    mailbox_send(&copy->box, &wake->parcel);
    pthread_join(copy->thread, NULL);
    copy_thread_free(copy);
}
