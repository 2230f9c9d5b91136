/* SPDX-License-Identifier: Apache-2.0
 *
 * However often the database fails, is lost, forgets whether it has committed, or is another's:
 * each record of the log has its rows once.
 */
#include "claim/consumer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/memory_recording.h"
#include "log/record.h"

enum { LOG_MAX = 2000 };

struct bench {
    struct memory_recording memory;
    struct code_keys keys;
    struct clock clock;
    uint64_t now_ns;
    struct random_source random;
    uint64_t dice;
    struct {
        size_t bytes;
        _Alignas(8) char value[256];
    } log[LOG_MAX];
    size_t count; /* records of the log */
    unsigned dead_letters, dead_letters_that_fail;
    uint32_t attempts;
    struct consumer *consumer;
};

static uint64_t now(const struct clock *clock) {
    return CONTAINER_OF(clock, struct bench, clock)->now_ns;
}

static int64_t wall(const struct clock *clock) {
    (void)clock;
    return 1;
}

static void fill(struct random_source *source, void *out, size_t bytes) {
    assert_int_equal(bytes, sizeof(uint64_t));
    memcpy(out, &CONTAINER_OF(source, struct bench, random)->dice, bytes);
}

static int send_dead(void *ctx, const struct recording_reject *reject, uint32_t attempts,
                     struct err *err) {
    struct bench *bench = ctx;
    assert_true(reject->is_dead);
    bench->attempts = attempts;
    if (bench->dead_letters_that_fail != 0) {
        bench->dead_letters_that_fail--;
        return err_set(err, -EAGAIN, "no broker");
    }
    bench->dead_letters++;
    return 0;
}

static void new_consumer(struct bench *bench) {
    consumer_free(bench->consumer);
    bench->consumer = consumer_new(&(struct consumer_options){
        .recording = &bench->memory.recording,
        .keys = &bench->keys,
        .dead_letters = {.ctx = bench, .send = send_dead},
        .clock = &bench->clock,
        .random = &bench->random,
        .hash_key = {{1, 2}},
    });
    assert_non_null(bench->consumer);
}

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    memory_recording_init(&bench->memory);
    bench->clock = (struct clock){.wall_ms = wall, .monotonic_ns = now};
    bench->random.fill = fill;
    bench->now_ns = 1;
    bench->dice = 0;
    new_consumer(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    consumer_free(bench->consumer);
    free(bench);
    return 0;
}

/* ---- a log ---- */

static void append_bytes(struct bench *bench, const void *value, size_t bytes) {
    assert_true(bench->count < LOG_MAX && bytes <= sizeof bench->log[0].value);
    memcpy(bench->log[bench->count].value, value, bytes);
    bench->log[bench->count++].bytes = bytes;
}

static void append(struct bench *bench, const char *event, struct record record) {
    _Alignas(8) char value[RECORD_BYTES_MAX];
    record.event_id = slice_str(event);
    record.ms = 1;
    size_t bytes = record_encode(value, &record);
    assert_true(bytes != 0);
    append_bytes(bench, value, bytes);
}

static void append_open(struct bench *bench) {
    append(bench, "EV",
           (struct record){.type = RECORD_OPEN,
                           .open = {.stock = 1000,
                                    .ends_ms = TIME_MS_MAX,
                                    .code = {.alphabet = SLICE("0123456789"), .length = 25}}});
}

static void append_win(struct bench *bench, uint32_t serial, uint32_t gen, const char *event) {
    char user_id[32];
    snprintf(user_id, sizeof user_id, "u%u", serial);
    append(bench, event,
           (struct record){.type = RECORD_WIN,
                           .win = {.gen = gen, .serial = serial, .user_id = slice_str(user_id)}});
}

static void append_wins(struct bench *bench, uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) append_win(bench, first + i, 1, "EV");
}

/* Whole, undamaged, and of tomorrow. */
static void append_newer(struct bench *bench) {
    append_win(bench, 999, 1, "EV");
    char *value = bench->log[bench->count - 1].value;
    value[4] = RECORD_VERSION + 1;
    record_place(value, 0, 0, 0); /* a new checksum */
}

/* ---- reading it ---- */

static enum consumer_next take_over(struct bench *bench, uint64_t *from) {
    return consumer_take_over(bench->consumer, from);
}

/* Reads from behind `from` to the end, committing when it must; stops at anything but GO_ON. */
static enum consumer_next read_from(struct bench *bench, uint64_t from) {
    enum consumer_next next = CONSUMER_GO_ON;
    for (size_t i = from; i < bench->count && next == CONSUMER_GO_ON; i++) {
        if (consumer_is_full(bench->consumer)) next = consumer_commit(bench->consumer);
        if (next != CONSUMER_GO_ON) return next;
        next = consumer_take(bench->consumer, i + 1, 5,
                             slice_of(bench->log[i].value, bench->log[i].bytes));
    }
    return next == CONSUMER_GO_ON ? consumer_commit(bench->consumer) : next;
}

