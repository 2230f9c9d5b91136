/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/consumer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/copy_rows.h"
#include "claim/view.h"
#include "lib/logger.h"
#include "log/record.h"

enum { REJECTS_BYTES_MAX = 4 << 20 /* of one batch */ };

struct consumer {
    struct consumer_options options;
    struct copy_rows *rows;
    struct view *view;
    struct view_mark mark;
    struct recording_place judged;  /* the last record that was taken */
    struct recording_place applied; /* the last that was committed */
    struct recording_place target;  /* while replaying: up to where */
    bool is_ours, is_behind_newer;  /* a record of a newer version comes next */
    bool row_by_row;

    uint32_t wait_ms, wait_max_ms; /* 0 while all obey */
    uint64_t due_ns;
    size_t batch_records, changes_count, rejects_count, rejects_bytes, sent_count;
    uint32_t attempts; /* of the batch */

    struct logger_limit waits;
    struct consumer_health health;
    _Alignas(RECORD_ALIGN) char value[RECORD_BYTES_MAX];
    struct store_change changes[CONSUMER_BATCH_RECORDS];
    struct recording_reject rejects[CONSUMER_BATCH_RECORDS];
};

/* ---- Words ---- */

const char *consumer_stop_name(enum consumer_stop stop) {
    static const char *const names[] = {[CONSUMER_RUNS] = "none",
                                        [CONSUMER_STOP_NEWER] = "newer_version",
                                        [CONSUMER_STOP_CONFLICT] = "conflict",
                                        [CONSUMER_STOP_ANOTHER_LOG] = "another_log",
                                        [CONSUMER_STOP_DATABASE] = "database",
                                        [CONSUMER_STOP_MEMORY] = "memory"};
    static_assert(ARRAY_LEN(names) == CONSUMER_STOPS, "a name for each");
    return names[stop];
}

const char *consumer_state_name(enum consumer_state state) {
    static const char *const names[] = {[CONSUMER_IDLE] = "idle",
                                        [CONSUMER_REPLAYING] = "replaying",
                                        [CONSUMER_RECORDING] = "ok",
                                        [CONSUMER_WAITING] = "waiting",
                                        [CONSUMER_IS_STOPPED] = "stopped"};
    static_assert(ARRAY_LEN(names) == CONSUMER_STATES, "a name for each");
    return names[state];
}

const char *consumer_retry_name(enum consumer_retry retry) {
    static const char *const names[] = {[RETRY_DATABASE] = "database",
                                        [RETRY_LOST] = "lost",
                                        [RETRY_CONFLICT] = "conflict",
                                        [RETRY_DEAD_LETTERS] = "dead_letters"};
    static_assert(ARRAY_LEN(names) == RETRIES, "a name for each");
    return names[retry];
}

/* ---- What to do next ---- */

static void enter(struct consumer *consumer, enum consumer_state state) {
    counter_set(&consumer->health.state, state);
}

static enum consumer_next go_on(struct consumer *consumer) {
    if (consumer->wait_max_ms != 0)
        logger_line(LOG_INFO, "consume", "event=consume_goes_on offset=%" PRIu64,
                    consumer->applied.seq);
    consumer->wait_ms = consumer->wait_max_ms = 0;
    bool is_behind = consumer->judged.seq < consumer->target.seq;
    enter(consumer, !consumer->is_ours ? CONSUMER_IDLE
                    : is_behind        ? CONSUMER_REPLAYING
                                       : CONSUMER_RECORDING);
    return CONSUMER_GO_ON;
}

static enum consumer_next stop(struct consumer *consumer, enum consumer_stop why,
                               const char *format, ...) PRINTF_LIKE(3, 4);
