/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared requests: what is written is whole, framed right, and names the user it is for.
 */
#include "verify/load_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/bearer_fixture.h"
#include "lib/bearer.h"

static const char *init(struct request_kit *kit, const char *event, const char *prefix,
                        uint32_t users) {
    static struct err err;
    err = (struct err){0};
    int failed = request_kit_init(kit, "127.0.0.1:8080", event, prefix, users, NULL, &err);
    assert_int_equal(failed == 0, err.text[0] == '\0');
    return err.text;
}

static void a_claim_is_what_the_contract_asks_for(void **state) {
    (void)state;
    struct request_kit kit;
    assert_string_equal(init(&kit, "E-1", "user-", 1000000), "");
    char out[REQUEST_BYTES_MAX + 1];
    size_t n = request_write(&kit, REQUEST_CLAIM, 1234, out);
    out[n] = '\0';
    assert_string_equal(out, "POST /api/v1/coupons/issue HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
                             "Content-Type: application/json\r\nContent-Length: 42\r\n\r\n"
                             "{\"user_id\":\"user-001234\",\"event_id\":\"E-1\"}");
    n = request_write(&kit, REQUEST_QUERY, 999999, out);
    out[n] = '\0';
    assert_string_equal(out, "GET /api/v1/coupons/user/user-999999/event/E-1 HTTP/1.1\r\n"
                             "Host: 127.0.0.1:8080\r\n\r\n");
}

static void every_request_is_framed_right(void **state) {
    (void)state;
    char long_prefix[64] = "", event[65] = "";
    memset(long_prefix, 'p', 54);
    memset(event, 'e', 64);
    static const uint32_t users[] = {1, 10, 11, 99999, 1000000000};
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        struct request_kit kit;
        assert_string_equal(init(&kit, event, long_prefix, users[i]), "");
        for (unsigned kind = 0; kind < REQUEST_KINDS; kind++) {
            char out[REQUEST_BYTES_MAX + 1];
            size_t n = request_write(&kit, kind, users[i] - 1, out);
            out[n] = '\0';
            const char *body = strstr(out, "\r\n\r\n") + 4;
            const char *length = strstr(out, "Content-Length: ");
            size_t announced = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
            assert_int_equal(announced, strlen(body));
            assert_int_equal(kind >= REQUEST_BAD, kit.templates[kind].expected_status != 0);
        }
    }
}

/* With a key, every request of a user has his token and differs in nothing else. */
static void a_request_carries_the_token_of_its_user(void **state) {
    (void)state;
    char path[] = "/tmp/request-XXXXXX";
    struct err err;
    struct bearer *bearer;
    int fd = mkstemp(path);
    dprintf(fd, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"" FIXTURE_SECRET_K "\"}]}");
    close(fd);
    struct load_signer *signer = load_signer_new(path, NULL, 1800000000, &err);
    assert_non_null(signer);
    assert_int_equal(bearer_new(&bearer, path, NULL, 0, &err), 0);
    unlink(path);
    struct request_kit plain, kit;
    init(&plain, "E", "u_", 1001);
    assert_int_equal(request_kit_init(&kit, "127.0.0.1:8080", "E", "u_", 1001, signer, &err), 0);
    for (unsigned kind = 0; kind < REQUEST_KINDS; kind++) {
        static const char name[] = "\r\nAuthorization: ";
        char without[REQUEST_BYTES_MAX + 1], with[REQUEST_BYTES_MAX + 1];
        without[request_write(&plain, kind, 1000, without)] = '\0';
        with[request_write(&kit, kind, 1000, with)] = '\0';
        char *field = strstr(with, name);
        assert_non_null(field);
        const char *value = field + sizeof name - 1, *end = strstr(value, "\r\n");
        struct slice text = slice_of(value, (size_t)(end - value));
        assert_int_equal(bearer_check(bearer, text, SLICE("u_1000"), 0), BEARER_GOOD);
        memmove(field, end, strlen(end) + 1);
        assert_string_equal(with, without);
    }
    bearer_unref(bearer);
    load_signer_free(signer);
}

static void a_user_id_is_read_back(void **state) {
    (void)state;
    struct request_kit kit;
    init(&kit, "E", "u_", 1001);
    static const uint32_t users[] = {0, 7, 10, 99, 100, 999, 1000};
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        char id[REQUEST_USER_ID_BYTES_MAX + 1];
        uint32_t user = 0;
        struct slice text = request_user_id(&kit, users[i], id);
        assert_int_equal(text.n, 6);
        assert_int_equal(strlen(id), 6);
        assert_true(request_user_number(&kit, text, &user));
        assert_int_equal(user, users[i]);
    }
    static const char *const others[] = {"u_000", "u_00000", "v_0000", "u_00x0", "", "u_ 001"};
    uint32_t user;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(request_user_number(&kit, slice_str(others[i]), &user));
    init(&kit, "E", "u", 4000000000);
    assert_false(request_user_number(&kit, SLICE("u9999999999"), &user));
}

static void what_cannot_be_sent_is_refused(void **state) {
    (void)state;
    struct request_kit kit;
    char long_name[66];
    memset(long_name, 'n', 65);
    long_name[65] = '\0';
    static const char *const events[] = {"", "a b", "a.b", "a\"", "é"};
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        assert_string_not_equal(init(&kit, events[i], "u", 10), "");
    assert_string_not_equal(init(&kit, long_name, "u", 10), "");
    assert_string_equal(init(&kit, long_name + 1, "u", 10), "");
    static const char *const prefixes[] = {"", "-a", ".a", "a b", "a\"", "a\\", "a/"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        assert_string_not_equal(init(&kit, "E", prefixes[i], 10), "");
    assert_string_not_equal(init(&kit, "E", long_name + 1, 10), "");
    assert_string_equal(init(&kit, "E", long_name + 2, 10), "");
    assert_string_not_equal(init(&kit, "E", long_name + 2, 11), "");
    assert_string_equal(init(&kit, "-E", "a.~:@+-", 10), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claim_is_what_the_contract_asks_for),
        cmocka_unit_test(every_request_is_framed_right),
        cmocka_unit_test(a_request_carries_the_token_of_its_user),
        cmocka_unit_test(a_user_id_is_read_back),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
