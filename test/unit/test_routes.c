/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths find their route, their parameters and the methods they know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/routes.h"

static const struct route *find(const struct route *routes, enum http_method method,
                                struct slice path, struct slice parameters[2], unsigned *allowed) {
    struct http_request request = {.method = method, .path = path};
    return route_find(routes, &request, parameters, allowed);
}

static void parameters_are_segments(void **state) {
    (void)state;
    struct slice parameters[2];
    unsigned allowed;
    assert_non_null(find(public_routes, HTTP_GET, SLICE("/api/v1/coupons/user/a%40b/event/e-1"),
                         parameters, &allowed));
    assert_true(slice_eq(parameters[0], SLICE("a%40b")));
    assert_true(slice_eq(parameters[1], SLICE("e-1")));
    static const char *const strangers[] = {
        "/api/v1/coupons/user/a/event/",  "/api/v1/coupons/user//event/e",
        "/api/v1/coupons/user/a/event/e/", "/api/v1/coupons/user/a/b/event/e",
        "/api/v1/coupons/status/",        "/api/v1/coupons/issue/",
        "/api/v1/coupons/issu",           "/",
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        assert_null(find(public_routes, HTTP_GET, slice_str(strangers[i]), parameters, &allowed));
        assert_int_equal(allowed, 0);
    }
}

static void a_known_path_tells_its_methods(void **state) {
    (void)state;
    struct slice parameters[2];
    unsigned allowed;
    assert_null(find(public_routes, HTTP_GET, SLICE("/api/v1/coupons/issue"), parameters, &allowed));
    assert_int_equal(allowed, 1u << HTTP_POST);
    assert_null(find(admin_routes, HTTP_DELETE, SLICE("/admin/v1/events"), parameters, &allowed));
    assert_int_equal(allowed, 1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_POST);
}

static void admin_routes_are_not_public(void **state) {
    (void)state;
    struct slice parameters[2];
    unsigned allowed;
    assert_null(find(public_routes, HTTP_GET, SLICE("/admin/v1/events"), parameters, &allowed));
    assert_int_equal(allowed, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_segments),
        cmocka_unit_test(a_known_path_tells_its_methods),
        cmocka_unit_test(admin_routes_are_not_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