static enum consumer_next stop(struct consumer *consumer, enum consumer_stop why,
                               const char *format, ...) {
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *quote = text; (quote = strchr(quote, '"')) != NULL;) *quote = '\'';
    counter_set(&consumer->health.stop, why);
    enter(consumer, CONSUMER_IS_STOPPED);
    logger_line(LOG_ERROR, "consume",
                "event=consume_stopped reason=%s offset=%" PRIu64
                " text=\"%s\" hint=\"claims go on, and the log is right; see docs/pipeline.md\"",
                consumer_stop_name(why), consumer->judged.seq, text);
    return CONSUMER_STOPPED;
}

/* Full jitter: many that wait for the same thing do not come back together. */
static enum consumer_next wait(struct consumer *consumer, enum consumer_retry retry,
                               const char *why) {
    uint64_t bound =
        consumer->wait_max_ms == 0 ? CONSUMER_WAIT_FIRST_MS : consumer->wait_max_ms * UINT64_C(2);
    if (bound > CONSUMER_WAIT_MAX_MS) bound = CONSUMER_WAIT_MAX_MS;
    uint64_t dice;
    random_fill(consumer->options.random, &dice, sizeof dice);
    consumer->wait_max_ms = (uint32_t)bound;
    consumer->wait_ms = (uint32_t)(dice % (bound + 1));
    counter_add(&consumer->health.retries[retry], 1);
    enter(consumer, CONSUMER_WAITING);
    logger_line_limited(&consumer->waits, LOG_WARN, "consume",
                        "event=consume_waits for=%s text=\"%s\" hint=\"nothing is lost: the log "
                        "has it all, and this is tried again\"",
                        consumer_retry_name(retry), why);
    return CONSUMER_WAIT;
}

static enum consumer_next lost(struct consumer *consumer, const char *why) {
    counter_add(&consumer->health.retries[RETRY_LOST], 1);
    logger_line(LOG_WARN, "consume",
                "event=consume_lost text=\"%s\" hint=\"another consumer has taken over, or the "
                "database was set back; nothing was written\"",
                why);
    return CONSUMER_LOST;
}

uint32_t consumer_wait_ms(const struct consumer *consumer) {
    return consumer->wait_ms;
}

/* ---- The batch ---- */

static void empty_batch(struct consumer *consumer) {
    for (size_t i = 0; i < consumer->rejects_count; i++)
        free((char *)(uintptr_t)consumer->rejects[i].raw.p);
    consumer->batch_records = consumer->changes_count = 0;
    consumer->rejects_count = consumer->rejects_bytes = consumer->sent_count = 0;
    consumer->due_ns = 0;
    consumer->attempts = 0;
    consumer->row_by_row = false;
}

bool consumer_is_full(const struct consumer *consumer) {
    return consumer->batch_records == CONSUMER_BATCH_RECORDS ||
           consumer->rejects_bytes > REJECTS_BYTES_MAX || consumer->is_behind_newer;
}

uint64_t consumer_due_ns(const struct consumer *consumer) {
    return consumer->due_ns;
}

static enum consumer_next reject(struct consumer *consumer, uint64_t seq, int64_t logged_ms,
                                 struct slice value, bool is_dead, const char *reason,
                                 const char *error) {
    struct recording_reject *reject = &consumer->rejects[consumer->rejects_count];
    char *raw = malloc(value.n + 1);
    if (raw == NULL) return stop(consumer, CONSUMER_STOP_MEMORY, "no memory for a reject");
    if (value.n != 0) memcpy(raw, value.p, value.n);
    *reject = (struct recording_reject){.seq = seq,
                                        .is_dead = is_dead,
                                        .reason = reason,
                                        .logged_ms = logged_ms,
                                        .raw = slice_of(raw, value.n)};
    snprintf(reject->error, sizeof reject->error, "%s", error);
    consumer->rejects_count++;
    consumer->rejects_bytes += value.n;
    return CONSUMER_GO_ON;
}

/* ---- One record ---- */

static const char *why_bad(struct slice value) {
    return value.n == 0                 ? "it is empty"
           : value.n > RECORD_BYTES_MAX ? "it is longer than any record"
                                        : "it is no record, or damaged";
}

