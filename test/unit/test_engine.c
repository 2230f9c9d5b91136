/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine over a log that does what the test says: holds a batch back, brings it back whole or
 * in parts, fails, is short of room. What the sink hears is kept as text, so that a test reads as
 * the order that it demands.
 */
#include "claim/engine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "claim/batch.h"
#include "fake/failing_alloc.h"

enum { WAITING_MAX = 6000 };

struct bench {
    struct log log; /* first: the fake log is the bench */
    char *flying;
    size_t flying_bytes, flying_count;
    uint64_t seq, room;
    bool has_reserve, immediate, spoils_wins, room_shrinks;
    unsigned batches_count;
    size_t largest_batch;
    struct view *view;
    struct reserve *reserve;
    struct engine *engine;
    uint64_t unseen[16];
    size_t unseen_count;
    char told[1 << 18];
    size_t told_bytes;
};

/* ---- The log ---- */

static struct bench *bench_of(const struct log *log) {
    return (struct bench *)(uintptr_t)log;
}

/* Another gen in every win: the judge will not accept it. */
static void spoil(char *encoded) {
    struct record record;
    char copy[RECORD_BYTES_MAX];
    memcpy(copy, encoded, record_padded_bytes(encoded));
    assert_int_equal(record_decode(slice_of(copy, sizeof copy), &record, NULL), RECORD_OK);
    if (record.type != RECORD_WIN) return;
    record.win.gen += 7;
    assert_int_equal(record_encode(encoded, &record), record_padded_bytes(copy));
}

/* The first `count` records of what is flying come back. */
static void deliver_some(struct bench *bench, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (bench->spoils_wins) spoil(bench->flying + bytes);
        record_place(bench->flying + bytes, ++bench->seq, 9, (uint16_t)i);
        bytes += record_padded_bytes(bench->flying + bytes);
    }
    struct slice records = slice_of(bench->flying, bytes);
    if (bench->room_shrinks) bench->room -= bytes;
    bench->flying_count -= count;
    bench->flying_bytes -= bytes;
    bench->flying = bench->flying_count == 0 ? NULL : bench->flying + bytes;
    bench->log.sink.on_records(bench->log.sink.ctx, records);
}

/* All of it, without the network threads having a look. */
static void deliver_unseen(struct bench *bench) {
    assert_non_null(bench->flying);
    deliver_some(bench, bench->flying_count);
}

/* All of it, and every view applies it. */
static void deliver(struct bench *bench) {
    deliver_unseen(bench);
    while (bench->unseen_count > 0)
        engine_control_seen(bench->engine, bench->unseen[--bench->unseen_count]);
}

static void log_append(struct log *log, void *records, size_t bytes, size_t count) {
    struct bench *bench = bench_of(log);
    assert_null(bench->flying);
    assert_true(bytes <= bench->room && count <= BATCH_RECORDS_MAX);
    bench->flying = records;
    bench->flying_bytes = bytes;
    bench->flying_count = count;
    bench->batches_count++;
    if (count > bench->largest_batch) bench->largest_batch = count;
    if (bench->immediate) deliver_unseen(bench);
}
static bool log_is_idle(const struct log *log) {
    return bench_of(log)->flying == NULL;
}
static uint64_t log_room_bytes(const struct log *log) {
    return bench_of(log)->room;
}
static bool log_has_reserve(const struct log *log) {
    return bench_of(log)->has_reserve;
}
static void log_pump(struct log *log) {
    (void)log;
}

static void fail_log(struct bench *bench) {
    bench->log.sink.on_failed(bench->log.sink.ctx, -EIO);
}

/* ---- What is told ---- */

