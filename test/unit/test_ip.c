/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and ranges, as text and as bytes.
 */
#include "lib/ip.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/base.h"

static struct ip ip(const char *text) {
    struct ip ip;
    if (!ip_parse(slice_str(text), &ip)) fail_msg("\"%s\" is no address", text);
    return ip;
}

static void good_addresses(void **state) {
    (void)state;
    static const struct {
        const char *text, *same;
    } rows[] = {
        {"192.0.2.1", "::ffff:192.0.2.1"}, {"192.0.2.1", "::FFFF:c000:201"},
        {"0.0.0.0", "::ffff:0:0"},         {"2001:db8::1", "2001:0DB8:0:0:0:0:0:1"},
        {"::", "0:0:0:0:0:0:0:0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct ip a = ip(rows[i].text), b = ip(rows[i].same);
        assert_true(ip_eq(&a, &b));
    }
    const struct ip wanted = {{0x20, 1, 0xd, 0xb8, [15] = 1}}, found = ip("2001:db8::1");
    assert_true(ip_eq(&wanted, &found));
}

static void bad_addresses(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:80",
        "[::1]",
        "::1%lo",
        "fe80::1%1",
        "1::2::3",
        "12345::",
        "::ffff:1.2.3.256",
        "0x7f.0.0.1",
        "2130706433",
        "1.2.3.-4",
        "a.b.c.d",
        "localhost",
        "unknown",
        "::g",
        "1:2:3:4:5:6:7:8:9",
        "0000:0000:0000:0000:0000:ffff:192.168.100.228.1",
    };
    struct ip ip;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (ip_parse(slice_str(rows[i]), &ip)) fail_msg("\"%s\" is taken", rows[i]);
    assert_false(ip_parse(SLICE("1.2.3.4\0"), &ip));
}

static void of_a_socket(void **state) {
    (void)state;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v4 = {.sin_family = AF_INET, .sin_port = 7, .sin_addr = {htonl(0xc0000201)}}};
    struct ip found = ip_of_socket(&address.any), wanted = ip("192.0.2.1");
    assert_true(ip_eq(&found, &wanted));
    address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = 7};
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::5", &address.v6.sin6_addr), 1);
    found = ip_of_socket(&address.any), wanted = ip("2001:db8::5");
    assert_true(ip_eq(&found, &wanted));
    address.any.sa_family = AF_UNIX;
    found = ip_of_socket(&address.any), wanted = ip("::");
    assert_true(ip_eq(&found, &wanted));
}

static void loopback(void **state) {
    (void)state;
    static const char *const yes[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    static const char *const no[] = {"126.0.0.1", "128.0.0.1",   "::2",
                                     "::",        "::127.0.0.1", "7f00::1"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        const struct ip one = ip(yes[i]);
        assert_true(ip_is_loopback(&one));
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        const struct ip one = ip(no[i]);
        assert_false(ip_is_loopback(&one));
    }
}

static bool are_one_subscriber(const char *a, const char *b) {
    const struct ip one = ip(a), other = ip(b);
    return slice_eq(ip_subscriber(&one), ip_subscriber(&other));
}

static void subscribers(void **state) {
    (void)state;
    assert_true(are_one_subscriber("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(are_one_subscriber("192.0.2.1", "192.0.2.2"));
    assert_true(are_one_subscriber("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(are_one_subscriber("2001:db8:1:2::1", "2001:db8:1:3::1"));
    /* ::/64 holds the mapped addresses, but they are not one subscriber with it. */
    assert_false(are_one_subscriber("::2", "192.0.2.1"));
}

static void ranges(void **state) {
    (void)state;
    static const struct {
        const char *range, *inside, *outside;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.0"},
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
        {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        {"0.0.0.0/0", "255.1.1.1", "2001:db8::1"},
        {"::/0", "ffff::", "1.2.3.4"},
        {"::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"},
        {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
        {"2001:db8::1", "2001:db8::1", "2001:db8::2"},
        {"::1/128", "::1", "::"},
    };
    struct ip_range range;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!ip_range_parse(slice_str(rows[i].range), &range)) fail_msg("%s", rows[i].range);
        const struct ip inside = ip(rows[i].inside), outside = ip(rows[i].outside);
        if (!ip_range_has(&range, &inside)) fail_msg("%s in %s", rows[i].inside, rows[i].range);
        if (ip_range_has(&range, &outside)) fail_msg("%s in %s", rows[i].outside, rows[i].range);
    }
}

static void bad_ranges(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.0/8x",
        "10.0.0.0/8/8",
        "10.0.0.1/8",
        "10.0.0.0/+8",
        "::/129",
        "2001:db8::1/64",
        "::1/127",
        "10.0.0.0 /8",
        "10.0.0.0/ 8",
        "10.0.0.0/1000",
    };
    struct ip_range range;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (ip_range_parse(slice_str(rows[i]), &range)) fail_msg("\"%s\" is taken", rows[i]);
}

static void as_text(void **state) {
    (void)state;
    static const char *const texts[] = {"192.0.2.1", "0.0.0.0", "::", "2001:db8::1",
                                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    char text[IP_TEXT_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct ip of = ip(texts[i]);
        ip_format(&of, text);
        assert_string_equal(text, texts[i]);
    }
    const struct ip mapped = ip("::ffff:192.0.2.1");
    ip_format(&mapped, text);
    assert_string_equal(text, "192.0.2.1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses), cmocka_unit_test(bad_addresses),
        cmocka_unit_test(of_a_socket),    cmocka_unit_test(loopback),
        cmocka_unit_test(subscribers),    cmocka_unit_test(ranges),
        cmocka_unit_test(bad_ranges),     cmocka_unit_test(as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