static bool is_of_journal(const struct record *record) {
    return record->type == RECORD_MARK || record->type == RECORD_SEGMENT;
}

/* What a judged record means for the rows. */
static enum consumer_next note(struct consumer *consumer, const struct record *record,
                               enum verdict verdict, int64_t logged_ms, struct slice value) {
    if (is_of_journal(record))
        return reject(consumer, record->seq, logged_ms, value, true, "misplaced",
                      "a record of a journal's own");
    if (view_find(consumer->view, record->event_id) == NULL)
        return reject(consumer, record->seq, logged_ms, value, true, "unknown_event",
                      "no record before it opens its event");
    bool is_void = record->type == RECORD_WIN && verdict != VERDICT_VALID && verdict != VERDICT_DUP;
    if (is_void)
        return reject(consumer, record->seq, logged_ms, value, false, verdict_name(verdict),
                      "the judge refused the reservation; nobody was told that it holds");
    struct store_change *change = &consumer->changes[consumer->changes_count];
    change->user_id.bytes = 0;
    if (copy_rows_change(consumer->rows, consumer->view, record, verdict, change))
        consumer->changes_count++;
    return CONSUMER_GO_ON;
}

static enum consumer_next judge_one(struct consumer *consumer, const struct record *record,
                                    int64_t logged_ms, struct slice value, bool is_replay) {
    enum verdict verdict;
    if (view_apply(consumer->view, record, &verdict) != 0)
        return stop(consumer, CONSUMER_STOP_MEMORY, "no memory for a view");
    view_mark_publish(&consumer->mark, consumer->view);
    return is_replay ? CONSUMER_GO_ON : note(consumer, record, verdict, logged_ms, value);
}

/* The place that was recorded has to be the place of this record. */
static enum consumer_next check_target(struct consumer *consumer) {
    if (consumer->judged.seq != consumer->target.seq) return CONSUMER_GO_ON;
    if (consumer->judged.crc != consumer->target.crc)
        return stop(consumer, CONSUMER_STOP_ANOTHER_LOG,
                    "the database is at offset %" PRIu64
                    ", where this log has another record: it records another log, or this one was "
                    "made anew",
                    consumer->target.seq);
    return go_on(consumer);
}

enum consumer_next consumer_take(struct consumer *consumer, uint64_t seq, int64_t logged_ms,
                                 struct slice value) {
    ASSERT(consumer->is_ours && !consumer_is_full(consumer));
    if (seq <= consumer->judged.seq) return CONSUMER_GO_ON; /* again, after a seek */
    if (seq != consumer->judged.seq + 1)
        return stop(consumer, CONSUMER_STOP_ANOTHER_LOG,
                    "offset %" PRIu64 " follows %" PRIu64 ": records are missing in the log",
                    seq - 1, consumer->judged.seq);
    bool is_replay = seq <= consumer->target.seq;
    struct record record;
    enum record_status status = record_read(consumer->value, value, &record);
    if (status == RECORD_NEWER) {
        consumer->is_behind_newer = true;
        return CONSUMER_GO_ON;
    }
    enum consumer_next next = CONSUMER_GO_ON;
    uint32_t crc = 0;
    if (status == RECORD_OK) {
        crc = record_crc(consumer->value);
        record.seq = seq;
        next = judge_one(consumer, &record, logged_ms, value, is_replay);
    } else if (!is_replay) {
        next = reject(consumer, seq, logged_ms, value, true, "bad_record", why_bad(value));
    }
    if (next != CONSUMER_GO_ON) return next;
    consumer->judged = (struct recording_place){.seq = seq, .crc = crc};
    counter_set(&consumer->health.judged_seq, seq);
    counter_add(&consumer->health.records, 1);
    if (is_replay) return check_target(consumer);
    consumer->batch_records++;
    if (consumer->due_ns == 0)
        consumer->due_ns =
            clock_monotonic_ns(consumer->options.clock) + CONSUMER_BATCH_MS * UINT64_C(1000000);
    return CONSUMER_GO_ON;
}