static const char *const outcome_names[] = {
    [CLAIM_ISSUED] = "issued",
    [CLAIM_ALREADY_ISSUED] = "already",
    [CLAIM_SOLD_OUT] = "sold_out",
    [CLAIM_NOT_STARTED] = "not_started",
    [CLAIM_ENDED] = "ended",
    [CLAIM_PAUSED] = "paused",
    [CLAIM_RETURNED] = "returned",
    [CLAIM_NONE] = "none",
    [CLAIM_UNAVAILABLE] = "unavailable",
    [CLAIM_PENDING] = "pending",
};
static const char *const control_names[] = {
    [CONTROL_DONE] = "done",         [CONTROL_EXISTS] = "exists",   [CONTROL_UNKNOWN] = "unknown",
    [CONTROL_CLOSED] = "closed",     [CONTROL_REFUSED] = "refused", [CONTROL_NO_SPACE] = "no_space",
    [CONTROL_UNAVAILABLE] = "later",
};

static void PRINTF_LIKE(2, 3) tell(struct bench *bench, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(bench->told + bench->told_bytes, sizeof bench->told - bench->told_bytes,
                      format, arguments);
    va_end(arguments);
    bench->told_bytes += (size_t)n;
    assert_true(bench->told_bytes < sizeof bench->told);
}

static void on_records(void *ctx, struct slice records) {
    size_t count = 0;
    for (size_t at = 0; at < records.n; count++) at += record_padded_bytes(records.p + at);
    tell(ctx, "[%zu]", count);
}
static void on_answer(void *ctx, uint32_t thread, uint64_t token, enum claim_outcome outcome) {
    assert_int_equal(thread, token % 3);
    tell(ctx, " %d:%s", (int)token, outcome_names[outcome]);
}
static void on_control(void *ctx, uint64_t token, enum control_outcome outcome) {
    struct bench *bench = ctx;
    tell(bench, " c%d:%s", (int)token, control_names[outcome]);
    if (outcome == CONTROL_DONE) bench->unseen[bench->unseen_count++] = token;
}
static void on_failed(void *ctx, int code) {
    tell(ctx, " failed%d", code);
}

static void expect_told(struct bench *bench, const char *expected) {
    assert_string_equal(bench->told, expected);
    bench->told_bytes = 0;
    bench->told[0] = '\0';
}

/* ---- The bench ---- */

static void begin_at(struct bench *bench, int64_t ms) {
    engine_begin(bench->engine, ms);
}
static void begin(struct bench *bench) {
    begin_at(bench, 1500);
}
static void end(struct bench *bench) {
    engine_end(bench->engine);
}

static void ask(struct bench *bench, uint32_t event, const char *user, unsigned token,
                enum claim_kind kind) {
    struct claim claim = {
        .event = event, .token = token, .thread = token % 3, .kind = (uint8_t)kind};
    claim.user_id_bytes = (uint8_t)strlen(user);
    memcpy(claim.user_id, user, claim.user_id_bytes);
    engine_claim(bench->engine, &claim);
}
static void claim(struct bench *bench, const char *user, unsigned token) {
    ask(bench, 0, user, token, CLAIM_KIND_CLAIM);
}
static void query(struct bench *bench, const char *user, unsigned token) {
    ask(bench, 0, user, token, CLAIM_KIND_QUERY);
}

/* Users u<first>, u<first + 1>, ..., tokens alike. */
static void claim_many(struct bench *bench, unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%u", i);
        claim(bench, user, i);
    }
}

static void control(struct bench *bench, struct record record, unsigned token) {
    if (record.event_id.n == 0) record.event_id = SLICE("e0");
    engine_control(bench->engine, &record, token);
}

