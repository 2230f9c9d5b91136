/* SPDX-License-Identifier: Apache-2.0
 *
 * What a view says to a control record has to be what the judge says when it comes: for each record
 * in each state of an event, a check that lets it pass is followed by VALID, one that does not by
 * anything else.
 */
#include "claim/control.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct hash_key hash_key = {{1, 2}};

static struct record of(enum record_type type) {
    return (struct record){.type = type, .ms = 50, .event_id = SLICE("e0")};
}

static struct record open_record(void) {
    struct record record = of(RECORD_OPEN);
    record.open.stock = 4;
    record.open.ends_ms = 1000;
    return record;
}

static struct record win(uint32_t serial, struct slice user_id) {
    struct record record = of(RECORD_WIN);
    record.win.gen = 1;
    record.win.serial = serial;
    record.win.user_id = user_id;
    return record;
}

static struct record give_back(uint32_t serial, struct slice user_id) {
    struct record record = of(RECORD_RETURN);
    record.give_back.serial = serial;
    record.give_back.user_id = user_id;
    return record;
}

static struct record restock(uint32_t stock) {
    struct record record = of(RECORD_RESTOCK);
    record.restock.stock = stock;
    return record;
}

static struct record fence(uint32_t gen) {
    struct record record = of(RECORD_FENCE);
    record.fence.gen = gen;
    return record;
}

/* The life of an event; every prefix of it is a state to be asked in. */
static size_t history(struct record *records) {
    size_t n = 0;
    records[n++] = open_record();
    records[n++] = win(1, SLICE("a"));
    records[n++] = win(3, SLICE("c"));
    records[n++] = of(RECORD_PAUSE);
    records[n++] = give_back(3, SLICE("c"));
    records[n++] = restock(2);
    records[n++] = fence(2);
    records[n++] = of(RECORD_CLOSE);
    records[n++] = give_back(1, SLICE("a"));
    return n;
}

static size_t questions(struct record *records) {
    size_t n = 0;
    records[n++] = open_record();
    records[n++] = of(RECORD_PAUSE);
    records[n++] = of(RECORD_RESUME);
    records[n++] = of(RECORD_CLOSE);
    records[n] = of(RECORD_RESCHEDULE);
    records[n++].reschedule.ends_ms = 9;
    for (uint32_t i = 1; i <= 5; i++) {
        records[n++] = restock(i);
        records[n++] = fence(i);
        records[n++] = give_back(i, SLICE("a"));
        records[n++] = give_back(i, SLICE("c"));
    }
    records[n++] = give_back(0, SLICE("a"));
    return n;
}

static struct view *view_after(const struct record *records, size_t count, enum verdict *last) {
    struct view *view = view_new(&hash_key);
    for (size_t i = 0; i < count; i++) {
        struct record record = records[i];
        record.seq = i + 1;
        assert_int_equal(view_apply(view, &record, last), 0);
    }
    return view;
}

static void the_check_says_what_the_judge_will_say(void **state) {
    (void)state;
    struct record records[16], asked[32];
    size_t count = history(records), asked_count = questions(asked), passed = 0;
    for (size_t lived = 0; lived <= count; lived++) {
        for (size_t i = 0; i < asked_count; i++) {
            enum verdict verdict;
            struct view *view = view_after(records, lived, &verdict);
            bool is_let_pass = control_check(view, &asked[i]) == CONTROL_DONE;
            view_free(view);
            struct record kept = records[lived];
            records[lived] = asked[i];
            view_free(view_after(records, lived + 1, &verdict));
            records[lived] = kept;
            assert_int_equal(is_let_pass, verdict == VERDICT_VALID);
            passed += is_let_pass;
        }
    }
    assert_true(passed > 30);
}

static void the_reason_is_named(void **state) {
    (void)state;
    struct record records[16], record;
    size_t count = history(records);
    enum verdict verdict;
    struct view *empty = view_after(records, 0, &verdict);
    struct view *open = view_after(records, 3, &verdict);
    struct view *closed = view_after(records, count, &verdict);
    record = of(RECORD_PAUSE);
    assert_int_equal(control_check(empty, &record), CONTROL_UNKNOWN);
    assert_int_equal(control_check(closed, &record), CONTROL_CLOSED);
    record = open_record();
    assert_int_equal(control_check(open, &record), CONTROL_EXISTS);
    record = restock(2);
    assert_int_equal(control_check(open, &record), CONTROL_REFUSED);
    record = give_back(1, SLICE("b"));
    assert_int_equal(control_check(open, &record), CONTROL_REFUSED);
    view_free(empty);
    view_free(open);
    view_free(closed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_says_what_the_judge_will_say),
        cmocka_unit_test(the_reason_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
