/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan is read by a judge of its own: it has to end where the sources are, whatever was lost; and
 * what contradicts itself is named.
 */
#include "claim/log_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "claim/view.h"
#include "log/record.h"

static const struct hash_key hash_key = {{1, 2}};

enum { MADE_MS = 900000 };

struct bench {
    struct code_keys keys;
    struct log_plan *plan;
    struct log_plan_counts counts;
    struct view *view; /* that has read it */
    struct err err;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    bench->keys.count = 1;
    memset(bench->keys.keys[0].key, 7, CODE_KEY_BYTES);
    bench->keys.keys[0].id = code_key_id(bench->keys.keys[0].key);
    bench->keys.current = bench->keys.keys[0].id;
    bench->plan = log_plan_new(&bench->keys, &hash_key);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    log_plan_free(bench->plan);
    log_plan_free(NULL);
    view_free(bench->view);
    free(bench);
    return 0;
}

/* ---- Sources ---- */

static struct copy_row event_row(const char *id, int64_t total, int64_t gen) {
    return (struct copy_row){.kind = ROW_EVENT,
                             .event_id = slice_str(id),
                             .total = total,
                             .gen = gen,
                             .state = SLICE("open"),
                             .start_ms = DECISION_NO_TIME,
                             .end_ms = DECISION_NO_TIME,
                             .open_seq = 1};
}

static void add_event(struct bench *bench, struct copy_row row) {
    log_plan_row(bench->plan, &row);
}

static struct copy_row holder_row(int64_t serial, const char *user, int64_t gen, int64_t seq) {
    return (struct copy_row){.kind = ROW_HOLDER,
                             .event_id = SLICE("EV"),
                             .serial = serial,
                             .user_id = slice_str(user),
                             .claim_id = SLICE("c"),
                             .code = SLICE(""),
                             .gen = gen,
                             .claimed_ms = 1000 + seq,
                             .log_seq = seq};
}

static void hold(struct bench *bench, int64_t serial, const char *user, int64_t gen, int64_t seq) {
    struct copy_row row = holder_row(serial, user, gen, seq);
    log_plan_row(bench->plan, &row);
}

static void give_back(struct bench *bench, int64_t serial, const char *user, int64_t gen,
                      int64_t seq, int64_t returned_seq) {
    struct copy_row row = holder_row(serial, user, gen, seq);
    row.kind = ROW_RETURNED;
    row.returned_seq = returned_seq;
    row.returned_ms = 5000;
    row.operator= SLICE("ops");
    row.reason = SLICE("why");
    log_plan_row(bench->plan, &row);
}

static void tell(struct bench *bench, uint32_t serial, const char *user, uint64_t seq) {
    log_plan_told(bench->plan, SLICE("EV"), slice_str(user), serial, seq);
}

struct entry {
    const char *user;
    int64_t serial;
};

/* Redis at `gen` with `stock`, and these entries. */
static void reserve(struct bench *bench, int64_t gen, int64_t stock, const struct entry *entries,
                    size_t count) {
    struct log_plan_reserve reserve;
    const struct reserve_sink sink = log_plan_reserve_sink(&reserve, bench->plan, 0);
    const struct reserve_state state = {.is_there = true,
                                        .is_readable = true,
                                        .gen = gen,
                                        .ver = 1,
                                        .stock = stock,
                                        .next = 1,
                                        .status = 1,
                                        .starts_ms = DECISION_NO_TIME,
                                        .ends_ms = DECISION_NO_TIME};
    sink.on_state(sink.ctx, &state);
    for (size_t i = 0; i < count; i++)
        sink.on_holder(sink.ctx, &(struct reserve_holder){.user_id = slice_str(entries[i].user),
                                                          .is_readable = true,
                                                          .gen = gen,
                                                          .serial = entries[i].serial,
                                                          .ms = 2000});
}

/* ---- What comes of it ---- */

static int make(struct bench *bench) {
    return log_plan_make(bench->plan, MADE_MS, &bench->counts, &bench->err);
}