static struct record open_record(const char *id, uint32_t stock) {
    return (struct record){
        .type = RECORD_OPEN,
        .event_id = slice_str(id),
        .open = {.stock = stock,
                 .starts_ms = 1000,
                 .ends_ms = 9000,
                 .code = {.alphabet = SLICE("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), .length = 16}}};
}

static void open_event(struct bench *bench, const char *id, uint32_t stock) {
    begin(bench);
    control(bench, open_record(id, stock), 1);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] c1:done");
}

/* One tick with claims of these users (one character each), tokens 'a', 'b', .... */
static void tick(struct bench *bench, const char *users) {
    begin(bench);
    for (; *users != '\0'; users++) claim(bench, (const char[]){*users, '\0'}, (unsigned)*users);
    end(bench);
}

static int set_up(void **state) {
    static const struct hash_key key = {{1, 2}};
    static const struct log_ops ops = {.append = log_append,
                                       .is_idle = log_is_idle,
                                       .room_bytes = log_room_bytes,
                                       .has_reserve = log_has_reserve,
                                       .pump = log_pump};
    struct bench *bench = calloc(1, sizeof *bench);
    bench->log.ops = &ops;
    bench->room = 64 * 1024 * 1024;
    bench->has_reserve = true;
    bench->view = view_new(&key);
    bench->reserve = reserve_memory_new(&key);
    const struct engine_sink sink = {bench, on_records, on_answer, on_control, on_failed};
    bench->engine = engine_new(bench->view, bench->reserve, &bench->log, &sink, WAITING_MAX);
    assert_non_null(bench->engine);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    engine_free(bench->engine);
    bench->reserve->ops->free(bench->reserve);
    view_free(bench->view);
    free(bench);
    return 0;
}

/* ---- Winners, losers, repeats ---- */

static void pass_is_told_only_after_the_log(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    tick(bench, "a");
    expect_told(bench, "");
    begin(bench);
    end(bench);
    expect_told(bench, "");
    deliver(bench);
    expect_told(bench, "[1] 97:issued");
}

static void sold_out_is_told_after_the_last_win(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    tick(bench, "ab");
    tick(bench, "c"); /* the win is flying */
    expect_told(bench, "");
    deliver(bench);
    expect_told(bench, "[1] 97:issued 98:sold_out 99:sold_out");
    tick(bench, "d");
    expect_told(bench, " 100:sold_out");
    assert_int_equal(bench->batches_count, 2); /* losers write nothing (I6) */
}

static void sold_out_waits_for_the_collecting_batch(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2);
    tick(bench, "a");
    tick(bench, "bc"); /* b's win collects while a's is flying */
    deliver(bench);
    expect_told(bench, "[1] 97:issued");
    tick(bench, "");
    deliver(bench);
    expect_told(bench, "[1] 98:issued 99:sold_out");
}

static void a_repeat_waits_for_its_win(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    begin(bench);
    claim(bench, "a", 1);
    claim(bench, "a", 2);
    end(bench);
    begin(bench);
    claim(bench, "a", 3);
    end(bench);
    expect_told(bench, "");
    deliver(bench);
    expect_told(bench, "[1] 1:issued 2:already 3:already");
    begin(bench);
    claim(bench, "a", 4);
    expect_told(bench, " 4:already"); /* at once */
    end(bench);
}

static void a_query_tells_what_is_on_its_way(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    begin(bench);
    query(bench, "a", 1);
    expect_told(bench, " 1:none");
    claim(bench, "a", 2);
    query(bench, "a", 3);
    query(bench, "b", 4);
    expect_told(bench, " 4:none");
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 2:issued 3:already");
    begin(bench);
    query(bench, "a", 5);
    end(bench);
    expect_told(bench, " 5:already");
    assert_int_equal(bench->batches_count, 2);
}

static void what_arrives_during_a_commit_goes_together(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 50);
    tick(bench, "a");
    tick(bench, "bc");
    tick(bench, "d");
    deliver(bench);
    expect_told(bench, "[1] 97:issued");
    tick(bench, "");
    deliver(bench);
    expect_told(bench, "[3] 98:issued 99:issued 100:issued");
}

static void records_that_come_back_in_parts(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 50);
    tick(bench, "abc");
    deliver_some(bench, 1);
    deliver_some(bench, 1);
    expect_told(bench, "[1][1]");
    deliver(bench);
    expect_told(bench, "[1] 97:issued 98:issued 99:issued");
}