static enum consumer_next read_all(struct bench *bench) {
    uint64_t from = 0;
    enum consumer_next next = take_over(bench, &from);
    return next == CONSUMER_GO_ON ? read_from(bench, from) : next;
}

static const struct consumer_health *health(const struct bench *bench) {
    return consumer_health(bench->consumer);
}

#define HEALTH(bench, word) ((int)counter_read(&health(bench)->word))

/* Every change once, in log order. */
static void check_changes(struct bench *bench, size_t count) {
    assert_int_equal(bench->memory.changes_count, count);
    for (size_t i = 1; i < count; i++)
        assert_true(bench->memory.changes[i - 1].seq < bench->memory.changes[i].seq);
    assert_int_equal(bench->memory.place.seq, bench->count);
}

/* ---- tests ---- */

static void all_is_recorded(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 700);
    assert_int_equal(HEALTH(bench, state), CONSUMER_IDLE);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    check_changes(bench, 701);
    assert_int_equal(bench->memory.applies, 2); /* 500 records, then the others */
    assert_int_equal(HEALTH(bench, state), CONSUMER_RECORDING);
    assert_int_equal(HEALTH(bench, applied_seq), 701);
    assert_int_equal(HEALTH(bench, commits), 2);
    assert_int_equal(HEALTH(bench, changes), 701);
    assert_int_equal(bench->memory.changes[700].serial, 700);
}

static void due(void **state) {
    struct bench *bench = *state;
    uint64_t from;
    append_open(bench);
    assert_int_equal(take_over(bench, &from), CONSUMER_GO_ON);
    assert_int_equal(consumer_due_ns(bench->consumer), 0);
    assert_int_equal(
        consumer_take(bench->consumer, 1, 0, slice_of(bench->log[0].value, bench->log[0].bytes)),
        CONSUMER_GO_ON);
    assert_int_equal(consumer_due_ns(bench->consumer), 1 + CONSUMER_BATCH_MS * 1000000);
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_GO_ON);
    assert_int_equal(consumer_due_ns(bench->consumer), 0);
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_GO_ON); /* nothing to do */
    assert_int_equal(bench->memory.applies, 1);
}

/* A new process judges what is recorded and writes what is not. */
static void goes_on_where_it_was(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 10);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    append_wins(bench, 11, 10);
    new_consumer(bench);
    uint64_t from = 99;
    assert_int_equal(take_over(bench, &from), CONSUMER_GO_ON);
    assert_int_equal(from, 0);
    assert_int_equal(HEALTH(bench, state), CONSUMER_REPLAYING);
    assert_int_equal(read_from(bench, from), CONSUMER_GO_ON);
    check_changes(bench, 21);
    assert_int_equal(bench->memory.changes[20].serial, 20);
}

/* The same process reads no more than what it has not seen. */
static void taken_over_again(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    consumer_let_go(bench->consumer);
    assert_int_equal(HEALTH(bench, state), CONSUMER_IDLE);
    uint64_t from = 0;
    assert_int_equal(take_over(bench, &from), CONSUMER_GO_ON);
    assert_int_equal(from, 1);
    append_wins(bench, 1, 3);
    assert_int_equal(read_from(bench, from), CONSUMER_GO_ON);
    check_changes(bench, 4);
}

/* What was collected and not committed is the next owner's; this view is ahead, and made anew. */
static void let_go_with_a_batch(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    append_wins(bench, 1, 2);
    for (size_t i = 1; i < 3; i++)
        assert_int_equal(consumer_take(bench->consumer, i + 1, 0,
                                       slice_of(bench->log[i].value, bench->log[i].bytes)),
                         CONSUMER_GO_ON);
    consumer_let_go(bench->consumer);
    assert_int_equal(bench->memory.changes_count, 1);
    uint64_t from = 99;
    assert_int_equal(take_over(bench, &from), CONSUMER_GO_ON);
    assert_int_equal(from, 0);
    assert_int_equal(read_from(bench, from), CONSUMER_GO_ON);
    check_changes(bench, 3);
}