/* Another judge reads what was planned; every record has to count. */
static const struct event *judged(struct bench *bench, const char *id) {
    int code = make(bench);
    if (code != 0) fail_msg("%s", bench->err.text);
    bench->view = view_new(&hash_key);
    for (size_t i = 0; i < log_plan_count(bench->plan); i++) {
        _Alignas(RECORD_ALIGN) char bytes[RECORD_BYTES_MAX];
        struct log_plan_record planned = log_plan_at(bench->plan, i);
        struct record record;
        enum verdict verdict;
        memcpy(bytes, planned.value.p, planned.value.n);
        assert_int_equal(record_decode(slice_of(bytes, planned.value.n), &record, NULL), RECORD_OK);
        assert_true(slice_eq(record.event_id, planned.event_id));
        record.seq = i + 1;
        assert_int_equal(view_apply(bench->view, &record, &verdict), 0);
        assert_int_equal(verdict, VERDICT_VALID);
    }
    const struct event *event = view_find(bench->view, slice_str(id));
    assert_non_null(event);
    return event;
}

static void assert_holds(const struct event *event, uint32_t serial, const char *user,
                         uint32_t round) {
    struct coupon coupon;
    assert_true(judge_holder(event->judge, serial, &coupon));
    assert_true(slice_eq(coupon.user_id, slice_str(user)));
    assert_int_equal(coupon.round, round);
}

/* Number, from 1, of the record that gives `user` a coupon. */
static size_t seq_of(const struct bench *bench, const char *user) {
    for (size_t i = 0; i < log_plan_count(bench->plan); i++) {
        _Alignas(RECORD_ALIGN) char bytes[RECORD_BYTES_MAX];
        struct log_plan_record planned = log_plan_at(bench->plan, i);
        struct record record;
        memcpy(bytes, planned.value.p, planned.value.n);
        assert_int_equal(record_decode(slice_of(bytes, planned.value.n), &record, NULL), RECORD_OK);
        if (record.type == RECORD_WIN && slice_eq(record.win.user_id, slice_str(user)))
            return i + 1;
    }
    return 0;
}

static void assert_refused(struct bench *bench, int code, const char *words) {
    assert_int_equal(make(bench), code);
    if (strstr(bench->err.text, words) == NULL) fail_msg("%s", bench->err.text);
}

/* ---- The copy alone ---- */

static void test_rows_come_back(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 5, 3));
    hold(bench, 1, "ada", 1, 2);
    give_back(bench, 2, "bob", 1, 3, 5);
    hold(bench, 2, "cyd", 2, 7); /* in the second round, of the gen that the return began */
    hold(bench, 3, "dan", 3, 9);
    const struct event *event = judged(bench, "EV");
    const struct judge_state *is = judge_state(event->judge);
    assert_int_equal(is->stock, 5);
    assert_int_equal(is->taken, 3);
    assert_int_equal(is->gen, 4); /* one further than anybody has seen */
    assert_false(is->paused || is->closed);
    assert_holds(event, 1, "ada", 0);
    assert_holds(event, 2, "cyd", 1);
    assert_holds(event, 3, "dan", 0);
    struct coupon coupon;
    assert_int_equal(judge_lookup(event->judge, SLICE("bob"), &coupon), HOLDING_RETURNED);
    assert_int_equal(judge_lookup(event->judge, SLICE("ada"), &coupon), HOLDING_COUPON);
    assert_int_equal(coupon.issued_ms, 1002);
    assert_int_equal(bench->counts.copied, 4);
    assert_int_equal(bench->counts.told + bench->counts.reserved, 0);
    /* No record comes later than it had been. */
    assert_true(seq_of(bench, "ada") <= 2);
    assert_true(seq_of(bench, "cyd") <= 7);
    assert_true(seq_of(bench, "dan") <= 9);
}