static void a_loser_does_not_wait_for_other_events(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    open_event(bench, "e1", 5);
    tick(bench, "a");
    deliver(bench);
    expect_told(bench, "[1] 97:issued");
    begin(bench);
    ask(bench, 1, "x", 1, CLAIM_KIND_CLAIM);
    claim(bench, "b", 2);
    expect_told(bench, " 2:sold_out");
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 1:issued");
}

static void a_win_that_the_judge_refuses_may_be_tried_again(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    bench->spoils_wins = true;
    tick(bench, "a");
    deliver(bench);
    expect_told(bench, "[1] 97:unavailable");
    bench->spoils_wins = false;
    tick(bench, "b");
    deliver(bench);
    expect_told(bench, "[1] 98:issued");
}

/* ---- Bounds ---- */

static void a_full_batch_goes_at_once_and_the_rest_waits_its_turn(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 10000);
    begin(bench);
    claim_many(bench, 0, 2 * BATCH_WINS_MAX + 3); /* one flying, one collecting, 3 behind */
    query(bench, "u2032", 5000);                  /* is one of the three */
    assert_int_equal(bench->batches_count, 2);
    end(bench);
    expect_told(bench, "");
    assert_int_equal(bench->flying_count, BATCH_WINS_MAX);
    deliver(bench);
    bench->told_bytes = 0;
    assert_non_null(strstr(bench->told, "[1016] 0:issued 1:issued 2:issued"));
    assert_non_null(bench->flying); /* the full second one went off by itself */
    deliver(bench);
    bench->told_bytes = 0;
    begin(bench);
    claim(bench, "z", 6000);
    end(bench);
    deliver(bench);
    expect_told(bench, "[4] 2032:issued 2033:issued 2034:issued 5000:already 6000:issued");
}

static void serials_follow_the_order_of_arrival(void **state) {
    struct bench *bench = *state;
    enum { COUNT = 4000 };
    open_event(bench, "e0", COUNT);
    begin(bench);
    claim_many(bench, 0, COUNT);
    for (int i = 0; i < 10 && (end(bench), bench->flying != NULL); i++) deliver(bench);
    for (uint32_t i = 0; i < COUNT; i++) {
        char user[16];
        struct coupon coupon;
        snprintf(user, sizeof user, "u%u", i);
        assert_int_equal(judge_lookup(view_at(bench->view, 0)->judge, slice_str(user), &coupon),
                         HOLDING_COUPON);
        assert_int_equal(coupon.serial, i + 1);
    }
    assert_int_equal(bench->largest_batch, BATCH_WINS_MAX);
}

static void a_log_that_answers_during_append(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 3500);
    bench->immediate = true;
    begin(bench);
    claim_many(bench, 0, 3500);
    end(bench);
    assert_null(bench->flying);
    assert_int_equal(judge_state(view_at(bench->view, 0)->judge)->taken, 3500);
    assert_non_null(strstr(bench->told, " 3499:issued"));
}

static void more_than_may_wait_is_refused_before_anything_is_reserved(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 10000);
    tick(bench, "a");
    begin(bench);
    claim_many(bench, 1000, WAITING_MAX - 1);
    expect_told(bench, "");
    claim(bench, "b", 1);
    expect_told(bench, " 1:unavailable");
    end(bench);
    deliver(bench);
    bench->told_bytes = 0;
    begin(bench);
    query(bench, "b", 2);
    for (int i = 0; i < 10 && (end(bench), bench->flying != NULL); i++) deliver(bench);
    assert_non_null(strstr(bench->told, " 2:none"));
}

static void without_room_nothing_is_reserved_but_repeats_are_answered(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 3);
    tick(bench, "a");
    bench->room = 3 * RECORD_BYTES_MAX;
    begin(bench);
    claim(bench, "b", 2);
    expect_told(bench, " 2:unavailable");
    claim(bench, "a", 3);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 97:issued 3:already");
    bench->room = 1 << 20;
    begin(bench);
    claim(bench, "b", 4);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 4:issued");
}

