/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/verify_views.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_a_server_says(void **state) {
    (void)state;
    struct view_point points[2];
    size_t count = 9;
    assert_int_equal(verify_views_read(SLICE("{\"views\":[]}"), points, 2, &count), 0);
    assert_int_equal(count, 0);
    struct slice body = SLICE("{\"views\":[{\"name\":\"engine\",\"seq\":17,\"digest\":"
                              "\"fedcba9876543210\"},{\"name\":\"copy\",\"seq\":0,\"digest\":"
                              "\"0000000000000000\"}]}");
    assert_int_equal(verify_views_read(body, points, 2, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(points[0].name, "engine");
    assert_true(points[0].seq == 17 && points[0].digest == 0xfedcba9876543210);
    assert_true(points[1].seq == 0 && points[1].digest == 0);
    assert_int_equal(verify_views_read(body, points, 1, &count), -EBADMSG); /* too many */
}

static void what_no_server_says(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "",
        "x",
        "null",
        "{}",
        "{\"views\":{}}",
        "{\"views\":[1]}",
        "{\"views\":[{\"name\":1,\"seq\":1,\"digest\":\"0000000000000000\"}]}",
        "{\"views\":[{\"name\":\"a\",\"seq\":-1,\"digest\":\"0000000000000000\"}]}",
        "{\"views\":[{\"name\":\"a\",\"seq\":\"1\",\"digest\":\"0000000000000000\"}]}",
        "{\"views\":[{\"name\":\"a\",\"seq\":1,\"digest\":\"000000000000000\"}]}",
        "{\"views\":[{\"name\":\"a\",\"seq\":1,\"digest\":\"000000000000000g\"}]}",
    };
    struct view_point points[2];
    size_t count;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_int_equal(verify_views_read(slice_str(bodies[i]), points, 2, &count), -EBADMSG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_server_says),
        cmocka_unit_test(what_no_server_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
