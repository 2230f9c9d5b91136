/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose request it is: the address that X-Forwarded-For names, and attempts to make one up.
 */
#include "api/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"

static struct ip ip(const char *text) {
    struct ip ip;
    if (!ip_parse(slice_str(text), &ip)) fail_msg("\"%s\" is no address", text);
    return ip;
}

static struct proxies proxies_of(const char *text) {
    struct proxies proxies;
    struct slice bad;
    if (!proxies_parse(slice_str(text), &proxies, &bad)) fail_msg("%s", text);
    return proxies;
}

#define TRUSTED "10.0.0.0/8, 2001:db8:f::/48"
#define PROXY "10.0.0.1"
#define SIX "9.9.9.9,9.9.9.8,9.9.9.7,9.9.9.6,9.9.9.5,9.9.9.4"
#define EIGHT_TRUSTED "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8"

struct row {
    const char *peer;
    const char *lines[HTTP_FORWARDED_LINES_MAX + 1]; /* in the order in which they were sent */
    const char *client;
    bool is_forwarded;
};

static const struct row rows[] = {
    /* nothing to look at */
    {PROXY, {NULL}, PROXY, false},
    {"203.0.113.1", {NULL}, "203.0.113.1", false},
    /* who is not trusted may write what he wants */
    {"203.0.113.1", {"198.51.100.1"}, "203.0.113.1", false},
    {"203.0.113.1", {"10.0.0.1"}, "203.0.113.1", false},
    {"203.0.113.1", {"127.0.0.1"}, "203.0.113.1", false},
    {"11.0.0.1", {"198.51.100.1"}, "11.0.0.1", false},
    /* one proxy, several, in one line or a line for each */
    {PROXY, {"198.51.100.1"}, "198.51.100.1", true},
    {PROXY, {"198.51.100.1, 10.0.0.2"}, "198.51.100.1", true},
    {PROXY, {"198.51.100.1", "10.0.0.2"}, "198.51.100.1", true},
    {PROXY, {"198.51.100.1", "10.0.0.3, 10.0.0.2"}, "198.51.100.1", true},
    {"2001:db8:f::1", {"2001:db8:1::7,2001:db8:f::2"}, "2001:db8:1::7", true},
    {"::ffff:10.0.0.1", {"::ffff:198.51.100.1"}, "198.51.100.1", true},
    /* what a client made up stands left of its own address */
    {PROXY, {"127.0.0.1, 198.51.100.1"}, "198.51.100.1", true},
    {PROXY, {"10.0.0.9, 198.51.100.1"}, "198.51.100.1", true},
    {PROXY, {"8.8.8.8", "198.51.100.1"}, "198.51.100.1", true},
    {PROXY, {"198.51.100.1, 8.8.8.8"}, "8.8.8.8", true},
    {PROXY, {"x, , ;, 198.51.100.1, 10.0.0.2"}, "198.51.100.1", true},
    {PROXY, {SIX, SIX, SIX, SIX, "198.51.100.1"}, "198.51.100.1", true},
    /* a client among the proxies: the leftmost */
    {PROXY, {"10.0.0.7, 10.0.0.2"}, "10.0.0.7", true},
    {PROXY, {"10.0.0.7", "10.0.0.2"}, "10.0.0.7", true},
    /* the same with ports, brackets, blanks and empty items */
    {PROXY, {"198.51.100.1:4711"}, "198.51.100.1", true},
    {PROXY, {"[2001:db8::5]"}, "2001:db8::5", true},
    {PROXY, {"[2001:db8::5]:443"}, "2001:db8::5", true},
    {PROXY, {"2001:db8::5"}, "2001:db8::5", true},
    {PROXY, {" \t198.51.100.1\t,, 10.0.0.2 ,"}, "198.51.100.1", true},
    /* no address where one has to be: the proxy's own, but it spoke for somebody */
    {PROXY, {""}, PROXY, true},
    {PROXY, {","}, PROXY, true},
    {PROXY, {"unknown"}, PROXY, true},
    {PROXY, {"198.51.100.1, unknown"}, PROXY, true},
    {PROXY, {"198.51.100.1, unknown, 10.0.0.2"}, PROXY, true},
    {PROXY, {"198.51.100.1 10.0.0.2"}, PROXY, true},
    {PROXY, {"\"198.51.100.1\""}, PROXY, true},
    {PROXY, {"198.51.100.1:"}, PROXY, true},
    {PROXY, {"198.51.100.1:x"}, PROXY, true},
    {PROXY, {"198.51.100.1:123456"}, PROXY, true},
    {PROXY, {"[2001:db8::5"}, PROXY, true},
    {PROXY, {"[2001:db8::5]x"}, PROXY, true},
    {PROXY, {"[2001:db8::5]:"}, PROXY, true},
    {PROXY, {"[198.51.100.1]"}, PROXY, true},
    {PROXY, {"[]"}, PROXY, true},
    {PROXY, {"["}, PROXY, true},
    {PROXY, {"]"}, PROXY, true},
    {PROXY, {":"}, PROXY, true},
    {PROXY, {"198.51.100.256"}, PROXY, true},
    {PROXY, {"0198.51.100.1"}, PROXY, true},
    {PROXY, {"fe80::1%eth0"}, PROXY, true},
    /* as far as the 32nd */
    {PROXY,
     {"198.51.100.1", EIGHT_TRUSTED "," EIGHT_TRUSTED, EIGHT_TRUSTED,
      "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7"},
     "198.51.100.1",
     true},
    {PROXY,
     {"198.51.100.1", EIGHT_TRUSTED "," EIGHT_TRUSTED, EIGHT_TRUSTED, EIGHT_TRUSTED},
     PROXY,
     true},
};

