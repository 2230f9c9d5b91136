/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of answers: every row of the contract, and each field missing, of a wrong type or in
 * contradiction to another.
 */
#include "verify/load_told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base.h"

#include <cmocka.h>

#define COUPON                                                                                     \
    "\"event_id\":\"E\",\"user_id\":\"u1\",\"coupon_id\":\"ABC\",\"serial\":17,"                   \
    "\"issued_at\":\"2026-11-23T08:43:00.123Z\""

struct row {
    int status;
    const char *body;
    enum told_problem problem;
    enum told told;
};

static void check_rows(const struct row *rows, size_t n, bool is_query) {
    for (size_t i = 0; i < n; i++) {
        struct told_body body;
        const char *text = NULL;
        enum told_problem problem = (is_query ? told_read_query : told_read_claim)(
            slice_str(rows[i].body), rows[i].status, &body, &text);
        if (problem != rows[i].problem) fail_msg("%s: %d %s", rows[i].body, problem, text);
        if (problem == TOLD_GOOD)
            assert_int_equal(body.told, rows[i].told);
        else
            assert_non_null(text);
    }
}

static void claims(void **state) {
    (void)state;
    static const struct row rows[] = {
        {200, "{\"success\":true,\"result\":\"issued\"," COUPON ",\"remaining_stock\":3}",
         TOLD_GOOD, TOLD_ISSUED},
        {200, "{\"success\":true,\"result\":\"already_issued\"," COUPON "}", TOLD_GOOD,
         TOLD_ALREADY_ISSUED},
        {200,
         "{\"success\":false,\"result\":\"sold_out\",\"coupon_id\":null,\"remaining_stock\":0,"
         "\"final\":true,\"extra\":[1]}",
         TOLD_GOOD, TOLD_SOLD_OUT_FINAL},
        {200, "{\"success\":false,\"result\":\"sold_out\",\"final\":false}", TOLD_GOOD,
         TOLD_SOLD_OUT},
        {200, "{\"success\":false,\"result\":\"not_started\"}", TOLD_GOOD, TOLD_NOT_STARTED},
        {200, "{\"success\":false,\"result\":\"ended\"}", TOLD_GOOD, TOLD_ENDED},
        {200, "{\"success\":false,\"result\":\"paused\"}", TOLD_GOOD, TOLD_PAUSED},
        {200, "{\"success\":false,\"result\":\"returned\"}", TOLD_GOOD, TOLD_RETURNED},
        {202, "{\"success\":null,\"result\":\"pending\"}", TOLD_GOOD, TOLD_PENDING},

        {200, "", TOLD_BAD_BODY, 0},
        {200, "null", TOLD_BAD_BODY, 0},
        {200, "[]", TOLD_BAD_BODY, 0},
        {200, "{\"success\":true,\"success\":true}", TOLD_BAD_BODY, 0},
        {200, "{\"success\":false,\"result\":\"ended\"} x", TOLD_BAD_BODY, 0},

        {200, "{\"success\":true}", TOLD_BAD_FIELD, 0},
        {200, "{\"result\":\"ended\"}", TOLD_BAD_FIELD, 0},
        {200, "{\"success\":0,\"result\":\"ended\"}", TOLD_BAD_FIELD, 0},
        {200, "{\"success\":false,\"result\":\"Ended\"}", TOLD_BAD_FIELD, 0},
        {200, "{\"success\":false,\"result\":\"sold_out\"}", TOLD_BAD_FIELD, 0},
        {200, "{\"success\":false,\"result\":\"sold_out\",\"final\":1}", TOLD_BAD_FIELD, 0},
        {200, "{\"success\":false,\"result\":\"ended\",\"remaining_stock\":-1}", TOLD_BAD_FIELD, 0},
        {200, "{\"success\":false,\"result\":\"ended\",\"remaining_stock\":\"1\"}", TOLD_BAD_FIELD,
         0},
        {200, "{\"success\":true,\"result\":\"issued\"}", TOLD_BAD_FIELD, 0},

        {200, "{\"success\":false,\"result\":\"issued\"," COUPON "}", TOLD_DISAGREES, 0},
        {200, "{\"success\":null,\"result\":\"issued\"," COUPON "}", TOLD_DISAGREES, 0},
        {202, "{\"success\":true,\"result\":\"issued\"," COUPON "}", TOLD_DISAGREES, 0},
        {200, "{\"success\":true,\"result\":\"sold_out\",\"final\":true}", TOLD_DISAGREES, 0},
        {200, "{\"success\":null,\"result\":\"pending\"}", TOLD_DISAGREES, 0},
        {200, "{\"success\":false,\"result\":\"sold_out\",\"final\":true,\"coupon_id\":\"A\"}",
         TOLD_DISAGREES, 0},
        {200, "{\"success\":false,\"result\":\"sold_out\",\"final\":true,\"remaining_stock\":1}",
         TOLD_DISAGREES, 0},
    };
    check_rows(rows, ARRAY_LEN(rows), false);
}

