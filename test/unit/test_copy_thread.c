/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever the store holds at the start, and whatever happens to it, its rows become those of the
 * log; and nobody waits for it.
 */
#include "claim/copy_thread.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "claim/engine_thread.h"
#include "fake/memory_store.h"
#include "lib/clock.h"

enum { RECORDS_MAX = 4000, PATIENCE_MS = 20000 };

/* A log in memory; its records are also what the store has to hold in the end. */
struct bench {
    struct memory_store memory;
    struct code_keys keys;
    pthread_mutex_t log_lock; /* the copy reads while the test appends */
    _Alignas(8) char log[RECORDS_MAX * 128];
    size_t log_bytes, sent_bytes;
    uint64_t seq, segment;
    atomic_uint reads, reads_that_fail;
    struct copy_thread *copy;
};

static const struct hash_key hash_key = {{1, 2}};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    memory_store_init(&bench->memory);
    bench->segment = 77;
    pthread_mutex_init(&bench->log_lock, NULL);
    *state = bench;
    return 0;
}

static void stop(struct bench *bench) {
    copy_thread_stop(bench->copy);
    bench->copy = NULL;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    stop(bench);
    free(bench);
    return 0;
}

static void append(struct bench *bench, struct record record) {
    pthread_mutex_lock(&bench->log_lock);
    char *at = bench->log + bench->log_bytes;
    assert_true(bench->log_bytes + RECORD_BYTES_MAX <= sizeof bench->log);
    record.event_id = SLICE("EV");
    record.ms = 1;
    size_t bytes = record_encode(at, &record);
    assert_true(bytes != 0);
    record_place(at, ++bench->seq, bench->segment, 0);
    bench->log_bytes += bytes;
    pthread_mutex_unlock(&bench->log_lock);
}

static void append_open(struct bench *bench) {
    append(bench,
           (struct record){.type = RECORD_OPEN,
                           .open = {.stock = RECORDS_MAX,
                                    .ends_ms = TIME_MS_MAX,
                                    .code = {.alphabet = SLICE("0123456789"), .length = 25}}});
}

static void append_wins(struct bench *bench, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char user_id[32];
        snprintf(user_id, sizeof user_id, "u%llu", (unsigned long long)bench->seq);
        append(bench, (struct record){.type = RECORD_WIN,
                                      .win = {.gen = 1,
                                              .serial = (uint32_t)bench->seq,
                                              .user_id = slice_str(user_id)}});
    }
}

/* Calls on_record for each of the log's records. */
static int read_records(struct bench *bench, copy_record_fn on_record, void *on_record_ctx,
                        struct err *err) {
    atomic_fetch_add(&bench->reads, 1);
    struct slice rest = slice_of(bench->log, bench->log_bytes);
    bool fails = atomic_load(&bench->reads_that_fail) != 0;
    if (fails) atomic_fetch_sub(&bench->reads_that_fail, 1);
    for (unsigned n = 0; rest.n != 0; n++) {
        struct record record;
        size_t bytes;
        if (fails && n == 3) return err_set(err, -EIO, "as the test says");
        assert_int_equal(record_decode(rest, &record, &bytes), RECORD_OK);
        int code = on_record(on_record_ctx, &record, rest);
        if (code != 0) return code;
        rest = slice_of(rest.p + bytes, rest.n - bytes);
    }
    return 0;
}

/* What serve.c does with journal_open. */
static int read_log(void *ctx, copy_record_fn on_record, void *on_record_ctx, struct err *err) {
    struct bench *bench = ctx;
    pthread_mutex_lock(&bench->log_lock);
    int code = read_records(bench, on_record, on_record_ctx, err);
    pthread_mutex_unlock(&bench->log_lock);
    return code;
}

struct first_reading {
    struct view *view;
    struct store_position position;
};

static int apply_first(void *ctx, const struct record *record, struct slice encoded) {
    struct first_reading *first = ctx;
    first->position = copy_position(record, encoded);
    return view_apply(first->view, record, NULL);
}

static void start(struct bench *bench) {
    struct err err;
    struct first_reading first = {.view = view_new(&hash_key)};
    assert_int_equal(read_log(bench, apply_first, &first, &err), 0);
    atomic_store(&bench->reads, 0);
    bench->sent_bytes = bench->log_bytes;
    bench->copy = copy_thread_start(&(struct copy_thread_options){.store = &bench->memory.store,
                                                                  .keys = &bench->keys,
                                                                  .clock = &clock_system,
                                                                  .hash_key = hash_key,
                                                                  .view = first.view,
                                                                  .position = first.position,
                                                                  .read_log = read_log,
                                                                  .read_log_ctx = bench,
                                                                  .stop_timeout_ms = 300});
    assert_non_null(bench->copy);
}

