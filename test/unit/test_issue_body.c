/* SPDX-License-Identifier: Apache-2.0
 *
 * The two readers of a claim's body agree, and both know the rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/issue_body.h"
#include "lib/base.h"

struct row {
    const char *text;
    enum issue_body_status status;
    const char *a, *b; /* user_id and event_id when OK; the field when FIELD */
    bool is_fast;      /* the fast reader takes it */
};

#define OK(text, user, event, fast) {text, ISSUE_BODY_OK, user, event, fast}
#define FIELD(text, field, fast) {text, ISSUE_BODY_FIELD, field, NULL, fast}
#define BAD(text) {text, ISSUE_BODY_NOT_JSON, NULL, NULL, false}

static const struct row rows[] = {
    OK("{\"user_id\":\"u1\",\"event_id\":\"e1\"}", "u1", "e1", true),
    OK(" {\n\t\"event_id\" : \"e1\" ,\r \"user_id\" : \"u1\" } \n", "u1", "e1", true),
    OK("{\"user_id\":\"a.b_c~d:e@f+g-h\",\"event_id\":\"E-_9\"}", "a.b_c~d:e@f+g-h", "E-_9", true),
    OK("{\"x\":1,\"user_id\":\"u\",\"y\":null,\"event_id\":\"e\",\"z\":true,\"w\":-0}", "u", "e",
       true),
    OK("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":{\"a\":[1,{\"b\":2}]}}", "u", "e", false),
    OK("{\"user_id\":\"\\u0075\\u0031\",\"event_id\":\"e\"}", "u1", "e", false),
    OK("{\"\\u0075ser_id\":\"u1\",\"event_id\":\"e\"}", "u1", "e", false),
    OK("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":1.5e3}", "u", "e", false),
    OK("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":123456789012345678901234567890}", "u", "e",
       false),
    OK("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":\"\xed\x95\x9c\"}", "u", "e", false),
    OK("{\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"user_id\":\"u\","
       "\"event_id\":\"e\"}",
       "u", "e", false),
    FIELD("{}", "user_id", false),
    FIELD("{\"event_id\":\"e\"}", "user_id", true),
    FIELD("{\"user_id\":\"u\"}", "event_id", true),
    FIELD("{\"user_id\":1,\"event_id\":\"e\"}", "user_id", true),
    FIELD("{\"user_id\":\"u\",\"event_id\":null}", "event_id", true),
    FIELD("{\"user_id\":[\"u\"],\"event_id\":\"e\"}", "user_id", false),
    FIELD("{\"user_id\":\"\",\"event_id\":\"e\"}", "user_id", true),
    FIELD("{\"user_id\":\".u\",\"event_id\":\"e\"}", "user_id", true),
    FIELD("{\"user_id\":\"u v\",\"event_id\":\"e\"}", "user_id", true),
    FIELD("{\"user_id\":\"u\\u0000\",\"event_id\":\"e\"}", "user_id", false),
    FIELD("{\"user_id\":\"\xed\x95\x9c\",\"event_id\":\"e\"}", "user_id", false),
    FIELD("{\"user_id\":\"u\",\"event_id\":\"e.\"}", "event_id", true),
    FIELD("{\"user_id\":"
          "\"0123456789012345678901234567890123456789012345678901234567890123x\","
          "\"event_id\":\"e\"}",
          "user_id", true),
    FIELD("{\"user_id\":"
          "\"\\u0030123456789012345678901234567890123456789012345678901234567890123x\","
          "\"event_id\":\"e\"}",
          "user_id", false),
    FIELD("[]", "user_id", false),
    FIELD("null", "user_id", false),
    FIELD("\"user_id\"", "user_id", false),
    BAD(""),
    BAD("   "),
    BAD("{"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\""),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\"}x"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\"}{}"),
    BAD("{'user_id':'u','event_id':'e'}"),
    BAD("{user_id:\"u\",\"event_id\":\"e\"}"),
    BAD("{\"user_id\":\"u\",\"user_id\":\"u\",\"event_id\":\"e\"}"),
    BAD("{\"user_id\":\"u\",\"\\u0075ser_id\":\"v\",\"event_id\":\"e\"}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":1,\"x\":2}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":01}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":-}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":+1}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":nul}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":truex}"),
    BAD("{\"user_id\":\"u\tv\",\"event_id\":\"e\"}"),
    BAD("{\"user_id\":\"u\xff\",\"event_id\":\"e\"}"),
    BAD("{\"user_id\":\"u\",\"event_id\":\"e\",\"x\":\"\xc0\xaf\"}"),
    BAD("\xef\xbb\xbf{\"user_id\":\"u\",\"event_id\":\"e\"}"),
};

static void assert_reads(const struct row *row, enum issue_body_status status,
                         const struct issue_body *body) {
    if (status != row->status) fail_msg("status %d, not %d: %s", status, row->status, row->text);
    if (status == ISSUE_BODY_OK) {
        assert_true(slice_eq(body->user_id, slice_str(row->a)));
        assert_true(slice_eq(body->event_id, slice_str(row->b)));
    }
    if (status == ISSUE_BODY_FIELD) assert_string_equal(body->field, row->a);
    if (status != ISSUE_BODY_OK) assert_true(strlen(body->detail) > 10);
}

static void each_row_reads_as_it_says(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct issue_body body;
        struct slice text = slice_str(rows[i].text);
        assert_reads(&rows[i], issue_body_parse(text, &body), &body);
        assert_reads(&rows[i], issue_body_parse_any(text, &body), &body);
        enum issue_body_status status;
        bool is_fast = issue_body_parse_fast(text, &body, &status);
        if (is_fast != rows[i].is_fast) fail_msg("fast is %d: %s", is_fast, rows[i].text);
        if (is_fast) assert_reads(&rows[i], status, &body);
    }
}

static uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

/* What the fast reader takes, jansson reads the same: over many small changes of good texts. */
static void the_readers_agree(void **state) {
    (void)state;
    static const char letters[] = "{}[]\":,\\u0019 \tnulltrueaE.-+_~@\x80\xff\n";
    uint32_t random = 7;
    size_t taken_fast = 0;
    for (int round = 0; round < 200000; round++) {
        char text[256];
        const struct row *row = &rows[next(&random) % ARRAY_LEN(rows)];
        size_t n = size_min(strlen(row->text), sizeof text);
        memcpy(text, row->text, n);
        for (uint32_t change = next(&random) >> 8 & 3; change > 0 && n > 0; change--)
            text[(next(&random) >> 4) % n] = letters[(next(&random) >> 4) % (sizeof letters - 1)];
        struct issue_body fast, any;
        enum issue_body_status fast_status;
        if (!issue_body_parse_fast(slice_of(text, n), &fast, &fast_status)) continue;
        taken_fast++;
        enum issue_body_status any_status = issue_body_parse_any(slice_of(text, n), &any);
        if (fast_status != any_status)
            fail_msg("fast %d, any %d: %.*s", fast_status, any_status, (int)n, text);
        if (fast_status == ISSUE_BODY_OK) {
            assert_true(slice_eq(fast.user_id, any.user_id));
            assert_true(slice_eq(fast.event_id, any.event_id));
        } else {
            assert_string_equal(fast.field, any.field);
            assert_string_equal(fast.detail, any.detail);
        }
    }
    assert_true(taken_fast > 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_reads_as_it_says),
        cmocka_unit_test(the_readers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