/* What is flying takes room that the log does not count as taken yet. */
static void room_is_promised_once(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2000);
    bench->room = 32 * 1024;
    bench->room_shrinks = true;
    begin(bench);
    claim_many(bench, 0, 100);
    end(bench);
    begin(bench);
    claim_many(bench, 1000, 200);
    end(bench);
    deliver(bench);
    end(bench);
    if (bench->flying != NULL) deliver(bench);
    unsigned answers = 0;
    for (const char *p = bench->told; *p != '\0'; p++) answers += *p == ':';
    assert_int_equal(answers, 300);
    assert_non_null(strstr(bench->told, "unavailable"));
}

/* Whatever the log's room is, no batch is larger than it (log_append checks), and nobody hangs. */
static void any_room(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2000);
    for (uint64_t room = 0; room < 64 * 1024; room += 1777) {
        bench->room = room;
        begin(bench);
        claim_many(bench, (unsigned)room, 30);
        end(bench);
        if (bench->flying != NULL) deliver(bench);
        end(bench);
        assert_null(bench->flying);
        unsigned answers = 0;
        for (const char *p = bench->told; *p != '\0'; p++) answers += *p == ':';
        assert_int_equal(answers, 30);
        bench->told_bytes = 0;
    }
}

/* ---- Failure ---- */

static void after_a_failed_log_everybody_is_answered_once(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2);
    tick(bench, "a");
    tick(bench, "bcb"); /* collects; c lost, b repeats */
    begin(bench);
    control(bench, (struct record){.type = RECORD_PAUSE}, 7);
    claim(bench, "d", 4); /* held */
    end(bench);
    fail_log(bench);
    expect_told(bench, " 97:pending 98:pending 99:pending 98:pending 4:unavailable failed-5");
    fail_log(bench);
    begin(bench);
    claim(bench, "e", 5);
    control(bench, (struct record){.type = RECORD_RESUME}, 8);
    end(bench);
    expect_told(bench, " 5:unavailable c8:later");
}

static void after_a_failed_log_the_view_still_answers(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2);
    tick(bench, "a");
    deliver(bench);
    fail_log(bench);
    expect_told(bench, "[1] 97:issued failed-5");
    tick(bench, "a");
    expect_told(bench, " 97:already");
}

/* What a batch with a win and, behind it, an event's opening does to a process whose memory ends in
 * between; its exit status. */
static int status_of_a_batch(struct bench *bench, int allocations) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        allocations_left = allocations;
        deliver_unseen(bench);
        tick(bench, "a"); /* the view would know: the threads do not */
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void out_of_memory_within_a_batch_is_a_fail_stop(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2);
    begin(bench);
    claim(bench, "a", 1);
    control(bench, open_record("e1", 5), 2);
    end(bench);
    int allocations = 0, status;
    for (; (status = status_of_a_batch(bench, allocations)) != 0; allocations++)
        assert_int_equal(status, 70);
    assert_true(allocations >= 3); /* the event, its judge, its reservations */
    assert_true(allocations < 50);
}

/* ---- Control records ---- */

static void controls_are_refused_without_writing(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    tick(bench, "a");
    deliver(bench);
    expect_told(bench, "[1] 97:issued");
    unsigned batches = bench->batches_count;
    begin(bench);
    control(bench, open_record("e0", 9), 1);
    control(bench, (struct record){.type = RECORD_PAUSE, .event_id = SLICE("no")}, 2);
    control(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 0}}, 3);
    struct record give_back = {.type = RECORD_RETURN,
                               .give_back = {.serial = 1, .user_id = SLICE("b")}};
    control(bench, give_back, 4);
    give_back.give_back.serial = 6;
    control(bench, give_back, 5);
    struct record backwards = {.type = RECORD_RESCHEDULE,
                               .reschedule = {.starts_ms = 9, .ends_ms = 8}};
    control(bench, backwards, 6);
    control(bench, (struct record){.type = RECORD_FENCE, .fence = {.gen = 3}}, 7);
    bench->has_reserve = false;
    control(bench, open_record("new", 9), 8);
    bench->has_reserve = true;
    bench->room = 100;
    control(bench, open_record("new", 9), 9);
    end(bench);
    expect_told(bench, " c1:exists c2:unknown c3:refused c4:refused c5:refused c6:refused"
                       " c7:refused c8:no_space c9:later");
    assert_int_equal(bench->batches_count, batches);
}

