/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's thread between real threads: a log that commits on a thread of its own, network
 * threads with views of their own. Also run under the thread sanitizer.
 */
#include "claim/engine_thread.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "claim/engine_ops.h"
#include "claim/outbox.h"

enum { THREADS_MAX = 3, PATIENCE_MS = 20000, QUIET_MS = 60 };

static const struct hash_key hash_key = {{1, 2}};

/* A log in memory whose batch comes back by way of another thread and a wake-up. */
struct slow_log {
    struct log log;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_batch, is_committed, ends, fails;
    unsigned commit_us; /* how long a commit takes at least */
    struct engine_thread *wakes;
    char *records;
    size_t bytes, count;
    uint64_t seq;
};

struct test_clock {
    struct clock clock;
    atomic_llong wall_ms;
};

struct bench {
    struct slow_log log;
    struct test_clock clock;
    struct view *engine_view;
    struct reserve *reserve;
    struct engine_thread *engine;
    struct mailbox boxes[THREADS_MAX];
    struct mailbox *box_pointers[THREADS_MAX];
    struct view *views[THREADS_MAX]; /* of the network threads */
    void (*wake_first)(void *ctx);   /* when something comes to the first of them, or NULL */
    atomic_uint answers, early;      /* as take_at_once says */
};

/* ---- The log ---- */

static struct slow_log *slow_log_of(const struct log *log) {
    return (struct slow_log *)(uintptr_t)log;
}