/* Sends what was appended since, as the engine does. One reference is the copy's, one more the
 * caller's. */
static struct record_block *send_block(struct bench *bench) {
    size_t bytes = bench->log_bytes - bench->sent_bytes;
    struct record_block *block = malloc(sizeof *block + bytes);
    struct from_engine *message = calloc(1, sizeof *message);
    atomic_init(&block->references, 2);
    block->bytes = (uint32_t)bytes;
    memcpy(block->records, bench->log + bench->sent_bytes, bytes);
    message->kind = FROM_ENGINE_RECORDS;
    message->block = block;
    bench->sent_bytes = bench->log_bytes;
    mailbox_send(copy_thread_mailbox(bench->copy), &message->parcel);
    return block;
}

static void send_rest(struct bench *bench) {
    record_block_release(send_block(bench));
}

static struct recorder_health health_of(const struct bench *bench) {
    struct recorder_health health;
    copy_thread_health(bench->copy, &health);
    return health;
}

static void await_state(const struct bench *bench, enum recorder_state state) {
    for (int ms = 0; health_of(bench).state != state; ms++) {
        assert_true(ms < PATIENCE_MS);
        usleep(1000);
    }
}

static void await_applied(struct bench *bench) {
    for (int ms = 0;
         health_of(bench).applied_seq != bench->seq || health_of(bench).state != RECORDER_FOLLOWING;
         ms++) {
        assert_true(ms < PATIENCE_MS);
        usleep(1000);
    }
}

/* One change for each record of the log, in order. */
static void expect_all(struct bench *bench) {
    pthread_mutex_lock(&bench->memory.lock);
    assert_int_equal(bench->memory.at.seq, bench->seq);
    assert_int_equal(bench->memory.rows_count, bench->seq);
    for (size_t i = 0; i < bench->seq; i++) assert_int_equal(bench->memory.rows[i].seq, i + 1);
    assert_true(bench->memory.batch_max <= RECORDER_BATCH_MAX);
    pthread_mutex_unlock(&bench->memory.lock);
}

static void says(struct bench *bench, enum store_status status, unsigned times) {
    pthread_mutex_lock(&bench->memory.lock);
    bench->memory.apply_says = status;
    bench->memory.apply_times = times;
    pthread_mutex_unlock(&bench->memory.lock);
}

static void an_empty_log_and_what_comes_then(void **state) {
    struct bench *bench = *state;
    start(bench);
    append_open(bench);
    append_wins(bench, 3);
    send_rest(bench);
    await_applied(bench);
    append_wins(bench, 1200);
    send_rest(bench);
    await_applied(bench);
    expect_all(bench);
    assert_int_equal(atomic_load(&bench->reads), 0);
}

static void a_new_store_is_filled_from_the_log(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1300);
    start(bench);
    append_wins(bench, 10);
    send_rest(bench);
    await_applied(bench);
    expect_all(bench);
    assert_int_equal(atomic_load(&bench->reads), 1);
}

static void a_store_that_is_up_to_date_needs_no_reading(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 10);
    start(bench);
    await_applied(bench);
    stop(bench);
    start(bench);
    append_wins(bench, 1);
    send_rest(bench);
    await_applied(bench);
    expect_all(bench);
    assert_int_equal(atomic_load(&bench->reads), 0);
    assert_int_equal(bench->memory.resets, 0);
}

static void a_store_that_is_behind_gets_what_is_missing(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 10);
    start(bench);
    await_applied(bench);
    stop(bench);
    append_wins(bench, 600);
    start(bench);
    await_applied(bench);
    expect_all(bench);
    assert_int_equal(bench->memory.resets, 0);
}

/* Of another journal: as far, further on, less far. */
static void the_copy_of_another_log_is_made_again(void **state) {
    struct bench *bench = *state;
    for (int with = -1; with <= 1; with++) {
        append_open(bench);
        append_wins(bench, 10);
        start(bench);
        await_applied(bench);
        stop(bench);
        bench->memory.resets = 0;
        bench->seq = bench->log_bytes = 0;
        bench->segment++;
        append_open(bench);
        append_wins(bench, (uint32_t)(10 + 4 * with));
        start(bench);
        await_applied(bench);
        expect_all(bench);
        assert_int_equal(bench->memory.resets, 1);
        stop(bench);
        bench->seq = bench->log_bytes = 0;
        bench->segment++;
    }
}

