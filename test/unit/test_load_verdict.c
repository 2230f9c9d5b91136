/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict: the lies that can only be seen with the answers of all threads side by side.
 */
#include "verify/load_verdict.h"

#include <setjmp.h>
#include <stdarg.h>

#include "fake/load_fixture.h"

#include <cmocka.h>

enum { USERS = 1000, STOCK = 4 };

static int open_run(void **state) {
    static struct load_fixture fixture;
    fixture_open(&fixture, USERS, STOCK, 3);
    *state = &fixture;
    return 0;
}

static int close_run(void **state) {
    fixture_close(*state);
    return 0;
}

/* Users 0, 300, 600, 900 (of three workers) win serials 1 to 4, then all others are told no. */
static void sell_out(struct load_fixture *fixture) {
    for (int i = 0; i < STOCK; i++)
        tell_coupon(fixture, (uint32_t)i * 300, "issued", i + 1, (uint64_t)i * 10 + 10);
    for (uint32_t user = 0; user < USERS; user++)
        if (user % 300 != 0) tell(fixture, user, SOLD_OUT_FINAL, 100);
}

static void judge(struct load_fixture *fixture) {
    struct load_verdict *verdict = &fixture->verdict;
    verdict->after = verdict->before;
    verdict->is_after_known = true;
    verdict->after.remaining = 0;
    assert_int_equal(load_verdict_judge(verdict), 0);
}

static void the_truth_leaves_nothing(void **state) {
    struct load_fixture *fixture = *state;
    sell_out(fixture);
    judge(fixture);
    assert_int_equal(found_in_all(fixture), 0);
    assert_int_equal(fixture->verdict.users_asked, USERS);
    assert_int_equal(fixture->verdict.users_holding, STOCK);
    assert_int_equal(fixture->verdict.users_sold_out, USERS - STOCK);
    assert_int_equal(fixture->verdict.told[TOLD_SOLD_OUT_FINAL], USERS - STOCK);
}

static void every_user_has_one_worker(void **state) {
    struct load_fixture *fixture = *state;
    uint32_t counts[3] = {0};
    for (uint32_t user = 0; user < USERS; user++)
        counts[load_verdict_worker(&fixture->verdict, user) - fixture->workers]++;
    assert_int_equal(counts[0], 334);
    assert_int_equal(counts[1], 333);
    assert_int_equal(counts[2], 333);
    assert_null(load_verdict_worker(&fixture->verdict, USERS));
}

static void one_serial_for_two_users_of_two_threads(void **state) {
    struct load_fixture *fixture = *state;
    char body[FIXTURE_TEXT_BYTES];
    tell_coupon(fixture, 0, "issued", 3, 10);
    tell(fixture, 999, coupon_body(body, "issued", "u-999", 3, "other"), 10);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_SERIAL_TWICE), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void one_coupon_for_two_users_of_two_threads(void **state) {
    struct load_fixture *fixture = *state;
    char body[FIXTURE_TEXT_BYTES];
    tell_coupon(fixture, 0, "issued", 1, 10);
    tell(fixture, 999, coupon_body(body, "issued", "u-999", 2, "C1"), 10);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_COUPON_TWICE), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void serials_outside_the_stock(void **state) {
    struct load_fixture *fixture = *state;
    static const int serials[] = {0, -1, STOCK + 1, 2000000000};
    for (uint32_t i = 0; i < 4; i++) tell_coupon(fixture, i, "issued", serials[i], 10);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_SERIAL_RANGE), 4);
    assert_int_equal(found_in_all(fixture), 4);
}

static void more_than_there_are(void **state) {
    struct load_fixture *fixture = *state;
    fixture->verdict.before.holders = 1;
    for (int i = 0; i < STOCK; i++) tell_coupon(fixture, (uint32_t)i, "issued", i + 1, 10);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_OVERSOLD), 1);
}

static void a_restock_raises_the_limits(void **state) {
    struct load_fixture *fixture = *state;
    struct load_verdict *verdict = &fixture->verdict;
    sell_out(fixture);
    tell_coupon(fixture, 1, "issued", STOCK + 1, 200);
    verdict->after = verdict->before;
    verdict->after.stock = STOCK + 1;
    verdict->is_after_known = true;
    assert_int_equal(load_verdict_judge(verdict), 0);
    assert_int_equal(found_in_all(fixture), 0);
}

static void already_issued_out_of_nothing(void **state) {
    struct load_fixture *fixture = *state;
    tell_coupon(fixture, 1, "already_issued", 1, 10);
    tell_coupon(fixture, 2, "already_issued", 2, 10);
    struct load_sent cut_off = send_claim(fixture, 2, 5);
    oracle_on_lost(&fixture->workers[0].oracle, &cut_off); /* issued unheard, perhaps */
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_ALREADY_NEW), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void already_issued_before_the_run(void **state) {
    struct load_fixture *fixture = *state;
    fixture->verdict.before.holders = 2;
    fixture->config.is_prefix_random = false;
    tell_coupon(fixture, 1, "already_issued", 1, 10);
    judge(fixture);
    assert_int_equal(found_in_all(fixture), 0);
    assert_int_equal(fixture->verdict.users_held_before, 1);
}

