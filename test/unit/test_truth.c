/* SPDX-License-Identifier: Apache-2.0
 *
 * What a log has decided, kept; and the promises checked once more, without the judge.
 */
#include "verify/truth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/decisions_fixture.h"

static const struct hash_key hash_key = {{1, 2}};

struct bench {
    struct truth truth;
    struct checks checks;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    truth_init(&bench->truth, &hash_key);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    assert_false(bench->truth.failed);
    truth_deinit(&bench->truth);
    checks_deinit(&bench->checks);
    free(bench);
    return 0;
}

static void add(struct bench *bench, struct decision decision) {
    truth_add(&bench->truth, &decision, &bench->checks);
}

static uint32_t text(const struct bench *bench, const char *words) {
    return texts_find(&bench->truth.texts, slice_str(words));
}

static void what_the_fixture_tells(void **state) {
    struct bench *bench = *state;
    struct fixture_world world;
    fixture_world_init(&world);
    for (size_t i = 0; i < world.decisions_count; i++) add(bench, world.decisions[i]);
    assert_int_equal(checks_sum(&bench->checks), 0);
    assert_null(truth_event(&bench->truth, text(bench, "ada")));
    struct truth_event *event = truth_event(&bench->truth, text(bench, "EV"));
    assert_non_null(event);
    assert_int_equal(event->count, 6);
    assert_int_equal(truth_last(event)->stock, 4);
    assert_int_equal(truth_last(event)->taken, 2);
    assert_int_equal(truth_last(event)->ver, 3);
    assert_int_equal(event->serials[1].round, 1);
    assert_int_equal(event->serials[1].holder, 4);
    assert_int_equal(event->serials[3].holder, TRUTH_NONE);
    assert_int_equal(truth_issued_to(&bench->truth, event, text(bench, "bob")), 2);
    assert_int_equal(truth_issued_to(&bench->truth, event, text(bench, "ops")), TRUTH_NONE);
    assert_false(event->entries[1].is_held); /* returned since */
    assert_int_equal(event->entries[3].issued, 1);
    assert_ptr_equal(truth_entry_at(event, 6), &event->entries[4]);
    assert_null(truth_entry_at(event, 4));
    assert_null(truth_entry_at(event, 9));
    assert_int_equal(bench->truth.end.seq, 8);
    assert_int_equal(bench->truth.records, 6);
    assert_int_equal(bench->truth.issued, 3);
}

static void expect(struct bench *bench, const char *words) {
    assert_int_equal(checks_sum(&bench->checks), 1);
    assert_int_equal(bench->checks.counts[CHECK_R4], 1);
    assert_non_null(strstr(bench->checks.all[0].evidence, words));
    checks_deinit(&bench->checks);
}

static void promises_that_a_judge_broke(void **state) {
    struct bench *bench = *state;
    add(bench, decision_stock(1, 1, 2));
    add(bench, decision_issued(2, 1, 1, 0, "ada"));
    add(bench, decision_issued(3, 1, 3, 0, "bob"));
    expect(bench, "log seq 3, event EV: user bob, serial 3 of 2: a serial outside 1..N");
    add(bench, decision_issued(4, 1, 0, 0, "bob"));
    expect(bench, "outside 1..N");
    add(bench, decision_issued(5, 1, 1, 0, "bob"));
    expect(bench, "a serial was issued that somebody holds");
    add(bench, decision_issued(6, 1, 2, 0, "ada"));
    expect(bench, "a user was issued a second coupon");
    add(bench, decision_returned(7, 1, 2, "bob"));
    expect(bench, "returned by one who does not hold it");
    add(bench, decision_returned(8, 1, 77, "bob"));
    expect(bench, "returned by one who does not hold it");
}

/* Who returned a coupon may not claim again. */
static void a_second_coupon_after_a_return(void **state) {
    struct bench *bench = *state;
    add(bench, decision_stock(1, 1, 2));
    add(bench, decision_issued(2, 1, 1, 0, "ada"));
    add(bench, decision_returned(3, 2, 1, "ada"));
    assert_int_equal(checks_sum(&bench->checks), 0);
    add(bench, decision_issued(4, 2, 1, 1, "ada"));
    expect(bench, "a user was issued a second coupon");
}

static void what_changes_nothing(void **state) {
    struct bench *bench = *state;
    add(bench, decision_of(DECISION_NOTHING, 1, 0));
    add(bench, decision_issued(2, 1, 1, 0, "ada")); /* of an event that nobody opened */
    assert_int_equal(bench->truth.events_count, 0);
    assert_int_equal(bench->truth.records, 2);
    add(bench, decision_stock(3, 1, 2));
    struct decision refused = decision_issued(4, 1, 1, 0, "ada");
    refused.kind = DECISION_VOID;
    add(bench, refused);
    struct truth_event *event = truth_event(&bench->truth, text(bench, "EV"));
    assert_int_equal(truth_last(event)->taken, 0);
    assert_int_equal(truth_last(event)->kind, DECISION_VOID);
    assert_int_equal(truth_issued_to(&bench->truth, event, text(bench, "ada")), TRUTH_NONE);
    assert_int_equal(checks_sum(&bench->checks), 0);
}

static void many_events_and_users(void **state) {
    struct bench *bench = *state;
    char id[32], user[32];
    uint64_t seq = 1;
    for (int event = 0; event < 100; event++) {
        snprintf(id, sizeof id, "E%d", event);
        struct decision decision = decision_stock(seq++, 1, 50);
        decision.event_id = slice_str(id);
        add(bench, decision);
        for (uint32_t serial = 1; serial <= 50; serial++) {
            snprintf(user, sizeof user, "u%u", serial + (uint32_t)event);
            decision = decision_issued(seq++, 1, serial, 0, user);
            decision.event_id = slice_str(id);
            add(bench, decision);
        }
    }
    assert_int_equal(checks_sum(&bench->checks), 0);
    assert_int_equal(bench->truth.events_count, 100);
    assert_int_equal(bench->truth.issued, 5000);
    struct truth_event *event = truth_event(&bench->truth, text(bench, "E99"));
    uint32_t entry = truth_issued_to(&bench->truth, event, text(bench, "u149"));
    assert_int_equal(event->entries[entry].serial, 50);
    assert_int_equal(truth_issued_to(&bench->truth, event, text(bench, "u1")), TRUTH_NONE);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_the_fixture_tells),         TEST(promises_that_a_judge_broke),
        TEST(a_second_coupon_after_a_return), TEST(what_changes_nothing),
        TEST(many_events_and_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