static void an_empty_log_and_a_store_that_is_not(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    start(bench);
    await_applied(bench);
    stop(bench);
    bench->seq = bench->log_bytes = 0;
    start(bench);
    await_applied(bench);
    expect_all(bench);
}

static void a_store_that_cannot_now_gets_all_later(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    bench->memory.open_says = STORE_LATER;
    bench->memory.open_times = 2;
    start(bench);
    await_applied(bench);
    says(bench, STORE_LATER, 4);
    for (int i = 0; i < 20; i++) {
        append_wins(bench, 60);
        send_rest(bench);
    }
    await_state(bench, RECORDER_WAITING);
    await_applied(bench);
    expect_all(bench);
}

static void a_commit_that_was_not_heard_of_is_not_made_twice(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    start(bench);
    await_applied(bench);
    pthread_mutex_lock(&bench->memory.lock);
    bench->memory.commits_and_says_later = true;
    pthread_mutex_unlock(&bench->memory.lock);
    says(bench, STORE_LATER, 1);
    append_wins(bench, 5);
    send_rest(bench);
    await_applied(bench);
    expect_all(bench);
}

static void a_store_that_breaks_is_made_again_in_flight(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 700);
    start(bench);
    await_applied(bench);
    for (int i = 0; i < 5; i++) {
        pthread_mutex_lock(&bench->memory.lock);
        bench->memory.reset_says = STORE_LATER;
        bench->memory.reset_times = 1;
        pthread_mutex_unlock(&bench->memory.lock);
        says(bench, STORE_DAMAGED, 1);
        append_wins(bench, i == 0 ? 1 : 512); /* one is committed when due, the other when full */
        send_rest(bench);
        await_applied(bench);
        expect_all(bench);
    }
    assert_int_equal(bench->memory.resets, 5);
}

static void a_log_that_cannot_be_read_is_read_again(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 30);
    start(bench);
    await_applied(bench);
    atomic_store(&bench->reads, 0);
    atomic_store(&bench->reads_that_fail, 1);
    says(bench, STORE_DAMAGED, 1);
    append_wins(bench, 1);
    send_rest(bench);
    await_applied(bench);
    expect_all(bench);
    assert_int_equal(atomic_load(&bench->reads), 2);
}

static void a_conflict_stops_the_copy_and_nothing_else(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    start(bench);
    await_applied(bench);
    says(bench, STORE_CONFLICT, 1);
    for (int i = 0; i < 3; i++) {
        append_wins(bench, 5);
        send_rest(bench);
    }
    await_state(bench, RECORDER_IS_STOPPED);
    append_wins(bench, 5);
    struct record_block *block = send_block(bench);
    for (int ms = 0; atomic_load(&block->references) > 1; ms++) { /* it does not pile up */
        assert_true(ms < PATIENCE_MS);
        usleep(1000);
    }
    record_block_release(block);
    stop(bench);
    assert_int_equal(bench->memory.rows_count, 1);
}

static void stopping_writes_what_has_come(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    start(bench);
    for (int i = 0; i < 20; i++) {
        await_applied(bench);
        append_wins(bench, i % 2 == 0 ? 3 : 300); /* no batch is full or due yet */
        send_rest(bench);
        stop(bench);
        expect_all(bench);
        start(bench);
    }
}

static void stopping_does_not_wait_for_ever(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    says(bench, STORE_LATER, 1000000);
    start(bench);
    await_state(bench, RECORDER_WAITING);
    append_wins(bench, 5);
    send_rest(bench);
    stop(bench);
    assert_int_equal(bench->memory.rows_count, 0);
    says(bench, STORE_OK, 0);
    start(bench);
    await_applied(bench);
    expect_all(bench);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_log_and_what_comes_then),
        TEST(a_new_store_is_filled_from_the_log),
        TEST(a_store_that_is_up_to_date_needs_no_reading),
        TEST(a_store_that_is_behind_gets_what_is_missing),
        TEST(the_copy_of_another_log_is_made_again),
        TEST(an_empty_log_and_a_store_that_is_not),
        TEST(a_store_that_cannot_now_gets_all_later),
        TEST(a_commit_that_was_not_heard_of_is_not_made_twice),
        TEST(a_store_that_breaks_is_made_again_in_flight),
        TEST(a_log_that_cannot_be_read_is_read_again),
        TEST(a_conflict_stops_the_copy_and_nothing_else),
        TEST(stopping_writes_what_has_come),
        TEST(stopping_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