static void a_random_prefix_cannot_have_been_there_before(void **state) {
    struct load_fixture *fixture = *state;
    fixture->verdict.before.holders = 2;
    tell_coupon(fixture, 1, "already_issued", 1, 10);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_ALREADY_NEW), 1);
}

/* Three claims, each on a worker of its own, and one holder of before are all of a stock of 4. */
static void sold_out_with_the_last_claim_is_not_early(void **state) {
    struct load_fixture *fixture = *state;
    fixture->verdict.before.holders = 1;
    for (int i = 0; i < 2; i++) tell_coupon(fixture, (uint32_t)i * 400, "issued", i + 1, 10);
    tell(fixture, 999, SOLD_OUT, 50); /* the third */
    judge(fixture);
    assert_int_equal(found_in_all(fixture), 0);
}

static void sold_out_one_claim_too_early(void **state) {
    struct load_fixture *fixture = *state;
    for (int i = 0; i < 2; i++) tell_coupon(fixture, (uint32_t)i * 400, "issued", i + 1, 10);
    tell(fixture, 999, SOLD_OUT, 50);
    tell_coupon(fixture, 3, "issued", 3, 60); /* claims after it do not count */
    tell_coupon(fixture, 4, "issued", 4, 70);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_SOLD_OUT_EARLY), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void repeats_are_no_further_claimants(void **state) {
    struct load_fixture *fixture = *state;
    tell_coupon(fixture, 1, "issued", 1, 10);
    for (int i = 0; i < 9; i++) tell_coupon(fixture, 1, "already_issued", 1, 20);
    tell(fixture, 999, SOLD_OUT, 50);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_SOLD_OUT_EARLY), 1);
}

static void with_others_claiming_nothing_is_early(void **state) {
    struct load_fixture *fixture = *state;
    fixture->config.is_shared = true;
    tell(fixture, 1, SOLD_OUT_FINAL, 50);
    judge(fixture);
    assert_int_equal(found_in_all(fixture), 0);
}

static void a_coupon_for_a_claim_sent_after_a_final_no(void **state) {
    struct load_fixture *fixture = *state;
    struct load_sent under_way = send_claim(fixture, 800, 40);
    for (int i = 0; i < 2; i++) tell_coupon(fixture, (uint32_t)i, "issued", i + 1, 10);
    tell(fixture, 999, SOLD_OUT_FINAL, 50); /* told at 51 */
    char body[FIXTURE_TEXT_BYTES];
    struct answer answer = make_answer(200, coupon_body(body, "issued", "u-800", 3, "C3"));
    receive(fixture, &under_way, &answer, 90); /* sent before: in order */
    tell_coupon(fixture, 400, "issued", 4, 52);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_FINAL_REOPENED), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void both_final_no_and_yes(void **state) {
    struct load_fixture *fixture = *state;
    for (int i = 0; i < 3; i++) tell_coupon(fixture, (uint32_t)i, "issued", i + 1, 10);
    struct load_sent twin = send_claim(fixture, 7, 20);
    tell(fixture, 7, SOLD_OUT_FINAL, 20);
    char body[FIXTURE_TEXT_BYTES];
    struct answer answer = make_answer(200, coupon_body(body, "issued", "u-007", 4, "C4"));
    receive(fixture, &twin, &answer, 30);
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_FINAL_REOPENED), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void final_and_yet_something_left(void **state) {
    struct load_fixture *fixture = *state;
    sell_out(fixture);
    fixture->verdict.after = fixture->verdict.before;
    fixture->verdict.after.remaining = 1;
    fixture->verdict.is_after_known = true;
    assert_int_equal(load_verdict_judge(&fixture->verdict), 0);
    assert_int_equal(found(fixture, FINDING_UNDERSOLD), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void what_was_never_sent_is_counted(void **state) {
    struct load_fixture *fixture = *state;
    fixture->workers[1].gave_up = true;
    judge(fixture);
    assert_int_equal(found(fixture, FINDING_UNANSWERED), 333);
}

#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, open_run, close_run)

int main(void) {
    const struct CMUnitTest tests[] = {
        RUN_TEST(the_truth_leaves_nothing),
        RUN_TEST(every_user_has_one_worker),
        RUN_TEST(one_serial_for_two_users_of_two_threads),
        RUN_TEST(one_coupon_for_two_users_of_two_threads),
        RUN_TEST(serials_outside_the_stock),
        RUN_TEST(more_than_there_are),
        RUN_TEST(a_restock_raises_the_limits),
        RUN_TEST(already_issued_out_of_nothing),
        RUN_TEST(already_issued_before_the_run),
        RUN_TEST(a_random_prefix_cannot_have_been_there_before),
        RUN_TEST(sold_out_with_the_last_claim_is_not_early),
        RUN_TEST(sold_out_one_claim_too_early),
        RUN_TEST(repeats_are_no_further_claimants),
        RUN_TEST(with_others_claiming_nothing_is_early),
        RUN_TEST(a_coupon_for_a_claim_sent_after_a_final_no),
        RUN_TEST(both_final_no_and_yes),
        RUN_TEST(final_and_yet_something_left),
        RUN_TEST(what_was_never_sent_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
