/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle: what is true leaves no finding, each lie that one worker can see leaves its own.
 */
#include "verify/load_oracle.h"

#include <setjmp.h>
#include <stdarg.h>

#include "fake/load_fixture.h"

#include <cmocka.h>

static int open_run(void **state) {
    static struct load_fixture fixture;
    fixture_open(&fixture, 1000, 100, 1);
    *state = &fixture;
    return 0;
}

static int close_run(void **state) {
    fixture_close(*state);
    return 0;
}

static void the_truth_leaves_nothing(void **state) {
    struct load_fixture *fixture = *state;
    assert_int_equal(tell_coupon(fixture, 5, "issued", 1, 10), TOLD_ISSUED);
    assert_int_equal(tell_coupon(fixture, 5, "already_issued", 1, 20), TOLD_ALREADY_ISSUED);
    assert_int_equal(tell(fixture, 6, SOLD_OUT, 30), TOLD_SOLD_OUT);
    assert_int_equal(tell(fixture, 6, SOLD_OUT_FINAL, 40), TOLD_SOLD_OUT_FINAL);
    assert_int_equal(found_in_all(fixture), 0);
    const struct oracle *oracle = &fixture->workers[0].oracle;
    assert_int_equal(oracle->users_asked, 2);
    assert_int_equal(oracle->first_sold_out_ns, 31);
    assert_int_equal(oracle->first_final_ns, 41);
    assert_int_equal(oracle->winners.count, 1);
    assert_int_equal(fixture->shared.users[5], USER_ASKED | USER_HOLDS);
    assert_int_equal(fixture->shared.users[6], USER_ASKED | USER_DENIED | USER_DENIED_FINAL);
}

static void another_coupon_for_the_same_user(void **state) {
    struct load_fixture *fixture = *state;
    char body[FIXTURE_TEXT_BYTES];
    tell_coupon(fixture, 5, "issued", 1, 10);
    tell_coupon(fixture, 5, "already_issued", 2, 20);
    assert_int_equal(found(fixture, FINDING_COUPON_CHANGED), 1);
    tell(fixture, 5, coupon_body(body, "already_issued", "u-005", 1, "C9"), 30);
    assert_int_equal(found(fixture, FINDING_COUPON_CHANGED), 2);
    assert_int_equal(found_in_all(fixture), 2);
}

static void issued_a_second_time(void **state) {
    struct load_fixture *fixture = *state;
    tell_coupon(fixture, 5, "issued", 1, 10);
    tell_coupon(fixture, 5, "issued", 1, 20);
    assert_int_equal(found(fixture, FINDING_ISSUED_TWICE), 1);
    assert_int_equal(found_in_all(fixture), 1);
}

static void taken_back_only_when_the_yes_came_before_the_question(void **state) {
    struct load_fixture *fixture = *state;
    struct load_sent early = send_claim(fixture, 5, 5);
    tell_coupon(fixture, 5, "issued", 1, 10);
    struct answer no = make_answer(200, SOLD_OUT);
    receive(fixture, &early, &no, 20); /* asked before: may have been answered before */
    assert_int_equal(found_in_all(fixture), 0);
    tell(fixture, 5, SOLD_OUT, 30);
    assert_int_equal(found(fixture, FINDING_TAKEN_BACK), 1);
    tell(fixture, 5, "{\"success\":false,\"result\":\"ended\"}", 30);
    assert_int_equal(found(fixture, FINDING_TAKEN_BACK), 2);
    tell(fixture, 5, "{\"success\":false,\"result\":\"returned\"}", 30);
    assert_int_equal(found_in_all(fixture), 2);
}

static void an_answer_for_somebody_else(void **state) {
    struct load_fixture *fixture = *state;
    char body[FIXTURE_TEXT_BYTES];
    assert_int_equal(tell(fixture, 5, coupon_body(body, "issued", "u-006", 1, "C"), 1), TOLD_WRONG);
    assert_int_equal(found(fixture, FINDING_WRONG_USER), 1);
    assert_int_equal(fixture->workers[0].oracle.winners.count, 0);
    assert_true(fixture->shared.users[5] & USER_UNSURE);
}

