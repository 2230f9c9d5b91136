/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as text for people.
 */
#include "api/admin_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(bool is_list, const char *json, const char *text) {
    struct buf out;
    buf_init(&out, 4096);
    json_t *value = json_loads(json, 0, NULL);
    assert_non_null(value);
    const bool is_good = is_list ? admin_table_events(&out, value) : admin_table_event(&out, value);
    assert_int_equal(is_good, text != NULL);
    if (text != NULL && !slice_eq(buf_slice(&out), slice_str(text)))
        fail_msg("\n%.*s is not\n%s", (int)out.n, out.p, text);
    json_decref(value);
    buf_deinit(&out);
}

#define EVENT                                                                                      \
    "{\"event_id\":\"summer\",\"total_stock\":1000,\"remaining_stock\":983,"                       \
    "\"total_participants\":17,\"status\":\"active\",\"starts_at\":null,"                          \
    "\"ends_at\":\"2026-12-01T00:00:00.000Z\",\"created_at\":\"2026-11-23T09:00:00.000Z\""

static void test_event(void **state) {
    (void)state;
    expect(false, EVENT ",\"code\":{\"prefix\":\"XM-\",\"alphabet\":\"0123456789\",\"length\":30}}",
           "event    summer\n"
           "status   active\n"
           "stock    1000\n"
           "left     983\n"
           "holders  17\n"
           "starts   -\n"
           "ends     2026-12-01T00:00:00.000Z\n"
           "created  2026-11-23T09:00:00.000Z\n"
           "codes    XM- and 30 of 0123456789 and a check character\n");
}

static void test_events(void **state) {
    (void)state;
    expect(true, "{\"events\":[]}", "EVENT  STATUS  STOCK  LEFT  HOLDERS  STARTS  ENDS  CREATED\n");
    expect(true, "{\"events\":[" EVENT "},{\"event_id\":\"e\",\"total_stock\":1000000}]}",
           "EVENT   STATUS    STOCK  LEFT  HOLDERS  STARTS  ENDS                      CREATED\n"
           "summer  active     1000   983       17  -       2026-12-01T00:00:00.000Z  "
           "2026-11-23T09:00:00.000Z\n"
           "e       -       1000000     -        -  -       -                         -\n");
}

static void test_what_is_no_event(void **state) {
    (void)state;
    expect(false, "{}", NULL);
    expect(false, "[1]", NULL);
    expect(false, "{\"event_id\":5}", NULL);
    expect(true, "{\"events\":{}}", NULL);
    expect(true, "[]", NULL);
}

static void test_nothing_moves_the_cursor(void **state) {
    (void)state;
    expect(false, "{\"event_id\":\"a\\u001b[2Jb\\u007f\"}",
           "event    a?[2Jb?\nstatus   -\nstock    -\nleft     -\nholders  -\nstarts   -\n"
           "ends     -\ncreated  -\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_what_is_no_event),
        cmocka_unit_test(test_nothing_moves_the_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