/* ---- Owning ---- */

/* A view is of use as long as it is not ahead of what was recorded: it goes on from where it is. */
static enum consumer_next begin_replay(struct consumer *consumer,
                                       const struct recording_place *place) {
    if (consumer->view == NULL || consumer->judged.seq > place->seq) {
        view_free(consumer->view);
        consumer->view = view_new(&consumer->options.hash_key);
        if (consumer->view == NULL)
            return stop(consumer, CONSUMER_STOP_MEMORY, "no memory for a view");
        consumer->judged = (struct recording_place){0};
        counter_set(&consumer->health.judged_seq, 0);
    }
    consumer->target = consumer->applied = *place;
    counter_set(&consumer->health.applied_seq, place->seq);
    return place->seq == 0 ? go_on(consumer) : check_target(consumer);
}

enum consumer_next consumer_take_over(struct consumer *consumer, uint64_t *from_seq) {
    struct recording *recording = consumer->options.recording;
    struct recording_place place;
    struct err err = {0};
    empty_batch(consumer);
    consumer->is_behind_newer = false;
    enum recording_status status = recording->ops->take_over(recording, &place, &err);
    if (status == RECORDING_LATER) return wait(consumer, RETRY_DATABASE, err.text);
    if (status != RECORDING_OK) return stop(consumer, CONSUMER_STOP_DATABASE, "%s", err.text);
    consumer->is_ours = true;
    counter_add(&consumer->health.take_overs, 1);
    enum consumer_next next = begin_replay(consumer, &place);
    if (next != CONSUMER_GO_ON) return next;
    (void)go_on(consumer);
    *from_seq = consumer->judged.seq;
    logger_line(LOG_INFO, "consume", "event=consume_taken_over offset=%" PRIu64 " from=%" PRIu64,
                place.seq, *from_seq);
    return CONSUMER_GO_ON;
}

void consumer_let_go(struct consumer *consumer) {
    bool is_stopped = counter_read(&consumer->health.state) == CONSUMER_IS_STOPPED;
    if (consumer->is_ours)
        logger_line(LOG_INFO, "consume", "event=consume_let_go offset=%" PRIu64 " forgotten=%zu",
                    consumer->applied.seq, consumer->batch_records);
    empty_batch(consumer);
    consumer->is_ours = false;
    consumer->wait_ms = consumer->wait_max_ms = 0;
    if (!is_stopped) enter(consumer, CONSUMER_IDLE);
}

/* ---- Committing ---- */

static enum consumer_next send_dead_letters(struct consumer *consumer) {
    const struct dead_letters_sink *sink = &consumer->options.dead_letters;
    for (; consumer->sent_count < consumer->rejects_count; consumer->sent_count++) {
        const struct recording_reject *reject = &consumer->rejects[consumer->sent_count];
        struct err err = {0};
        if (reject->is_dead && sink->send(sink->ctx, reject, consumer->attempts, &err) != 0)
            return wait(consumer, RETRY_DEAD_LETTERS, err.text);
    }
    return CONSUMER_GO_ON;
}

static void count_batch(struct consumer *consumer) {
    struct consumer_health *health = &consumer->health;
    counter_set(&health->applied_seq, consumer->applied.seq);
    counter_add(&health->commits, 1);
    counter_add(&health->changes, consumer->changes_count);
    histogram_record(&health->batch_records, &histogram_sizes, consumer->batch_records);
    for (size_t i = 0; i < consumer->rejects_count; i++) {
        const struct recording_reject *reject = &consumer->rejects[i];
        counter_add(reject->is_dead ? &health->rejects_dead : &health->rejects_void, 1);
        if (reject->is_dead)
            logger_line(LOG_ERROR, "consume",
                        "event=dead_letter offset=%" PRIu64 " reason=%s text=\"%s\" "
                        "hint=\"coupond dlt show %" PRIu64 "\"",
                        reject->seq - 1, reject->reason, reject->error, reject->seq - 1);
    }
}