static void every_field_of_a_coupon_is_needed_and_checked(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\"user_id\":\"u\",\"coupon_id\":\"A\",\"serial\":1,\"issued_at\":\"2026-11-23T08:43:00Z\"",
        "\"event_id\":\"E\",\"coupon_id\":\"A\",\"serial\":1,\"issued_at\":\"2026-11-23T08:43:"
        "00Z\"",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"serial\":1,\"issued_at\":\"2026-11-23T08:43:00Z\"",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"coupon_id\":\"A\","
        "\"issued_at\":\"2026-11-23T08:43:00Z\"",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"coupon_id\":\"A\",\"serial\":1",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"coupon_id\":\"\",\"serial\":1,"
        "\"issued_at\":\"2026-11-23T08:43:00Z\"",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"coupon_id\":\"A B\",\"serial\":1,"
        "\"issued_at\":\"2026-11-23T08:43:00Z\"",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"coupon_id\":7,\"serial\":1,"
        "\"issued_at\":\"2026-11-23T08:43:00Z\"",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"coupon_id\":\"A\",\"serial\":1.0,"
        "\"issued_at\":\"2026-11-23T08:43:00Z\"",
        "\"event_id\":\"E\",\"user_id\":\"u\",\"coupon_id\":\"A\",\"serial\":1,"
        "\"issued_at\":\"yesterday\"",
        "\"event_id\":\"E\",\"user_id\":7,\"coupon_id\":\"A\",\"serial\":1,"
        "\"issued_at\":\"2026-11-23T08:43:00Z\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char json[512];
        snprintf(json, sizeof json, "{\"success\":true,\"result\":\"issued\",%s}", bad[i]);
        struct told_body body;
        const char *text = NULL;
        if (told_read_claim(slice_str(json), 200, &body, &text) != TOLD_BAD_FIELD)
            fail_msg("accepted: %s", json);
    }
}

static void a_coupon_is_copied(void **state) {
    (void)state;
    char json[] = "{\"success\":true,\"result\":\"issued\"," COUPON ",\"remaining_stock\":3}";
    struct told_body body;
    const char *text = NULL;
    assert_int_equal(told_read_claim(slice_str(json), 200, &body, &text), TOLD_GOOD);
    memset(json, 'x', sizeof json - 1);
    assert_string_equal(body.user_id, "u1");
    assert_string_equal(body.event_id, "E");
    assert_string_equal(body.coupon_id, "ABC");
    assert_int_equal(body.serial, 17);
    assert_int_equal(body.remaining, 3);
}

static void queries(void **state) {
    (void)state;
    static const struct row rows[] = {
        {200, "null", TOLD_GOOD, TOLD_NOTHING},
        {200, "{\"coupon\":null}", TOLD_GOOD, TOLD_NOTHING},
        {200, "{\"coupon_id\":null,\"user_id\":\"u1\"}", TOLD_GOOD, TOLD_NOTHING},
        {200, "{\"coupon\":{" COUPON "}}", TOLD_GOOD, TOLD_ISSUED},
        {200, "{" COUPON "}", TOLD_GOOD, TOLD_ISSUED},
        {202, "{\"success\":null,\"result\":\"pending\"}", TOLD_GOOD, TOLD_PENDING},
        {200,
         "{\"event_id\":\"E\",\"user_id\":\"u1\",\"coupon\":{\"coupon_id\":\"ABC\",\"serial\":17,"
         "\"issued_at\":\"2026-11-23T08:43:00.123Z\"}}",
         TOLD_GOOD, TOLD_ISSUED},
        {200, "[]", TOLD_BAD_BODY, 0},
        {200, "{\"coupon\":{\"coupon_id\":\"A\"}}", TOLD_BAD_FIELD, 0},
        {200, "nul", TOLD_BAD_BODY, 0},
    };
    check_rows(rows, ARRAY_LEN(rows), true);
}

static void problems(void **state) {
    (void)state;
    assert_true(told_is_problem(SLICE("{\"status\":400,\"code\":\"bad_json\"}")));
    assert_false(told_is_problem(SLICE("{\"status\":400}")));
    assert_false(told_is_problem(SLICE("{\"code\":\"bad_json\"}")));
    assert_false(told_is_problem(SLICE("400")));
    assert_false(told_is_problem(SLICE("<html>")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims),
        cmocka_unit_test(every_field_of_a_coupon_is_needed_and_checked),
        cmocka_unit_test(a_coupon_is_copied),
        cmocka_unit_test(queries),
        cmocka_unit_test(problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