static void closed_is_final(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    tick(bench, "a");
    deliver(bench);
    begin(bench);
    control(bench, (struct record){.type = RECORD_CLOSE}, 1);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 97:issued[1] c1:done");
    begin(bench);
    control(bench, (struct record){.type = RECORD_RESUME}, 2);
    control(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 50}}, 3);
    claim(bench, "b", 4);
    struct record give_back = {.type = RECORD_RETURN,
                               .give_back = {.serial = 1, .user_id = SLICE("a")}};
    control(bench, give_back, 5);
    end(bench);
    deliver(bench);
    expect_told(bench, " c2:closed c3:closed 4:ended[1] c5:done");
}

static void claims_are_held_until_the_control_is_decided(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    open_event(bench, "e1", 5);
    begin(bench);
    claim(bench, "a", 1);
    control(bench, (struct record){.type = RECORD_PAUSE}, 9);
    claim(bench, "b", 2);
    query(bench, "c", 3);
    ask(bench, 1, "x", 4, CLAIM_KIND_CLAIM);
    end(bench);
    begin(bench);
    claim(bench, "d", 5);
    control(bench, (struct record){.type = RECORD_RESUME}, 8);
    expect_told(bench, " c8:later"); /* one at a time */
    end(bench);
    assert_int_equal(bench->flying_count, 3);
    deliver(bench);
    expect_told(bench, "[3] 1:issued 4:issued c9:done 2:paused 3:none 5:paused");
}

static void a_restock_lets_in_who_was_held(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    tick(bench, "ab");
    deliver(bench);
    expect_told(bench, "[1] 97:issued 98:sold_out");
    begin(bench);
    control(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 2}}, 1);
    claim(bench, "c", 3);
    claim(bench, "d", 4);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] c1:done");
    tick(bench, "");
    deliver(bench);
    expect_told(bench, "[1] 3:issued 4:sold_out");
}

/* The win that makes the restock impossible is on its way: only the judge sees both. */
static void the_judge_has_the_last_word_on_a_control(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2);
    begin(bench);
    claim(bench, "a", 1);
    claim(bench, "b", 2);
    control(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 1}}, 3);
    claim(bench, "c", 4);
    end(bench);
    deliver(bench);
    expect_told(bench, "[3] 1:issued 2:issued c3:refused 4:sold_out");
}

static void a_returned_coupon_goes_to_another(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    tick(bench, "a");
    deliver(bench);
    begin(bench);
    struct record give_back = {.type = RECORD_RETURN,
                               .give_back = {.serial = 1, .user_id = SLICE("a")}};
    control(bench, give_back, 1);
    claim(bench, "b", 2);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 97:issued[1] c1:done");
    begin(bench);
    claim(bench, "a", 3);
    end(bench);
    deliver(bench);
    expect_told(bench, " 3:returned[1] 2:issued");
    struct coupon coupon;
    assert_int_equal(judge_lookup(view_at(bench->view, 0)->judge, SLICE("b"), &coupon),
                     HOLDING_COUPON);
    assert_int_equal(coupon.round, 1);
}

/* A view that still knows the old state must not answer somebody whom the new one let win (I2). */
static void claims_are_held_until_every_view_has_the_control(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    tick(bench, "a");
    deliver(bench);
    begin(bench);
    control(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 2}}, 1);
    claim(bench, "b", 2);
    end(bench);
    deliver_unseen(bench);
    expect_told(bench, "[1] 97:issued[1] c1:done");
    begin(bench);
    claim(bench, "c", 3);
    claim(bench, "a", 4);
    control(bench, (struct record){.type = RECORD_PAUSE}, 5);
    end(bench);
    expect_told(bench, " 4:already c5:later"); /* what is decided is told */
    assert_null(bench->flying);
    begin(bench);
    engine_control_seen(bench->engine, bench->unseen[--bench->unseen_count]);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 2:issued 3:sold_out");
}