static void *commit(void *argument) {
    struct slow_log *log = argument;
    pthread_mutex_lock(&log->lock);
    while (!log->ends) {
        if (log->has_batch && !log->is_committed) {
            struct engine_thread *engine = log->wakes;
            unsigned commit_us = log->commit_us;
            pthread_mutex_unlock(&log->lock);
            usleep(commit_us);
            pthread_mutex_lock(&log->lock);
            log->is_committed = true;
            pthread_mutex_unlock(&log->lock);
            engine_thread_wake(engine);
            pthread_mutex_lock(&log->lock);
        } else {
            pthread_cond_wait(&log->changed, &log->lock);
        }
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

static void log_append(struct log *base, void *records, size_t bytes, size_t count) {
    struct slow_log *log = slow_log_of(base);
    log->records = records;
    log->bytes = bytes;
    log->count = count;
    pthread_mutex_lock(&log->lock);
    log->has_batch = true;
    log->is_committed = false;
    pthread_cond_signal(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

static bool log_is_idle(const struct log *base) {
    struct slow_log *log = slow_log_of(base);
    pthread_mutex_lock(&log->lock);
    bool is_idle = !log->has_batch;
    pthread_mutex_unlock(&log->lock);
    return is_idle;
}
static uint64_t log_room_bytes(const struct log *base) {
    (void)base;
    return UINT64_C(1) << 30;
}
static bool log_has_reserve(const struct log *base) {
    (void)base;
    return true;
}

static void log_pump(struct log *base) {
    struct slow_log *log = slow_log_of(base);
    pthread_mutex_lock(&log->lock);
    bool is_committed = log->has_batch && log->is_committed;
    bool fails = log->fails;
    if (is_committed) log->has_batch = false;
    pthread_mutex_unlock(&log->lock);
    if (!is_committed) return;
    if (fails) {
        base->sink.on_failed(base->sink.ctx, -EIO);
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < log->count; i++) {
        record_place(log->records + at, ++log->seq, 9, (uint16_t)i);
        at += record_padded_bytes(log->records + at);
    }
    base->sink.on_records(base->sink.ctx, slice_of(log->records, log->bytes));
}

/* ---- The bench ---- */

static int64_t wall_ms(const struct clock *clock) {
    return atomic_load(&CONTAINER_OF(clock, struct test_clock, clock)->wall_ms);
}
static uint64_t monotonic_ns(const struct clock *clock) {
    (void)clock;
    return clock_monotonic_ns(&clock_system);
}

static void *make_engine(void *ctx, const struct engine_sink *sink) {
    struct bench *bench = ctx;
    return engine_new(bench->engine_view, bench->reserve, &bench->log.log, sink, 16384);
}

static void start_engine_with(struct bench *bench, uint32_t threads_count,
                              uint32_t followers_count) {
    static const struct log_ops ops = {.append = log_append,
                                       .is_idle = log_is_idle,
                                       .room_bytes = log_room_bytes,
                                       .has_reserve = log_has_reserve,
                                       .pump = log_pump};
    bench->log.log.ops = &ops;
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        mailbox_init(&bench->boxes[i], i == 0 ? bench->wake_first : NULL, bench);
        bench->box_pointers[i] = &bench->boxes[i];
        bench->views[i] = view_new(&hash_key);
    }
    bench->engine_view = view_new(&hash_key);
    bench->reserve = reserve_memory_new(&hash_key);
    const struct engine_thread_options options = {.ops = &engine_embedded_ops,
                                                  .make = make_engine,
                                                  .make_ctx = bench,
                                                  .log = &bench->log.log,
                                                  .clock = &bench->clock.clock,
                                                  .threads = bench->box_pointers,
                                                  .threads_count = threads_count,
                                                  .followers_count = followers_count};
    bench->engine = engine_thread_start(&options);
    assert_non_null(bench->engine);
    bench->log.wakes = bench->engine;
    assert_int_equal(pthread_create(&bench->log.thread, NULL, commit, &bench->log), 0);
}

static void start_engine(struct bench *bench, uint32_t threads_count) {
    start_engine_with(bench, threads_count, 0);
}

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    pthread_mutex_init(&bench->log.lock, NULL);
    pthread_cond_init(&bench->log.changed, NULL);
    bench->clock.clock = (struct clock){wall_ms, monotonic_ns};
    atomic_init(&bench->clock.wall_ms, 5000);
    *state = bench;
    return 0;
}

static void stop_engine(struct bench *bench) {
    engine_thread_stop(bench->engine);
    pthread_mutex_lock(&bench->log.lock);
    bench->log.ends = true;
    pthread_cond_signal(&bench->log.changed);
    pthread_mutex_unlock(&bench->log.lock);
    pthread_join(bench->log.thread, NULL);
    engine_thread_free(bench->engine);
    bench->engine = NULL;
}

static void forget_parcels(struct mailbox *box) {
    struct outbox outbox;
    outbox_init(&outbox);
    outbox.first = mailbox_take(box);
    outbox_deinit(&outbox);
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    if (bench->engine != NULL) stop_engine(bench);
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        forget_parcels(&bench->boxes[i]);
        mailbox_deinit(&bench->boxes[i]);
        view_free(bench->views[i]);
    }
    view_free(bench->engine_view);
    bench->reserve->ops->free(bench->reserve);
    free(bench);
    return 0;
}

/* ---- What a network thread sends ---- */

static struct to_engine *message_new(enum to_engine_kind kind, uint32_t thread, size_t bytes) {
    struct to_engine *message = calloc(1, sizeof *message + bytes);
    assert_non_null(message);
    message->kind = kind;
    message->thread = thread;
    return message;
}

static void send(struct bench *bench, struct to_engine *message) {
    mailbox_send(engine_thread_mailbox(bench->engine), &message->parcel);
}

/* Claims of users "<first>", "<first + 1>", ...; the number is the token. */
static void send_claims(struct bench *bench, uint32_t thread, uint32_t first, uint32_t count) {
    struct to_engine *message = message_new(TO_ENGINE_CLAIMS, thread, count * sizeof(struct claim));
    message->count = count;
    for (uint32_t i = 0; i < count; i++) {
        char user[16];
        int bytes = snprintf(user, sizeof user, "%u", first + i);
        struct claim claim = {.thread = thread, .token = first + i};
        claim.user_id_bytes = (uint8_t)bytes;
        memcpy(claim.user_id, user, (size_t)bytes);
        memcpy(message->body + i * sizeof claim, &claim, sizeof claim);
    }
    send(bench, message);
}

static void send_control(struct bench *bench, uint32_t thread, const struct record *record,
                         uint64_t token) {
    struct to_engine *message = message_new(TO_ENGINE_CONTROL, thread, RECORD_BYTES_MAX);
    message->token = token;
    message->bytes = (uint32_t)record_encode(message->body, record);
    assert_true(message->bytes > 0);
    send(bench, message);
}

static void send_applied(struct bench *bench, uint32_t thread) {
    struct to_engine *message = message_new(TO_ENGINE_APPLIED, thread, 0);
    message->offset = view_offset(bench->views[thread]);
    send(bench, message);
}

static struct record open_record(uint32_t stock, int64_t starts_ms, int64_t ends_ms) {
    return (struct record){
        .type = RECORD_OPEN,
        .event_id = SLICE("e0"),
        .open = {.stock = stock,
                 .starts_ms = starts_ms,
                 .ends_ms = ends_ms,
                 .code = {.alphabet = SLICE("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), .length = 16}}};
}

/* ---- What a network thread gets ---- */

static void apply_block(struct view *view, const struct record_block *block) {
    for (size_t at = 0, bytes; at < block->bytes; at += bytes) {
        struct record record;
        assert_int_equal(
            record_decode(slice_of(block->records + at, block->bytes - at), &record, &bytes),
            RECORD_OK);
        assert_int_equal(view_apply(view, &record, NULL), 0);
    }
}

/* Looks at everything in the order in which it came: `on_each` may return false to end. */
static void receive(struct bench *bench, uint32_t thread, int patience_ms,
                    bool (*on_each)(void *ctx, const struct from_engine *message), void *ctx) {
    for (bool goes_on = true; goes_on;) {
        struct parcel *chain = mailbox_wait(&bench->boxes[thread], patience_ms);
        if (chain == NULL) return;
        for (struct parcel *next; chain != NULL; chain = next) {
            next = chain->next;
            struct from_engine *message = CONTAINER_OF(chain, struct from_engine, parcel);
            if (message->kind == FROM_ENGINE_RECORDS) {
                apply_block(bench->views[thread], message->block);
                if (message->block->wants_applied) send_applied(bench, thread);
                record_block_release(message->block);
            }
            goes_on = on_each(ctx, message) && goes_on;
            free(message);
        }
    }
}

struct wanted {
    enum from_engine_kind kind;
    unsigned seen;  /* of that kind */
    int64_t now_ms; /* of the last one */
    struct control_answer control;
};

static bool until_wanted(void *ctx, const struct from_engine *message) {
    struct wanted *wanted = ctx;
    if (message->kind != wanted->kind) return true;
    wanted->seen++;
    wanted->now_ms = message->now_ms;
    if (message->kind == FROM_ENGINE_CONTROL) wanted->control = message->control;
    return false;
}

/* Takes what comes to `thread` until one of `kind` has come; how many of it came within patience.
 */
static struct wanted wait_for(struct bench *bench, uint32_t thread, enum from_engine_kind kind,
                              int patience_ms) {
    struct wanted wanted = {.kind = kind};
    receive(bench, thread, patience_ms, until_wanted, &wanted);
    return wanted;
}

static void open_event(struct bench *bench, uint32_t threads_count, uint32_t stock) {
    struct record open = open_record(stock, TIME_MS_MIN, TIME_MS_MAX);
    send_control(bench, 0, &open, 77);
    for (uint32_t i = 0; i < threads_count; i++)
        assert_int_equal(wait_for(bench, i, FROM_ENGINE_RECORDS, PATIENCE_MS).seen, 1);
    struct wanted answer = wait_for(bench, 0, FROM_ENGINE_CONTROL, PATIENCE_MS);
    assert_int_equal(answer.control.token, 77);
    assert_int_equal(answer.control.outcome, CONTROL_DONE);
}

/* ---- Tests ---- */

enum { CLAIMS_OF_A_THREAD = 3000, STOCK = 2500 };

struct network {
    struct bench *bench;
    uint32_t thread;
    uint32_t answered, issued, sold_out, wrong;
};

/* An answer never comes before the records that it rests on (I3, I5). */
static bool count_answers(void *ctx, const struct from_engine *message) {
    struct network *network = ctx;
    if (message->kind != FROM_ENGINE_ANSWERS) return true;
    const struct judge *judge = view_at(network->bench->views[network->thread], 0)->judge;
    for (uint32_t i = 0; i < message->count; i++) {
        char user[16];
        snprintf(user, sizeof user, "%u", (unsigned)message->answers[i].token);
        struct coupon coupon;
        bool holds = judge_lookup(judge, slice_str(user), &coupon) == HOLDING_COUPON;
        bool is_full = judge_state(judge)->taken == STOCK;
        network->answered++;
        if (message->answers[i].outcome == CLAIM_ISSUED) {
            network->issued++;
            if (!holds) network->wrong++;
        } else if (message->answers[i].outcome == CLAIM_SOLD_OUT) {
            network->sold_out++;
            if (holds || !is_full) network->wrong++;
        } else {
            network->wrong++;
        }
    }
    return network->answered < CLAIMS_OF_A_THREAD;
}

static void *run_network(void *argument) {
    struct network *network = argument;
    uint32_t first = network->thread * CLAIMS_OF_A_THREAD;
    for (uint32_t at = 0; at < CLAIMS_OF_A_THREAD; at += 100)
        send_claims(network->bench, network->thread, first + at, 100);
    receive(network->bench, network->thread, PATIENCE_MS, count_answers, network);
    return NULL;
}

/* What was counted is what the threads were told. */
static void check_counts(const struct bench *bench, uint32_t claims) {
    const struct engine_counts *counts = engine_thread_counts(bench->engine);
    const struct engine_verdicts *verdicts = engine_thread_verdicts(bench->engine);
    uint64_t turns = 0;
    for (size_t i = 0; i <= histogram_sizes.bounds_count; i++)
        turns += counter_read(&counts->turn_claims.buckets[i]);
    assert_int_equal(counter_read(&counts->turn_claims.sum), claims);
    assert_true(turns >= 1 && turns <= claims / 100);
    assert_int_equal(counter_read(&counts->claims_waiting), 0);
    assert_int_equal(counter_read(&counts->controls_waiting), 0);
    assert_int_equal(counter_read(&counts->controls[CONTROL_DONE]), 1);
    assert_int_equal(counter_read(&counts->offset), view_offset(bench->views[0]));
    assert_int_equal(counter_read(&verdicts->wins[VERDICT_VALID]), STOCK);
    assert_int_equal(counter_read(&verdicts->wins[VERDICT_VOID_SERIAL]), 0);
    assert_int_equal(counter_read(&verdicts->controls[VERDICT_VALID]), 1);
}

static void a_stampede_from_several_threads(void **state) {
    struct bench *bench = *state;
    start_engine(bench, THREADS_MAX);
    open_event(bench, THREADS_MAX, STOCK);
    struct network networks[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        networks[i] = (struct network){.bench = bench, .thread = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_network, &networks[i]), 0);
    }
    uint32_t issued = 0, answered = 0;
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        pthread_join(threads[i], NULL);
        issued += networks[i].issued;
        answered += networks[i].answered;
        assert_int_equal(networks[i].wrong, 0);
    }
    assert_int_equal(answered, THREADS_MAX * CLAIMS_OF_A_THREAD);
    assert_int_equal(issued, STOCK);
    check_counts(bench, answered);
}

static void a_control_is_answered_when_every_thread_has_applied_it(void **state) {
    struct bench *bench = *state;
    start_engine(bench, 2);
    struct record open = open_record(5, TIME_MS_MIN, TIME_MS_MAX);
    send_control(bench, 0, &open, 77);
    struct wanted records = wait_for(bench, 0, FROM_ENGINE_RECORDS, PATIENCE_MS);
    assert_int_equal(records.seen, 1);
    assert_int_equal(wait_for(bench, 0, FROM_ENGINE_CONTROL, QUIET_MS).seen, 0);
    assert_int_equal(wait_for(bench, 1, FROM_ENGINE_RECORDS, PATIENCE_MS).seen, 1);
    struct wanted answer = wait_for(bench, 0, FROM_ENGINE_CONTROL, PATIENCE_MS);
    assert_int_equal(answer.seen, 1);
    assert_int_equal(answer.control.token, 77);
    assert_int_equal(answer.control.outcome, CONTROL_DONE);
}

static void a_follower_gets_the_records_and_is_waited_for_by_nobody(void **state) {
    struct bench *bench = *state;
    start_engine_with(bench, 2, 1);
    open_event(bench, 1, 10); /* is answered, though the follower has said nothing */
    send_claims(bench, 0, 0, 3);
    assert_int_equal(wait_for(bench, 0, FROM_ENGINE_ANSWERS, PATIENCE_MS).seen, 1);
    stop_engine(bench);
    struct parcel *chain = mailbox_take(&bench->boxes[1]);
    uint64_t records_bytes = 0;
    for (struct parcel *next; chain != NULL; chain = next) {
        next = chain->next;
        struct from_engine *message = CONTAINER_OF(chain, struct from_engine, parcel);
        assert_int_equal(message->kind, FROM_ENGINE_RECORDS);
        apply_block(bench->views[1], message->block);
        records_bytes += message->block->bytes;
        record_block_release(message->block);
        free(message);
    }
    assert_true(records_bytes > 0);
    assert_int_equal(judge_state(view_at(bench->views[1], 0)->judge)->taken, 3);
}

static bool has_records(struct mailbox *box) {
    bool has = false;
    pthread_mutex_lock(&box->lock);
    for (struct parcel *parcel = box->first; parcel != NULL; parcel = parcel->next)
        if (CONTAINER_OF(parcel, struct from_engine, parcel)->kind == FROM_ENGINE_RECORDS)
            has = true;
    pthread_mutex_unlock(&box->lock);
    return has;
}

/* The fastest first thread that there can be: it has what comes the moment that it is sent. */
static void take_at_once(void *ctx) {
    struct bench *bench = ctx;
    for (struct parcel *parcel = mailbox_take(&bench->boxes[0]), *next; parcel != NULL;
         parcel = next) {
        next = parcel->next;
        struct from_engine *message = CONTAINER_OF(parcel, struct from_engine, parcel);
        if (message->kind == FROM_ENGINE_RECORDS) {
            apply_block(bench->views[0], message->block);
            if (message->block->wants_applied) send_applied(bench, 0);
            record_block_release(message->block);
        } else if (message->kind == FROM_ENGINE_ANSWERS) {
            if (!has_records(&bench->boxes[1])) atomic_fetch_add(&bench->early, 1);
            atomic_fetch_add(&bench->answers, 1);
        }
        free(message);
    }
}

/* Whoever is told may ask another thread next. */
static void the_records_are_with_everybody_before_an_answer_is_with_anybody(void **state) {
    struct bench *bench = *state;
    bench->wake_first = take_at_once;
    start_engine(bench, 2);
    struct record open = open_record(5, TIME_MS_MIN, TIME_MS_MAX);
    send_control(bench, 0, &open, 77);
    assert_int_equal(wait_for(bench, 1, FROM_ENGINE_RECORDS, PATIENCE_MS).seen, 1);
    send_claims(bench, 0, 0, 3);
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&bench->answers) == 0; ms++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(atomic_load(&bench->answers), 1);
    assert_int_equal(atomic_load(&bench->early), 0);
}

static void a_refused_control_is_answered_at_once(void **state) {
    struct bench *bench = *state;
    start_engine(bench, 2);
    struct record pause = {.type = RECORD_PAUSE, .event_id = SLICE("e9")};
    send_control(bench, 1, &pause, 78);
    struct wanted answer = wait_for(bench, 1, FROM_ENGINE_CONTROL, PATIENCE_MS);
    assert_int_equal(answer.seen, 1);
    assert_int_equal(answer.control.token, 78);
    assert_int_equal(answer.control.outcome, CONTROL_UNKNOWN);
}

static void time_is_told_at_the_start_and_at_boundaries(void **state) {
    struct bench *bench = *state;
    start_engine(bench, 1);
    struct wanted first = wait_for(bench, 0, FROM_ENGINE_TIME, PATIENCE_MS);
    assert_int_equal(first.now_ms, 5000);
    assert_int_equal(wait_for(bench, 0, FROM_ENGINE_TIME, 700).seen, 0); /* nothing is ahead */
    struct record open = open_record(5, 6000, 900000);
    send_control(bench, 0, &open, 77);
    assert_int_equal(wait_for(bench, 0, FROM_ENGINE_CONTROL, PATIENCE_MS).seen, 1);
    atomic_store(&bench->clock.wall_ms, 6000);
    struct wanted at_start;
    do at_start = wait_for(bench, 0, FROM_ENGINE_TIME, PATIENCE_MS);
    while (at_start.seen == 1 && at_start.now_ms < 6000);
    assert_int_equal(at_start.now_ms, 6000);
    atomic_store(&bench->clock.wall_ms, 100); /* set back: told time stays (I9) */
    struct wanted later = wait_for(bench, 0, FROM_ENGINE_TIME, PATIENCE_MS);
    assert_int_equal(later.seen, 1); /* told from time to time: the end is ahead */
    assert_int_equal(later.now_ms, 6000);
}

static void stopping_lets_what_is_on_its_way_finish(void **state) {
    struct bench *bench = *state;
    start_engine(bench, 1);
    open_event(bench, 1, 1000);
    pthread_mutex_lock(&bench->log.lock);
    bench->log.commit_us = 20000;
    pthread_mutex_unlock(&bench->log.lock);
    send_claims(bench, 0, 0, 1500);
    stop_engine(bench);
    struct parcel *chain = mailbox_take(&bench->boxes[0]);
    uint32_t issued = 0, sold_out = 0;
    for (struct parcel *next; chain != NULL; chain = next) {
        next = chain->next;
        struct from_engine *message = CONTAINER_OF(chain, struct from_engine, parcel);
        if (message->kind == FROM_ENGINE_RECORDS) record_block_release(message->block);
        for (uint32_t i = 0; message->kind == FROM_ENGINE_ANSWERS && i < message->count; i++) {
            issued += message->answers[i].outcome == CLAIM_ISSUED;
            sold_out += message->answers[i].outcome == CLAIM_SOLD_OUT;
        }
        free(message);
    }
    assert_int_equal(issued, 1000);
    assert_int_equal(sold_out, 500);
}

/* What the threads of a process see whose log fails, as its exit status. */
struct last_words {
    uint32_t pending;
    bool failed_came_last;
};

static bool hear_last_words(void *ctx, const struct from_engine *message) {
    struct last_words *words = ctx;
    for (uint32_t i = 0; message->kind == FROM_ENGINE_ANSWERS && i < message->count; i++)
        words->pending += message->answers[i].outcome == CLAIM_PENDING;
    words->failed_came_last = message->kind == FROM_ENGINE_FAILED && message->code == -EIO;
    return message->kind != FROM_ENGINE_FAILED;
}

/* Says through `heard` that everybody was answered, and that this came last. */
static _Noreturn void fail_in_child(struct bench *bench, bool says_seen, int heard) {
    if (freopen("/dev/null", "w", stderr) == NULL) _exit(1);
    start_engine(bench, 1);
    open_event(bench, 1, 1000);
    pthread_mutex_lock(&bench->log.lock);
    bench->log.fails = true;
    pthread_mutex_unlock(&bench->log.lock);
    send_claims(bench, 0, 0, 20);
    struct last_words words = {0};
    receive(bench, 0, PATIENCE_MS, hear_last_words, &words);
    if (words.pending != 20 || !words.failed_came_last || write(heard, "y", 1) != 1) _exit(2);
    if (says_seen) engine_thread_failed_seen(bench->engine);
    sleep(PATIENCE_MS / 1000); /* the engine ends the process meanwhile */
    _exit(3);
}

static void expect_fail_stop(struct bench *bench, bool says_seen) {
    int heard[2], status;
    assert_int_equal(pipe(heard), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) fail_in_child(bench, says_seen, heard[1]);
    close(heard[1]);
    char byte;
    assert_int_equal(read(heard[0], &byte, 1), 1);
    close(heard[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
}

static void a_failed_log_ends_the_process_after_the_last_words(void **state) {
    expect_fail_stop(*state, true);
    start_engine(*state, 1);
}

static void a_thread_that_hangs_does_not_hold_up_the_end(void **state) {
    expect_fail_stop(*state, false);
    start_engine(*state, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_stampede_from_several_threads),
        TEST(the_records_are_with_everybody_before_an_answer_is_with_anybody),
        TEST(a_control_is_answered_when_every_thread_has_applied_it),
        TEST(a_follower_gets_the_records_and_is_waited_for_by_nobody),
        TEST(a_refused_control_is_answered_at_once),
        TEST(time_is_told_at_the_start_and_at_boundaries),
        TEST(stopping_lets_what_is_on_its_way_finish),
        TEST(a_failed_log_ends_the_process_after_the_last_words),
        TEST(a_thread_that_hangs_does_not_hold_up_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
