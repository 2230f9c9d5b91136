/* SPDX-License-Identifier: Apache-2.0
 *
 * What a decided record changes in the copy.
 */
#include "claim/copy_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bench {
    struct code_keys keys;
    struct view *view;
    struct copy_rows *rows;
    uint64_t seq;
    struct store_change change;
};

static const struct hash_key hash_key = {{1, 2}};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    bench->keys.count = 2;
    for (unsigned i = 0; i < 2; i++) {
        memset(bench->keys.keys[i].key, (int)i + 1, CODE_KEY_BYTES);
        bench->keys.keys[i].id = code_key_id(bench->keys.keys[i].key);
    }
    bench->view = view_new(&hash_key);
    bench->rows = copy_rows_new(&bench->keys);
    assert_non_null(bench->rows);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    copy_rows_free(bench->rows);
    copy_rows_free(NULL);
    view_free(bench->view);
    free(bench);
    return 0;
}

static bool apply(struct bench *bench, struct record record) {
    record.seq = ++bench->seq;
    record.event_id = SLICE("EV");
    record.ms = 100 + (int64_t)record.seq;
    enum verdict verdict;
    assert_int_equal(view_apply(bench->view, &record, &verdict), 0);
    memset(&bench->change, 0xee, sizeof bench->change);
    bool has_change = copy_rows_change(bench->rows, bench->view, &record, verdict, &bench->change);
    assert_int_equal(has_change, verdict == VERDICT_VALID);
    if (has_change) {
        assert_int_equal(bench->change.seq, record.seq);
        assert_true(slice_eq(store_id_slice(&bench->change.event_id), record.event_id));
    }
    return has_change;
}

static void open_event(struct bench *bench, uint64_t key_id) {
    assert_true(apply(bench, (struct record){.type = RECORD_OPEN,
                                             .open = {.stock = 3,
                                                      .starts_ms = 0,
                                                      .ends_ms = 5000,
                                                      .key_id = key_id,
                                                      .code = code_format_default}}));
}

static struct record win(uint32_t serial, struct slice user_id, struct slice claim_id) {
    return (struct record){
        .type = RECORD_WIN,
        .win = {.gen = 1, .serial = serial, .user_id = user_id, .claim_id = claim_id}};
}

static void expect_code(struct bench *bench, uint32_t serial, uint32_t round) {
    struct coupon_deriver *deriver = coupon_deriver_new(bench->keys.keys[1].key);
    char code[COUPON_CODE_BYTES_MAX];
    size_t bytes = coupon_code(deriver, &code_format_default, SLICE("EV"), serial, round, code);
    assert_true(slice_eq(slice_of(code, bytes),
                         slice_of(bench->change.code.text, bench->change.code.bytes)));
    coupon_deriver_free(deriver);
}

static void an_event_that_opens_and_changes(void **state) {
    struct bench *bench = *state;
    open_event(bench, bench->keys.keys[1].id);
    const struct store_change *change = &bench->change;
    assert_int_equal(change->kind, STORE_EVENT_OPENED);
    assert_int_equal(change->state, STORE_OPEN);
    assert_int_equal(change->stock, 3);
    assert_int_equal(change->gen, 1);
    assert_int_equal(change->ver, 1);
    assert_int_equal(change->starts_ms, STORE_NO_TIME);
    assert_int_equal(change->ends_ms, 5000);
    assert_true(apply(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 7}}));
    assert_int_equal(change->kind, STORE_EVENT_CHANGED);
    assert_int_equal(change->stock, 7);
    assert_int_equal(change->ver, 2);
    assert_true(apply(bench, (struct record){.type = RECORD_PAUSE}));
    assert_int_equal(change->state, STORE_PAUSED);
    assert_true(apply(bench, (struct record){.type = RECORD_RESUME}));
    assert_int_equal(change->state, STORE_OPEN);
    assert_true(
        apply(bench, (struct record){.type = RECORD_RESCHEDULE, .reschedule = {9, TIME_MS_MAX}}));
    assert_int_equal(change->starts_ms, 9);
    assert_int_equal(change->ends_ms, STORE_NO_TIME);
    assert_true(apply(bench, (struct record){.type = RECORD_FENCE, .fence = {.gen = 2}}));
    assert_int_equal(change->gen, 2);
    assert_true(apply(bench, (struct record){.type = RECORD_PAUSE}));
    assert_true(apply(bench, (struct record){.type = RECORD_CLOSE}));
    assert_int_equal(change->state, STORE_CLOSED);
    assert_int_equal(change->ver, 8);
}

static void a_coupon_that_goes_and_comes_back(void **state) {
    struct bench *bench = *state;
    open_event(bench, bench->keys.keys[1].id);
    const struct store_change *change = &bench->change;
    assert_true(apply(bench, win(2, SLICE("ada"), SLICE("key-1"))));
    assert_int_equal(change->kind, STORE_COUPON_ISSUED);
    assert_int_equal(change->serial, 2);
    assert_int_equal(change->round, 0);
    assert_int_equal(change->gen, 1);
    assert_int_equal(change->ms, 102);
    assert_true(slice_eq(store_id_slice(&change->user_id), SLICE("ada")));
    assert_true(slice_eq(store_id_slice(&change->claim_id), SLICE("key-1")));
    expect_code(bench, 2, 0);
    assert_true(apply(bench, (struct record){.type = RECORD_RETURN,
                                             .operator= SLICE("ops"),
                                             .reason = SLICE("lost"),
                                             .give_back = {.serial = 2, .user_id = SLICE("ada")}}));
    assert_int_equal(change->kind, STORE_COUPON_RETURNED);
    assert_int_equal(change->serial, 2);
    assert_int_equal(change->ver, 2);
    assert_int_equal(change->ms, 103);
    assert_true(slice_eq(store_id_slice(&change->user_id), SLICE("ada")));
    assert_true(slice_eq(store_id_slice(&change->operator), SLICE("ops")));
    assert_int_equal(change->reason.bytes, 4);
    assert_memory_equal(change->reason.text, "lost", 4);
    assert_true(apply(bench, win(2, SLICE("bob"), SLICE(""))));
    assert_int_equal(change->round, 1);
    assert_int_equal(change->claim_id.bytes, 0);
    expect_code(bench, 2, 1);
}

static void what_the_judge_refused_changes_nothing(void **state) {
    struct bench *bench = *state;
    assert_false(apply(bench, win(1, SLICE("ada"), SLICE("")))); /* no such event yet */
    open_event(bench, bench->keys.keys[1].id);
    assert_true(apply(bench, win(1, SLICE("ada"), SLICE(""))));
    assert_false(apply(bench, win(1, SLICE("ada"), SLICE("")))); /* the same again */
    assert_false(apply(bench, win(1, SLICE("bob"), SLICE(""))));
    assert_false(apply(bench, win(9, SLICE("bob"), SLICE(""))));
    assert_false(
        apply(bench, (struct record){.type = RECORD_RETURN,
                                     .give_back = {.serial = 2, .user_id = SLICE("bob")}}));
}

static void a_code_whose_key_is_not_here_is_left_out(void **state) {
    struct bench *bench = *state;
    open_event(bench, 4711);
    assert_true(apply(bench, win(1, SLICE("ada"), SLICE(""))));
    assert_int_equal(bench->change.code.bytes, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_that_opens_and_changes),
        TEST(a_coupon_that_goes_and_comes_back),
        TEST(what_the_judge_refused_changes_nothing),
        TEST(a_code_whose_key_is_not_here_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