/* c came while the batch was full, b before it, while its event was held: b is first. */
static void who_was_held_goes_before_who_came_later(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    open_event(bench, "e1", 10000);
    begin(bench);
    control(bench, (struct record){.type = RECORD_RESUME}, 1);
    claim(bench, "b", 9001);
    for (unsigned i = 0; i < 3 * BATCH_WINS_MAX; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%u", i);
        ask(bench, 1, user, i, CLAIM_KIND_CLAIM);
    }
    claim(bench, "c", 9002);
    end(bench);
    for (int i = 0; i < 5 && bench->flying != NULL; i++) {
        deliver(bench); /* the first time, one batch flies again and the next one is full */
        end(bench);
    }
    assert_non_null(strstr(bench->told, " 9001:issued"));
    assert_non_null(strstr(bench->told, " 9002:sold_out"));
}

static void a_stampede_leaves_place_for_controls(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 100000);
    begin(bench);
    claim_many(bench, 0, 3 * BATCH_WINS_MAX);
    control(bench, (struct record){.type = RECORD_PAUSE}, 7);
    end(bench);
    deliver(bench);
    bench->told_bytes = 0;
    assert_int_equal(bench->flying_count, BATCH_WINS_MAX + 1);
    deliver(bench);
    char *after = strstr(bench->told, " c7:done");
    assert_non_null(after);
    assert_non_null(strstr(after, " 2032:paused 2033:paused"));
    assert_null(bench->flying);
}

static void many_controls_in_one_tick(void **state) {
    struct bench *bench = *state;
    char id[16], expected[256] = "[8]";
    begin(bench);
    for (unsigned i = 0; i < BATCH_CONTROLS_MAX; i++) {
        snprintf(id, sizeof id, "e%u", i);
        control(bench, open_record(id, 5), i);
        snprintf(expected + strlen(expected), 16, " c%u:done", i);
    }
    control(bench, open_record("e3", 5), 20); /* it is on its way */
    expect_told(bench, " c20:later");
    end(bench);
    deliver(bench);
    expect_told(bench, expected);
}

/* ---- Time ---- */

static void time_never_runs_backwards(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    begin_at(bench, 9000);
    claim(bench, "a", 1);
    end(bench);
    begin_at(bench, 5000); /* the clock was set back: over stays over (I9) */
    claim(bench, "b", 2);
    end(bench);
    expect_told(bench, " 1:ended 2:ended");
    assert_int_equal(engine_begin(bench->engine, 100), 9000);
}

static void start_and_end_decide(void **state) {
    struct bench *bench = *state;
    struct record open = open_record("e0", 5);
    open.open.starts_ms = 2000;
    begin(bench);
    control(bench, open, 1);
    end(bench);
    deliver(bench);
    assert_int_equal(engine_next_boundary_ms(bench->engine), 2000);
    begin_at(bench, 1999);
    claim(bench, "a", 1);
    end(bench);
    expect_told(bench, "[1] c1:done 1:not_started");
    begin_at(bench, 2000);
    claim(bench, "a", 2);
    end(bench);
    assert_int_equal(engine_next_boundary_ms(bench->engine), 9000);
    deliver(bench);
    expect_told(bench, "[1] 2:issued");
    begin_at(bench, 9000);
    end(bench);
    assert_int_equal(engine_next_boundary_ms(bench->engine), TIME_MS_MAX);
}

