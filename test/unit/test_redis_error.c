/* SPDX-License-Identifier: Apache-2.0
 *
 * What error replies mean, and how redirects are read.
 */
#include "lib/redis/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void every_error_has_its_class(void **state) {
    (void)state;
    /* As Redis 7.0 says them. */
    static const struct {
        const char *text;
        enum redis_error_kind kind;
        enum redis_remedy remedy;
        bool may_have_run, is_map_old;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", REDIS_ERROR_MOVED, REDIS_FOLLOW, false, true},
        {"ASK 3999 127.0.0.1:6381", REDIS_ERROR_ASK, REDIS_ASK, false, false},
        {"TRYAGAIN Multiple keys request during rehashing of slot", REDIS_ERROR_TRYAGAIN,
         REDIS_LATER, false, false},
        {"CLUSTERDOWN Hash slot not served", REDIS_ERROR_CLUSTERDOWN, REDIS_LATER, false, true},
        {"CLUSTERDOWN The cluster is down", REDIS_ERROR_CLUSTERDOWN, REDIS_LATER, false, true},
        {"LOADING Redis is loading the dataset in memory", REDIS_ERROR_LOADING, REDIS_LATER, false,
         true},
        {"READONLY You can't write against a read only replica. script: 5f, on @user_script:3.",
         REDIS_ERROR_READONLY, REDIS_LATER, false, true},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
         REDIS_ERROR_MASTERDOWN, REDIS_LATER, false, true},
        {"MISCONF Errors writing to the AOF file: No space left on device", REDIS_ERROR_MISCONF,
         REDIS_LATER, false, true},
        {"NOSCRIPT No matching script. Please use EVAL.", REDIS_ERROR_NOSCRIPT, REDIS_LOAD, false,
         false},
        {"BUSY Redis is busy running a script.", REDIS_ERROR_BUSY, REDIS_LATER, false, false},
        {"NOREPLICAS Not enough good replicas to write.", REDIS_ERROR_NOREPLICAS, REDIS_LATER,
         false, false},
        {"OOM command not allowed when used memory > 'maxmemory'.", REDIS_ERROR_OOM, REDIS_LATER,
         false, false},
        {"UNBLOCKED force unblock from blocking operation", REDIS_ERROR_UNBLOCKED, REDIS_LATER,
         true, true},
        {"CROSSSLOT Keys in request don't hash to the same slot", REDIS_ERROR_CROSSSLOT, REDIS_END,
         false, false},
        {"NOAUTH Authentication required.", REDIS_ERROR_NOAUTH, REDIS_END, false, false},
        {"NOPERM this user has no permissions to run the 'get' command", REDIS_ERROR_NOPERM,
         REDIS_END, true, false},
        {"WRONGPASS invalid username-password pair or user is disabled.", REDIS_ERROR_WRONGPASS,
         REDIS_END, false, false},
        {"ERR unknown command 'foo'", REDIS_ERROR_OTHER, REDIS_END, true, false},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", REDIS_ERROR_OTHER,
         REDIS_END, true, false},
        {"", REDIS_ERROR_OTHER, REDIS_END, true, false},
        {"MOVEDX 1 127.0.0.1:1", REDIS_ERROR_OTHER, REDIS_END, true, false},
        {" MOVED", REDIS_ERROR_OTHER, REDIS_END, true, false},
        {"moved 1 127.0.0.1:1", REDIS_ERROR_OTHER, REDIS_END, true, false},
        {"OOM", REDIS_ERROR_OOM, REDIS_LATER, false, false},
    };
    bool seen[REDIS_ERRORS_COUNT] = {false};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct redis_error_class *class = redis_error_class(slice_str(rows[i].text));
        if (class->kind != rows[i].kind || class->remedy != rows[i].remedy ||
            class->may_have_run != rows[i].may_have_run || class->is_map_old != rows[i].is_map_old)
            fail_msg("%s", rows[i].text);
        seen[class->kind] = true;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) assert_true(seen[i]);
    assert_int_equal(redis_error_class(slice_of(NULL, 0))->kind, REDIS_ERROR_OTHER);
}

static const struct redis_address from = {"10.0.0.9", 7009};

static void assert_redirect(const char *text, unsigned slot, const char *host, uint16_t port) {
    struct redis_redirect redirect;
    if (!redis_redirect_read(slice_str(text), &from, &redirect)) fail_msg("%s was refused", text);
    assert_int_equal(redirect.slot, slot);
    assert_string_equal(redirect.to.host, host);
    assert_int_equal(redirect.to.port, port);
}

static void redirects_are_read(void **state) {
    (void)state;
    assert_redirect("MOVED 3999 127.0.0.1:6381", 3999, "127.0.0.1", 6381);
    assert_redirect("ASK 0 127.0.0.1:1", 0, "127.0.0.1", 1);
    assert_redirect("MOVED 16383 ::1:65535", 16383, "::1", 65535);
    assert_redirect("MOVED 5 2001:0db8:0::1:7000", 5, "2001:db8::1", 7000);
    assert_redirect("MOVED 5 :7000", 5, "10.0.0.9", 7000);
    assert_redirect("MOVED 5 127.0.0.1:7000 and more", 5, "127.0.0.1", 7000);
}

/* Each in memory of its own, so that a step over its end is seen. */
static void what_is_no_redirect_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "MOVED",
        "MOVED ",
        "MOVED 1",
        "MOVED 1 ",
        "MOVED 16384 127.0.0.1:1",
        "MOVED -1 127.0.0.1:1",
        "MOVED 99999 127.0.0.1:1",
        "MOVED 000001 127.0.0.1:1",
        "MOVED x 127.0.0.1:1",
        "MOVED 1 127.0.0.1",
        "MOVED 1 127.0.0.1:",
        "MOVED 1 127.0.0.1:0",
        "MOVED 1 127.0.0.1:65536",
        "MOVED 1 127.0.0.1:99999999999999999999",
        "MOVED 1 127.0.0.1:+1",
        "MOVED 1 node-7:7000",
        "MOVED 1 127.0.0.1.5:1",
        "MOVED  1 127.0.0.1:1",
        "TRYAGAIN 1 127.0.0.1:1",
        "ASK",
        "MOVED 1 0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct redis_redirect redirect;
        size_t n = strlen(bad[i]);
        char *copy = malloc(n + (n == 0));
        assert_non_null(copy);
        memcpy(copy, bad[i], n);
        if (redis_redirect_read(slice_of(copy, n), &from, &redirect))
            fail_msg("%s was accepted", bad[i]);
        free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_class),
        cmocka_unit_test(redirects_are_read),
        cmocka_unit_test(what_is_no_redirect_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