static void test_events_end_as_they_were(void **state) {
    struct bench *bench = *state;
    struct copy_row paused = event_row("P", 4, 2), closed = event_row("C", 4, 2);
    struct copy_row timed = event_row("EV", 4, 1);
    paused.state = SLICE("paused");
    paused.open_seq = 2;
    closed.state = SLICE("closed");
    closed.start_ms = closed.end_ms = 7000; /* closed before it began */
    closed.open_seq = 3;
    timed.start_ms = 3000;
    timed.end_ms = 4000;
    add_event(bench, timed);
    add_event(bench, paused);
    add_event(bench, closed);
    hold(bench, 4, "ada", 1, 5); /* at 1005: before the start that it has by now */
    const struct judge_state *is = judge_state(judged(bench, "EV")->judge);
    assert_int_equal(is->starts_ms, 3000);
    assert_int_equal(is->ends_ms, 4000);
    assert_int_equal(is->taken, 1);
    is = judge_state(view_find(bench->view, SLICE("P"))->judge);
    assert_true(is->paused);
    assert_int_equal(is->gen, 3);
    is = judge_state(view_find(bench->view, SLICE("C"))->judge);
    assert_true(is->closed);
    assert_int_equal(is->starts_ms, 7000);
    assert_int_equal(is->ends_ms, 7000);
    assert_int_equal(bench->counts.guessed_codes, 3);
}

static void test_a_smaller_stock(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 2, 1));
    hold(bench, 1, "ada", 1, 2);
    give_back(bench, 5, "bob", 1, 3, 4); /* of a serial that is no more */
    const struct judge_state *is = judge_state(judged(bench, "EV")->judge);
    assert_int_equal(is->stock, 2);
    assert_int_equal(is->taken, 1);
}

static void test_the_same_bytes_again(void **state) {
    struct bench *bench = *state;
    struct log_plan *other = log_plan_new(&bench->keys, &hash_key);
    struct copy_row event = event_row("EV", 5, 2), row = holder_row(1, "ada", 1, 2);
    add_event(bench, event);
    log_plan_row(bench->plan, &row);
    tell(bench, 2, "bob", 9);
    log_plan_row(other, &event);
    log_plan_row(other, &row);
    log_plan_told(other, SLICE("EV"), SLICE("bob"), 2, 9);
    assert_int_equal(make(bench), 0);
    assert_int_equal(log_plan_make(other, MADE_MS, &bench->counts, &bench->err), 0);
    assert_int_equal(log_plan_count(bench->plan), log_plan_count(other));
    for (size_t i = 0; i < 2; i++) { /* the first says how many there are */
        _Alignas(RECORD_ALIGN) char bytes[RECORD_BYTES_MAX];
        struct log_plan_record planned = log_plan_at(other, i);
        struct record record;
        uint64_t count = 0;
        memcpy(bytes, planned.value.p, planned.value.n);
        assert_int_equal(record_decode(slice_of(bytes, planned.value.n), &record, NULL), RECORD_OK);
        assert_int_equal(log_plan_is_first(&record, &count), i == 0);
        assert_int_equal(count, i == 0 ? log_plan_count(other) : 0);
    }
    for (size_t i = 0; i < log_plan_count(other); i++)
        assert_true(slice_eq(log_plan_at(bench->plan, i).value, log_plan_at(other, i).value));
    log_plan_free(other);
}

/* ---- Audits ---- */

static void test_who_was_told_keeps_it(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 5, 1));
    hold(bench, 1, "ada", 1, 2);
    tell(bench, 1, "ada", 2);
    tell(bench, 2, "bob", 12);
    tell(bench, 3, "cyd", 14);
    tell(bench, 3, "cyd", 4);  /* told again, by a server that had read less: the earliest counts */
    tell(bench, 7, "eve", 30); /* above the stock: it had been raised */
    const struct event *event = judged(bench, "EV");
    assert_holds(event, 2, "bob", 0);
    assert_holds(event, 3, "cyd", 0);
    assert_holds(event, 7, "eve", 0);
    assert_int_equal(judge_state(event->judge)->stock, 7);
    assert_int_equal(bench->counts.told, 3);
    assert_int_equal(seq_of(bench, "cyd"), 3);
    assert_int_equal(seq_of(bench, "bob"), 4);
}