static enum recording_status apply(struct consumer *consumer, struct err *err) {
    struct recording *recording = consumer->options.recording;
    const struct recording_batch batch = {.from = consumer->applied,
                                          .to = consumer->judged,
                                          .changes = consumer->changes,
                                          .changes_count = consumer->changes_count,
                                          .rejects = consumer->rejects,
                                          .rejects_count = consumer->rejects_count,
                                          .row_by_row = consumer->row_by_row};
    uint64_t begin_ns = clock_monotonic_ns(consumer->options.clock);
    enum recording_status status = recording->ops->apply(recording, &batch, err);
    histogram_record(&consumer->health.commit_ns, &histogram_seconds,
                     clock_monotonic_ns(consumer->options.clock) - begin_ns);
    return status;
}

static enum consumer_next after_apply(struct consumer *consumer, enum recording_status status,
                                      const struct err *err) {
    switch (status) {
    case RECORDING_OK:
        consumer->applied = consumer->judged;
        count_batch(consumer);
        empty_batch(consumer);
        return go_on(consumer);
    case RECORDING_LATER:
        return wait(consumer, RETRY_DATABASE, err->text);
    case RECORDING_LOST:
        return lost(consumer, err->text);
    case RECORDING_CONFLICT:
        return stop(consumer, CONSUMER_STOP_CONFLICT, "%s", err->text);
    case RECORDING_FATAL:
    case RECORDING_STATUSES:
        break;
    }
    return stop(consumer, CONSUMER_STOP_DATABASE, "%s", err->text);
}

static enum consumer_next commit_batch(struct consumer *consumer) {
    consumer->attempts++;
    enum consumer_next next = send_dead_letters(consumer);
    if (next != CONSUMER_GO_ON) return next;
    struct err err = {0};
    enum recording_status status = apply(consumer, &err);
    if (status == RECORDING_CONFLICT && !consumer->row_by_row) {
        counter_add(&consumer->health.retries[RETRY_CONFLICT], 1);
        logger_line(LOG_WARN, "consume", "event=consume_row_by_row offset=%" PRIu64 " text=\"%s\"",
                    consumer->applied.seq, err.text);
        consumer->row_by_row = true;
        status = apply(consumer, &err);
    }
    return after_apply(consumer, status, &err);
}

enum consumer_next consumer_commit(struct consumer *consumer) {
    ASSERT(consumer->is_ours);
    enum consumer_next next = CONSUMER_GO_ON;
    if (consumer->batch_records != 0) next = commit_batch(consumer);
    if (next != CONSUMER_GO_ON || !consumer->is_behind_newer) return next;
    return stop(consumer, CONSUMER_STOP_NEWER,
                "the record at offset %" PRIu64
                " is of a newer version than this program knows: deploy that version",
                consumer->judged.seq);
}

/* ---- Life ---- */

struct consumer *consumer_new(const struct consumer_options *options) {
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL) {
        options->recording->ops->free(options->recording);
        return NULL;
    }
    consumer->options = *options;
    consumer->rows = copy_rows_new(options->keys);
    if (consumer->rows != NULL) return consumer;
    consumer_free(consumer);
    return NULL;
}

void consumer_free(struct consumer *consumer) {
    if (consumer == NULL) return;
    empty_batch(consumer);
    copy_rows_free(consumer->rows);
    view_free(consumer->view);
    consumer->options.recording->ops->free(consumer->options.recording);
    free(consumer);
}

const struct consumer_health *consumer_health(const struct consumer *consumer) {
    return &consumer->health;
}

const struct view_mark *consumer_mark(const struct consumer *consumer) {
    return &consumer->mark;
}