static void each_row(void **state) {
    (void)state;
    const struct proxies proxies = proxies_of(TRUSTED);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice lines[HTTP_FORWARDED_LINES_MAX] = {{NULL, 0}};
        for (size_t line = 0; line < ARRAY_LEN(rows[i].lines) && rows[i].lines[line] != NULL;
             line++) {
            memmove(lines + 1, lines, sizeof lines - sizeof lines[0]);
            lines[0] = slice_str(rows[i].lines[line]);
        }
        const struct ip peer = ip(rows[i].peer), wanted = ip(rows[i].client);
        const struct client client = forwarded_client(&proxies, &peer, lines);
        if (!ip_eq(&client.ip, &wanted) || client.is_forwarded != rows[i].is_forwarded)
            fail_msg("row %zu: \"%s\"", i, rows[i].lines[0] == NULL ? "" : rows[i].lines[0]);
    }
}

static void without_proxies_nothing_is_believed(void **state) {
    (void)state;
    const struct proxies none = proxies_of("none");
    const struct slice lines[HTTP_FORWARDED_LINES_MAX] = {SLICE("198.51.100.1")};
    const struct ip peer = ip("127.0.0.1");
    const struct client client = forwarded_client(&none, &peer, lines);
    assert_true(ip_eq(&client.ip, &peer) && !client.is_forwarded);
}

static void lists(void **state) {
    (void)state;
    struct proxies proxies;
    struct slice bad;
    assert_int_equal(proxies_of("none").count, 0);
    assert_int_equal(proxies_of("::1").count, 1);
    assert_int_equal(proxies_of(" 10.0.0.0/8 ,\t::1").count, 2);
    static const struct {
        const char *text, *bad;
    } refused[] = {{"", ""},
                   {"10.0.0.0/8,,::1", ""},
                   {"::1, x", "x"},
                   {"10.0.0.1/8", "10.0.0.1/8"},
                   {"10.0.0.0/8 ::1", "10.0.0.0/8 ::1"},
                   {"none, ::1", "none"}};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_false(proxies_parse(slice_str(refused[i].text), &proxies, &bad));
        assert_true(slice_eq(bad, slice_str(refused[i].bad)));
    }
    char many[PROXIES_MAX * 4 + 8] = "";
    for (size_t i = 0; i < PROXIES_MAX; i++) memcpy(many + 4 * i, "::1,", 4);
    assert_true(proxies_parse(slice_of(many, PROXIES_MAX * 4 - 1), &proxies, &bad));
    memcpy(many + (size_t)4 * PROXIES_MAX, "::1", 3);
    assert_false(proxies_parse(slice_str(many), &proxies, &bad));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(without_proxies_nothing_is_believed),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