static void test_an_event_that_nobody_knows(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 5, 1));
    log_plan_told(bench->plan, SLICE("NEW"), SLICE("ada"), 1, 9);
    assert_refused(bench, -EEXIST, "event NEW: somebody was told a coupon of it");
}

/* ---- Redis ---- */

static void test_reservations_are_kept(void **state) {
    struct bench *bench = *state;
    const struct entry entries[] = {{"ada", 1}, {"bob", 2}, {"cyd", 3}};
    add_event(bench, event_row("EV", 5, 2));
    hold(bench, 1, "ada", 1, 2);
    tell(bench, 2, "bob", 9);
    reserve(bench, 2, 50, entries, ARRAY_LEN(entries));
    const struct event *event = judged(bench, "EV");
    assert_int_equal(judge_state(event->judge)->stock, 5); /* of the copy: the gen is the same */
    assert_int_equal(judge_state(event->judge)->gen, 3);
    assert_holds(event, 2, "bob", 0);
    assert_holds(event, 3, "cyd", 0);
    struct coupon coupon;
    assert_int_equal(judge_lookup(event->judge, SLICE("bob"), &coupon), HOLDING_COUPON);
    assert_int_equal(coupon.issued_ms, 2000); /* Redis knows when */
    assert_int_equal(bench->counts.reserved, 1);
}

static void test_redis_behind_the_copy_is_no_source(void **state) {
    struct bench *bench = *state;
    const struct entry entries[] = {{"eve", 1}, {"cyd", 3}};
    add_event(bench, event_row("EV", 5, 4));
    hold(bench, 1, "ada", 1, 2);
    reserve(bench, 3, 5, entries, ARRAY_LEN(entries));
    const struct event *event = judged(bench, "EV");
    assert_int_equal(judge_state(event->judge)->taken, 1);
    assert_holds(event, 1, "ada", 0);
}

static void test_redis_ahead_of_the_copy_is_newer(void **state) {
    struct bench *bench = *state;
    const struct entry entries[] = {{"ada", 0}, {"bob", 1}, {"cyd", 0}, {"dan", 0}};
    add_event(bench, event_row("EV", 5, 1));
    hold(bench, 1, "ada", 1, 2);
    tell(bench, 4, "cyd", 3);
    reserve(bench, 9, 8, entries, ARRAY_LEN(entries));
    const struct event *event = judged(bench, "EV");
    struct coupon coupon;
    assert_int_equal(judge_state(event->judge)->stock, 8);
    assert_int_equal(judge_state(event->judge)->gen, 10);
    assert_holds(event, 1, "bob", 1); /* whose code is another than ada's */
    assert_int_equal(judge_lookup(event->judge, SLICE("ada"), &coupon), HOLDING_RETURNED);
    assert_int_equal(judge_lookup(event->judge, SLICE("cyd"), &coupon), HOLDING_RETURNED);
    assert_int_equal(bench->counts.unknown_returns, 1);
}

/* ---- Contradictions ---- */

static void test_two_users_with_one_serial(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 5, 1));
    hold(bench, 1, "ada", 1, 2);
    tell(bench, 1, "eve", 9);
    assert_refused(bench, -EEXIST,
                   "event EV: serial 1: user eve was told it by an audit, and it is user ada's");
}

static void test_one_user_with_two_serials(void **state) {
    struct bench *bench = *state;
    const struct entry entries[] = {{"ada", 2}};
    add_event(bench, event_row("EV", 5, 1));
    hold(bench, 1, "ada", 1, 2);
    reserve(bench, 1, 5, entries, ARRAY_LEN(entries));
    assert_refused(bench, -EEXIST,
                   "event EV: serial 2: user ada has it in Redis, who has serial 1");
}

static void test_serials_that_are_none(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 5, 1));
    tell(bench, STOCK_MAX + 1, "eve", 9);
    assert_refused(bench, -EEXIST, "is none");
}