static void headers_that_must_be_there(void **state) {
    struct load_fixture *fixture = *state;
    char body[FIXTURE_TEXT_BYTES];
    struct load_sent sent = send_claim(fixture, 5, 1);
    struct answer answer = make_answer(200, coupon_body(body, "already_issued", "u-005", 1, "C"));
    receive(fixture, &sent, &answer, 2); /* no Idempotent-Replayed */
    assert_int_equal(found(fixture, FINDING_HEADER), 1);
    answer = make_answer(503, "{}");
    assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_BUSY); /* no Retry-After */
    assert_int_equal(found(fixture, FINDING_HEADER), 2);
    answer.retry_after_s = 1;
    assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_BUSY);
    answer = make_answer(202, "{\"success\":null,\"result\":\"pending\"}");
    receive(fixture, &sent, &answer, 2);
    assert_int_equal(found(fixture, FINDING_HEADER), 3);
    answer = make_answer(200, SOLD_OUT_FINAL);
    answer.is_json = false;
    sent = send_claim(fixture, 6, 1);
    assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_WRONG);
    assert_int_equal(found(fixture, FINDING_HEADER), 4);
    answer = make_answer(200, "{\"success\":false,\"result\":\"not_started\"}");
    receive(fixture, &sent, &answer, 2);
    assert_int_equal(found_in_all(fixture), 5);
}

static void a_status_that_a_good_claim_must_not_get(void **state) {
    struct load_fixture *fixture = *state;
    static const int statuses[] = {201, 204, 301, 400, 404, 422, 500, 502};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct load_sent sent = send_claim(fixture, 5, 1);
        struct answer answer = make_answer(statuses[i], "{\"status\":400,\"code\":\"x\"}");
        assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_WRONG);
    }
    assert_int_equal(found(fixture, FINDING_STATUS), ARRAY_LEN(statuses));
}

static void a_bad_request_must_be_refused_as_agreed(void **state) {
    struct load_fixture *fixture = *state;
    for (unsigned kind = REQUEST_BAD; kind < REQUEST_KINDS; kind++) {
        int expected = fixture->kit.templates[kind].expected_status;
        struct load_sent sent = {.user = 3, .kind = (uint8_t)kind};
        struct answer answer = make_answer(expected, "{\"status\":400,\"code\":\"x\"}");
        answer.has_allow = expected == 405;
        assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_REFUSED);
        assert_int_equal(found_in_all(fixture), 0);
        answer.status = 200;
        assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_WRONG);
        assert_int_equal(found(fixture, FINDING_STATUS), 1);
        answer = make_answer(expected, "<html>");
        assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_WRONG);
        assert_int_equal(found(fixture, FINDING_BODY), 1);
        findings_deinit(&fixture->workers[0].oracle.findings);
    }
    struct load_sent sent = {.user = 3, .kind = REQUEST_KINDS - 1};
    struct answer answer = make_answer(405, "{\"status\":405,\"code\":\"x\"}");
    assert_int_equal(receive(fixture, &sent, &answer, 2), TOLD_WRONG); /* no Allow */
    assert_int_equal(fixture->shared.users[3], 0);
}

static void a_query_after_pending(void **state) {
    struct load_fixture *fixture = *state;
    char body[FIXTURE_TEXT_BYTES];
    struct load_sent claim = send_claim(fixture, 5, 1);
    struct answer answer = make_answer(202, "{\"success\":null,\"result\":\"pending\"}");
    answer.retry_after_s = 1;
    assert_int_equal(receive(fixture, &claim, &answer, 2), TOLD_PENDING);
    struct load_sent query = {.user = 5, .kind = REQUEST_QUERY};
    answer = make_answer(200, "null");
    assert_int_equal(receive(fixture, &query, &answer, 2), TOLD_NOTHING);
    answer = make_answer(200, coupon_body(body, "issued", "u-005", 1, "C"));
    assert_int_equal(receive(fixture, &query, &answer, 2), TOLD_ISSUED);
    assert_int_equal(found_in_all(fixture), 0);
    assert_int_equal(fixture->workers[0].oracle.queries, 2);
    query.held_before = true;
    answer = make_answer(200, "null");
    receive(fixture, &query, &answer, 2);
    assert_int_equal(found(fixture, FINDING_TAKEN_BACK), 1);
}

