/* SPDX-License-Identifier: Apache-2.0
 *
 * Which origins are origins, and which is which.
 */
#include "api/cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"

static struct origins origins_of(const char *text) {
    struct origins origins;
    struct slice bad;
    if (!origins_parse(slice_str(text), &origins, &bad)) fail_msg("%s", text);
    return origins;
}

static bool is_listed(const struct origins *origins, const char *origin) {
    struct slice found = origins_find(origins, slice_str(origin));
    if (found.n == 0) return false;
    assert_true(slice_eq(found, slice_str(origin)));
    assert_true(found.p >= (const char *)origins && found.p < (const char *)(origins + 1));
    return true;
}

static void only_what_is_the_same_matches(void **state) {
    (void)state;
    const struct origins origins =
        origins_of("https://shop.example, http://[::1]:8080,capacitor://localhost");
    static const char *const yes[] = {"https://shop.example", "http://[::1]:8080",
                                      "capacitor://localhost"};
    static const char *const no[] = {
        "",
        "null",
        "*",
        "http://shop.example",
        "https://shop.example:443",
        "https://shop.example/",
        "https://shop.exampl",
        "https://shop.example.evil",
        "https://evil-shop.example",
        "HTTPS://shop.example",
        "https://Shop.example",
        "https://shop.example, http://[::1]:8080",
        "http://[::1]",
        "capacitor://localhost2",
    };
    assert_int_equal(origins.count, 3);
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) assert_true(is_listed(&origins, yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (is_listed(&origins, no[i])) fail_msg("\"%s\"", no[i]);
    const struct origins none = origins_of("none");
    assert_int_equal(none.count, 0);
    assert_false(is_listed(&none, "none"));
}

static void what_no_browser_sends_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *bad;
    } rows[] = {
        {"", ""},
        {"*", "*"},
        {"null", "null"},
        {"shop.example", "shop.example"},
        {"https://a.example,,https://b.example", ""},
        {"https://a.example https://b.example", "https://a.example https://b.example"},
        {"https://a.example, https://b.example/", "https://b.example/"},
        {"https://a.example/path", "https://a.example/path"},
        {"https://a.example?x", "https://a.example?x"},
        {"https://A.example", "https://A.example"},
        {"https://a.example:443", "https://a.example:443"},
        {"http://a.example:80", "http://a.example:80"},
        {"https://a.example:", "https://a.example:"},
        {"https://user@a.example", "https://user@a.example"},
        {"https://", "https://"},
        {"https:", "https:"},
        {"://a.example", "://a.example"},
        {"https:/a.example", "https:/a.example"},
        {"ht tps://a.example", "ht tps://a.example"},
        {"https://\xc3\xa9.example", "https://\xc3\xa9.example"},
        {"https://a.example\r", "https://a.example\r"},
    };
    struct origins origins;
    struct slice bad;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (origins_parse(slice_str(rows[i].text), &origins, &bad)) fail_msg("%s", rows[i].text);
        assert_true(slice_eq(bad, slice_str(rows[i].bad)));
    }
    assert_int_equal(origins_of("https://a.example:80").count, 1);
    assert_int_equal(origins_of("http://a.example:443").count, 1);
}

static void there_is_a_limit_of_origins_and_of_their_length(void **state) {
    (void)state;
    enum { BYTES = 11 };
    char many[(ORIGINS_MAX + 1) * BYTES + 1] = "", longest[ORIGIN_BYTES_MAX + 2] = "http://";
    struct origins origins;
    struct slice bad;
    for (size_t i = 0; i <= ORIGINS_MAX; i++) memcpy(many + i * BYTES, "https://a.b,", BYTES + 1);
    for (size_t i = 0; i <= ORIGINS_MAX; i++)
        many[i * BYTES + BYTES - 1] = ',', many[i * BYTES + 9] = 'b';
    assert_true(origins_parse(slice_of(many, ORIGINS_MAX * BYTES - 1), &origins, &bad));
    assert_int_equal(origins.count, ORIGINS_MAX);
    assert_false(origins_parse(slice_of(many, (ORIGINS_MAX + 1) * BYTES - 1), &origins, &bad));
    memset(longest + 7, 'a', ORIGIN_BYTES_MAX - 7);
    assert_true(origins_parse(slice_str(longest), &origins, &bad));
    assert_true(is_listed(&origins, longest));
    longest[ORIGIN_BYTES_MAX] = 'a';
    assert_false(origins_parse(slice_str(longest), &origins, &bad));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_the_same_matches),
        cmocka_unit_test(what_no_browser_sends_is_refused),
        cmocka_unit_test(there_is_a_limit_of_origins_and_of_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