static void the_boundary_follows_the_controls(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    assert_int_equal(engine_next_boundary_ms(bench->engine), 9000);
    begin(bench);
    struct record later = {.type = RECORD_RESCHEDULE,
                           .reschedule = {.starts_ms = 3000, .ends_ms = TIME_MS_MAX}};
    control(bench, later, 1);
    end(bench);
    deliver(bench);
    assert_int_equal(engine_next_boundary_ms(bench->engine), 3000);
    begin(bench);
    control(bench, (struct record){.type = RECORD_CLOSE}, 1);
    end(bench);
    deliver(bench);
    assert_int_equal(engine_next_boundary_ms(bench->engine), TIME_MS_MAX);
}

/* While a win is on its way, no view is told that its event is over: it would tell the winner (I2).
 */
static void the_end_is_not_told_before_the_last_win(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 5);
    begin_at(bench, 8999);
    claim(bench, "a", 1);
    end(bench);
    assert_int_equal(engine_told_ms(bench->engine), 8999);
    begin_at(bench, 9500);
    claim(bench, "b", 2); /* the engine itself knows the time */
    end(bench);
    expect_told(bench, " 2:ended");
    assert_int_equal(engine_told_ms(bench->engine), 8999);
    deliver(bench);
    expect_told(bench, "[1] 1:issued");
    assert_int_equal(engine_told_ms(bench->engine), 9500);
}

/* A new engine over what the log holds: same winners, next serial, time not behind any record. */
static void a_new_engine_goes_on_where_the_log_ends(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 3);
    begin_at(bench, 4000);
    claim(bench, "a", 1);
    end(bench);
    deliver(bench);
    expect_told(bench, "[1] 1:issued");
    engine_free(bench->engine);
    const struct engine_sink sink = {bench, on_records, on_answer, on_control, on_failed};
    bench->engine = engine_new(bench->view, bench->reserve, &bench->log, &sink, WAITING_MAX);
    assert_int_equal(engine_begin(bench->engine, 0), 4000);
    claim(bench, "a", 2);
    claim(bench, "b", 3);
    claim(bench, "c", 4);
    claim(bench, "d", 5);
    end(bench);
    deliver(bench);
    expect_told(bench, " 2:already[2] 3:issued 4:issued 5:sold_out");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(pass_is_told_only_after_the_log),
        TEST(sold_out_is_told_after_the_last_win),
        TEST(sold_out_waits_for_the_collecting_batch),
        TEST(a_repeat_waits_for_its_win),
        TEST(a_query_tells_what_is_on_its_way),
        TEST(what_arrives_during_a_commit_goes_together),
        TEST(records_that_come_back_in_parts),
        TEST(a_loser_does_not_wait_for_other_events),
        TEST(a_win_that_the_judge_refuses_may_be_tried_again),
        TEST(a_full_batch_goes_at_once_and_the_rest_waits_its_turn),
        TEST(serials_follow_the_order_of_arrival),
        TEST(a_log_that_answers_during_append),
        TEST(more_than_may_wait_is_refused_before_anything_is_reserved),
        TEST(without_room_nothing_is_reserved_but_repeats_are_answered),
        TEST(room_is_promised_once),
        TEST(any_room),
        TEST(after_a_failed_log_everybody_is_answered_once),
        TEST(after_a_failed_log_the_view_still_answers),
        TEST(out_of_memory_within_a_batch_is_a_fail_stop),
        TEST(controls_are_refused_without_writing),
        TEST(closed_is_final),
        TEST(claims_are_held_until_the_control_is_decided),
        TEST(a_restock_lets_in_who_was_held),
        TEST(the_judge_has_the_last_word_on_a_control),
        TEST(a_returned_coupon_goes_to_another),
        TEST(claims_are_held_until_every_view_has_the_control),
        TEST(who_was_held_goes_before_who_came_later),
        TEST(a_stampede_leaves_place_for_controls),
        TEST(many_controls_in_one_tick),
        TEST(time_never_runs_backwards),
        TEST(start_and_end_decide),
        TEST(the_boundary_follows_the_controls),
        TEST(the_end_is_not_told_before_the_last_win),
        TEST(a_new_engine_goes_on_where_the_log_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