static void the_short_way_says_what_the_long_way_says(void **state) {
    struct load_fixture *fixture = *state;
    struct oracle *oracle = &fixture->workers[0].oracle;
    struct answer answer = make_answer(200, SOLD_OUT_FINAL);
    assert_true(oracle_is_common(TOLD_SOLD_OUT_FINAL, &answer));
    assert_false(oracle_is_common(TOLD_ISSUED, &answer));
    answer.closes = true;
    assert_false(oracle_is_common(TOLD_SOLD_OUT_FINAL, &answer));
    answer = make_answer(200, "{\"user_id\":\"u-001\"}");
    assert_false(oracle_is_common(TOLD_SOLD_OUT_FINAL, &answer));

    tell(fixture, 1, SOLD_OUT_FINAL, 10);
    struct load_sent sent = send_claim(fixture, 2, 20);
    assert_true(oracle_on_common(oracle, &sent, TOLD_SOLD_OUT_FINAL));
    assert_int_equal(fixture->shared.users[2], fixture->shared.users[1]);
    assert_int_equal(oracle->told[TOLD_SOLD_OUT_FINAL], 2);
    tell_coupon(fixture, 3, "issued", 1, 30);
    sent = send_claim(fixture, 3, 40);
    assert_false(
        oracle_on_common(oracle, &sent, TOLD_SOLD_OUT_FINAL)); /* holds: needs the long way */
    sent.user = 4;
    sent.kind = REQUEST_BAD;
    assert_false(oracle_on_common(oracle, &sent, TOLD_SOLD_OUT_FINAL));
}

static void who_got_no_answer_is_unsure(void **state) {
    struct load_fixture *fixture = *state;
    struct oracle *oracle = &fixture->workers[0].oracle;
    struct load_sent sent = send_claim(fixture, 5, 1);
    oracle_on_lost(oracle, &sent);
    assert_int_equal(found_in_all(fixture), 0);
    assert_int_equal(fixture->shared.users[5], USER_ASKED | USER_UNSURE);
    oracle_on_unanswered(oracle, &sent, "why");
    assert_int_equal(found(fixture, FINDING_UNANSWERED), 1);
    assert_string_equal(oracle->findings.kinds[FINDING_UNANSWERED].evidence[0], "user u-005: why");
    oracle_on_garbage(oracle, &sent, SLICE("\x01xyz"), "odd");
    oracle_on_garbage(oracle, NULL, SLICE("HTTP"), "unasked");
    assert_string_equal(oracle->findings.kinds[FINDING_PROTOCOL].evidence[0],
                        "user u-005: odd: .xyz");
    assert_string_equal(oracle->findings.kinds[FINDING_PROTOCOL].evidence[1],
                        "nobody asked: unasked: HTTP");
}

#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, open_run, close_run)

int main(void) {
    const struct CMUnitTest tests[] = {
        RUN_TEST(the_truth_leaves_nothing),
        RUN_TEST(another_coupon_for_the_same_user),
        RUN_TEST(issued_a_second_time),
        RUN_TEST(taken_back_only_when_the_yes_came_before_the_question),
        RUN_TEST(an_answer_for_somebody_else),
        RUN_TEST(headers_that_must_be_there),
        RUN_TEST(a_status_that_a_good_claim_must_not_get),
        RUN_TEST(a_bad_request_must_be_refused_as_agreed),
        RUN_TEST(a_query_after_pending),
        RUN_TEST(the_short_way_says_what_the_long_way_says),
        RUN_TEST(who_got_no_answer_is_unsure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