static void test_ids_that_are_none(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 5, 1));
    tell(bench, 1, "no user", 9);
    assert_refused(bench, -EEXIST, "makes no win record");
}

/* ---- Codes ---- */

static void hold_coded(struct bench *bench, const struct code_format *format, uint32_t serial,
                       const char *user) {
    char code[COUPON_CODE_BYTES_MAX];
    struct coupon_deriver *deriver = coupon_deriver_new(bench->keys.keys[0].key);
    struct copy_row row = holder_row(serial, user, 1, 1 + serial);
    row.code = slice_of(code, coupon_code(deriver, format, SLICE("EV"), serial, 0, code));
    coupon_deriver_free(deriver);
    log_plan_row(bench->plan, &row);
}

static void test_formats_are_found(void **state) {
    struct bench *bench = *state;
    const struct code_format formats[] = {
        code_format_default,
        {.prefix = SLICE("WINTER-"), .alphabet = code_format_default.alphabet, .length = 16},
        {.prefix = SLICE("0"), .alphabet = SLICE("0123456789"), .length = 30},
        {.prefix = SLICE(""), .alphabet = SLICE("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), .length = 20},
    };
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        log_plan_free(bench->plan);
        view_free(bench->view);
        bench->plan = log_plan_new(&bench->keys, &hash_key);
        add_event(bench, event_row("EV", 5, 1));
        hold_coded(bench, &formats[i], 1, "ada");
        hold_coded(bench, &formats[i], 2, "bob");
        const struct event *event = judged(bench, "EV");
        assert_int_equal(event->key_id, bench->keys.keys[0].id);
        assert_true(slice_eq(event->code.prefix, formats[i].prefix));
        assert_true(slice_eq(event->code.alphabet, formats[i].alphabet));
        assert_int_equal(event->code.length, formats[i].length);
        assert_int_equal(bench->counts.guessed_codes, 0);
    }
}

static void test_codes_of_another_key(void **state) {
    struct bench *bench = *state;
    add_event(bench, event_row("EV", 5, 1));
    hold_coded(bench, &code_format_default, 1, "ada");
    bench->keys.keys[0].key[0] ^= 1;
    assert_refused(bench, -ENOKEY, "no key of --data-dir gives serial 1 the code");
}

static void test_one_code_is_another(void **state) {
    struct bench *bench = *state;
    struct copy_row row = holder_row(2, "bob", 1, 3);
    row.code = SLICE("0123456789ABCDEFG");
    add_event(bench, event_row("EV", 5, 1));
    hold_coded(bench, &code_format_default, 1, "ada");
    log_plan_row(bench->plan, &row);
    assert_refused(bench, -ENOKEY, "the code of serial 2 is not the one that its key gives");
}

static void test_without_a_key(void **state) {
    struct bench *bench = *state;
    bench->keys.count = 0;
    add_event(bench, event_row("EV", 5, 1));
    assert_refused(bench, -ENOKEY, "there is no key of codes");
}

/* ---- Dead letters, and nothing at all ---- */

static void test_what_is_no_row_of_an_event(void **state) {
    struct bench *bench = *state;
    struct slice id;
    log_plan_row(bench->plan, &(struct copy_row){.kind = ROW_DEAD_LETTER, .dead_seq = 7});
    log_plan_row(bench->plan, &(struct copy_row){.kind = ROW_COUPON, .serial = 7});
    assert_false(log_plan_event(bench->plan, 0, &id));
    assert_int_equal(make(bench), 0);
    assert_int_equal(bench->counts.dead_letters, 1);
    assert_int_equal(log_plan_count(bench->plan), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events_end_as_they_were, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_smaller_stock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_same_bytes_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_was_told_keeps_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_event_that_nobody_knows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reservations_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redis_behind_the_copy_is_no_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redis_ahead_of_the_copy_is_newer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_users_with_one_serial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_user_with_two_serials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_serials_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_formats_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_codes_of_another_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_code_is_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_row_of_an_event, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