static void waits_and_loses_nothing(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 5);
    memory_recording_say(&bench->memory, RECORDING_LATER, false);
    uint64_t from;
    assert_int_equal(take_over(bench, &from), CONSUMER_WAIT);
    assert_int_equal(HEALTH(bench, state), CONSUMER_WAITING);
    memory_recording_say(&bench->memory, RECORDING_OK, true);
    for (int i = 0; i < 9; i++) memory_recording_say(&bench->memory, RECORDING_LATER, false);
    assert_int_equal(take_over(bench, &from), CONSUMER_GO_ON);
    assert_int_equal(read_from(bench, from), CONSUMER_WAIT);
    uint32_t bound = CONSUMER_WAIT_FIRST_MS;
    for (int i = 0; i < 8; i++) {
        bound = bound * 2 > CONSUMER_WAIT_MAX_MS ? CONSUMER_WAIT_MAX_MS : bound * 2;
        bench->dice = bound; /* of 0 to bound, the last */
        assert_int_equal(consumer_commit(bench->consumer), CONSUMER_WAIT);
        assert_int_equal(consumer_wait_ms(bench->consumer), bound);
        bench->dice = bound + 1;
    }
    assert_int_equal(bound, CONSUMER_WAIT_MAX_MS);
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_GO_ON);
    assert_int_equal(consumer_wait_ms(bench->consumer), 0);
    check_changes(bench, 6);
    assert_int_equal(HEALTH(bench, retries[RETRY_DATABASE]), 10);
}

/* It had committed, and nobody heard. */
static void unknown_commit(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 5);
    memory_recording_say(&bench->memory, RECORDING_OK, true); /* the take-over */
    memory_recording_say(&bench->memory, RECORDING_LATER, true);
    assert_int_equal(read_all(bench), CONSUMER_WAIT);
    check_changes(bench, 6);
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_GO_ON);
    check_changes(bench, 6);
}

/* Somebody has taken over while this one was asleep. */
static void zombie(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    bench->memory.epoch++;
    append_wins(bench, 1, 3);
    assert_int_equal(read_from(bench, 1), CONSUMER_LOST);
    assert_int_equal(bench->memory.changes_count, 1);
    assert_int_equal(HEALTH(bench, retries[RETRY_LOST]), 1);
    consumer_let_go(bench->consumer);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    check_changes(bench, 4);
}

/* A replica took over that had not all: the log has it. */
static void database_set_back(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    struct recording_place before = bench->memory.place;
    append_wins(bench, 1, 3);
    assert_int_equal(read_from(bench, 1), CONSUMER_GO_ON);
    bench->memory.place = before;
    bench->memory.changes_count = 1;
    append_wins(bench, 4, 2);
    assert_int_equal(read_from(bench, 4), CONSUMER_LOST);
    consumer_let_go(bench->consumer);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    check_changes(bench, 6);
}

static void conflict_stops(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 5);
    bench->memory.refused_serial = 3;
    assert_int_equal(read_all(bench), CONSUMER_STOPPED);
    assert_int_equal(bench->memory.applies, 2);
    assert_int_equal(bench->memory.row_by_row, 1);
    assert_int_equal(bench->memory.place.seq, 0);
    assert_int_equal(HEALTH(bench, state), CONSUMER_IS_STOPPED);
    assert_int_equal(HEALTH(bench, stop), CONSUMER_STOP_CONFLICT);
    consumer_let_go(bench->consumer);
    assert_int_equal(HEALTH(bench, state), CONSUMER_IS_STOPPED);
}

static void the_same_row_is_no_conflict(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 5);
    bench->memory.refused_serial = 3;
    bench->memory.is_same = true;
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    assert_int_equal(bench->memory.row_by_row, 1);
    append_wins(bench, 6, 1);
    assert_int_equal(read_from(bench, 6), CONSUMER_GO_ON);
    assert_int_equal(bench->memory.row_by_row, 1); /* together again */
}

static void fatal_stops(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    memory_recording_say(&bench->memory, RECORDING_OK, true);
    memory_recording_say(&bench->memory, RECORDING_FATAL, false);
    assert_int_equal(read_all(bench), CONSUMER_STOPPED);
    assert_int_equal(HEALTH(bench, stop), CONSUMER_STOP_DATABASE);
    new_consumer(bench);
    memory_recording_say(&bench->memory, RECORDING_FATAL, false);
    assert_int_equal(read_all(bench), CONSUMER_STOPPED);
}

static void poison(void **state) {
    struct bench *bench = *state;
    static const char text[] = "no record";
    append_open(bench);
    append_bytes(bench, text, sizeof text);
    append_bytes(bench, text, 0);
    append_win(bench, 1, 1, "NOBODY");
    append_win(bench, 1, 1, "EV");
    append_win(bench, 2, 7, "EV"); /* of another generation: void */
    append_win(bench, 1, 1, "EV"); /* again: nothing */
    append(bench, "", (struct record){.type = RECORD_MARK});
    append_win(bench, 3, 1, "EV");
    bench->log[bench->count].bytes = bench->log[bench->count - 1].bytes;
    memcpy(bench->log[bench->count].value, bench->log[bench->count - 1].value, 256);
    bench->log[bench->count++].value[40] ^= 1;
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    check_changes(bench, 3);
    static const struct {
        uint64_t seq;
        bool is_dead;
        const char *reason;
    } wanted[] = {{2, true, "bad_record"}, {3, true, "bad_record"}, {4, true, "unknown_event"},
                  {6, false, "void_gen"},  {8, true, "misplaced"},  {10, true, "bad_record"}};
    assert_int_equal(bench->memory.rejects_count, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        assert_int_equal(bench->memory.rejects[i].seq, wanted[i].seq);
        assert_int_equal(bench->memory.rejects[i].is_dead, wanted[i].is_dead);
        assert_string_equal(bench->memory.rejects[i].reason, wanted[i].reason);
        assert_int_equal(bench->memory.rejects[i].logged_ms, 5);
    }
    assert_int_equal(bench->dead_letters, 5);
    assert_int_equal(HEALTH(bench, rejects_dead), 5);
    assert_int_equal(HEALTH(bench, rejects_void), 1);
}

/* Those that were sent are not sent again; nothing is committed before all are. */
static void dead_letters_cannot_be_sent(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_bytes(bench, "x", 1);
    append_bytes(bench, "y", 1);
    bench->dead_letters_that_fail = 3;
    assert_int_equal(read_all(bench), CONSUMER_WAIT);
    assert_int_equal(bench->memory.applies, 0);
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_WAIT);
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_WAIT);
    assert_int_equal(bench->attempts, 3);
    assert_int_equal(HEALTH(bench, retries[RETRY_DEAD_LETTERS]), 3);
    memory_recording_say(&bench->memory, RECORDING_OK, true);
    memory_recording_say(&bench->memory, RECORDING_LATER, false);
    bench->memory.calls = 1;
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_WAIT); /* the database, now */
    assert_int_equal(consumer_commit(bench->consumer), CONSUMER_GO_ON);
    assert_int_equal(bench->dead_letters, 2);
    check_changes(bench, 1);
}

/* What is before it is recorded, it and what is behind it are not; and so it is in a replay. */
static void newer_version_stops(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 2);
    append_newer(bench);
    append_wins(bench, 3, 1);
    assert_int_equal(read_all(bench), CONSUMER_STOPPED);
    assert_int_equal(HEALTH(bench, stop), CONSUMER_STOP_NEWER);
    assert_int_equal(bench->memory.changes_count, 3);
    assert_int_equal(bench->memory.place.seq, 3);
    bench->memory.place = (struct recording_place){.seq = 5, .crc = 1}; /* by a newer program */
    new_consumer(bench);
    assert_int_equal(read_all(bench), CONSUMER_STOPPED);
    assert_int_equal(HEALTH(bench, stop), CONSUMER_STOP_NEWER);
    assert_int_equal(bench->memory.changes_count, 3);
}

static void another_log(void **state) {
    struct bench *bench = *state;
    append_open(bench);
    append_wins(bench, 1, 2);
    assert_int_equal(read_all(bench), CONSUMER_GO_ON);
    bench->memory.place.crc ^= 1;
    new_consumer(bench);
    assert_int_equal(read_all(bench), CONSUMER_STOPPED);
    assert_int_equal(HEALTH(bench, stop), CONSUMER_STOP_ANOTHER_LOG);
}

static void records_are_missing(void **state) {
    struct bench *bench = *state;
    uint64_t from;
    append_open(bench);
    assert_int_equal(take_over(bench, &from), CONSUMER_GO_ON);
    struct slice value = slice_of(bench->log[0].value, bench->log[0].bytes);
    assert_int_equal(consumer_take(bench->consumer, 1, 0, value), CONSUMER_GO_ON);
    assert_int_equal(consumer_take(bench->consumer, 1, 0, value), CONSUMER_GO_ON); /* once more */
    assert_int_equal(consumer_take(bench->consumer, 3, 0, value), CONSUMER_STOPPED);
    assert_int_equal(HEALTH(bench, stop), CONSUMER_STOP_ANOTHER_LOG);
}

static void names(void **state) {
    (void)state;
    for (int i = 0; i < CONSUMER_STATES; i++)
        assert_non_null(consumer_state_name((enum consumer_state)i));
    for (int i = 0; i < CONSUMER_STOPS; i++)
        assert_non_null(consumer_stop_name((enum consumer_stop)i));
    for (int i = 0; i < RETRIES; i++) assert_non_null(consumer_retry_name((enum consumer_retry)i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(all_is_recorded),
        TEST(due),
        TEST(goes_on_where_it_was),
        TEST(taken_over_again),
        TEST(let_go_with_a_batch),
        TEST(waits_and_loses_nothing),
        TEST(unknown_commit),
        TEST(zombie),
        TEST(database_set_back),
        TEST(conflict_stops),
        TEST(the_same_row_is_no_conflict),
        TEST(fatal_stops),
        TEST(poison),
        TEST(dead_letters_cannot_be_sent),
        TEST(newer_version_stops),
        TEST(another_log),
        TEST(records_are_missing),
        TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
