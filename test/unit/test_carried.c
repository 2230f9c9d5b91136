/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids that come with a request: which are good, and that they outlive it.
 */
#include "api/carried.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/cors.h"
#include "api/output.h"
#include "api/reply.h"
#include "lib/base.h"
#include "lib/http/request.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define GOOD "00-" TRACE "-" PARENT "-01"
#define TEN "0123456789"

static void request_ids(void **state) {
    (void)state;
    static const char *const good[] = {"a",
                                       "Root=1-67891233-abcdef012345678912345678",
                                       TEN,
                                       "f058ebd6-02f7-4d3f-942e-904344e8cde5",
                                       "A.B_c~d:e@f+g/h=i-j",
                                       TEN TEN TEN TEN TEN TEN "1234"};
    static const char *const bad[] = {"",     "a b", "a\"b",
                                      "a\\b", "a,b", "\xc3\xa9",
                                      "a\tb", "a;b", TEN TEN TEN TEN TEN TEN "12345"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(request_id_is_valid(slice_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (request_id_is_valid(slice_str(bad[i]))) fail_msg("%s", bad[i]);
    assert_false(request_id_is_valid(slice_of(NULL, 0)));
}

static void traceparents(void **state) {
    (void)state;
    static const char *const good[] = {
        GOOD, "00-" TRACE "-" PARENT "-00", "cc-" TRACE "-" PARENT "-01",
        "cc-" TRACE "-" PARENT "-01-what-comes-later", "00-" TRACE "-" PARENT "-ff"};
    static const char *const bad[] = {"",
                                      "00",
                                      "ff-" TRACE "-" PARENT "-01",
                                      "00-00000000000000000000000000000000-" PARENT "-01",
                                      "00-" TRACE "-0000000000000000-01",
                                      GOOD "-x",
                                      GOOD "1",
                                      "cc-" TRACE "-" PARENT "-011",
                                      "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
                                      "00_" TRACE "-" PARENT "-01",
                                      "00-" TRACE "_" PARENT "-01",
                                      "00-" TRACE "-" PARENT "_01",
                                      "00-" TRACE "-" PARENT "-0",
                                      "00-" TRACE "-" PARENT "-0g",
                                      "0g-" TRACE "-" PARENT "-01",
                                      " " GOOD};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct slice found = traceparent_read(slice_str(good[i]));
        if (found.n != TRACEPARENT_BYTES || found.p != good[i]) fail_msg("%s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (traceparent_read(slice_str(bad[i])).n != 0) fail_msg("%s", bad[i]);
}

static struct carried carried_from(const char *path, const char *id, const char *trace,
                                   const char *origin, const struct origins *origins) {
    struct http_request request = {.path = slice_str(path)};
    if (id != NULL) request.x_request_id = slice_str(id);
    if (trace != NULL) request.traceparent = slice_str(trace);
    if (origin != NULL) request.origin = slice_str(origin);
    return carried_by(&request, origins);
}

static void what_is_malformed_has_not_come(void **state) {
    (void)state;
    struct carried carried = carried_from("/api/x", "a b", GOOD "x", NULL, NULL);
    assert_true(carried.request_id.n == 0 && carried.traceparent.n == 0);
    assert_true(carried_is_empty(&carried));
    carried = carried_from("/api/x", "ab", GOOD, NULL, NULL);
    assert_true(slice_eq(carried.request_id, SLICE("ab")));
    assert_true(slice_eq(carried.traceparent, SLICE(GOOD)));
    assert_false(carried_is_empty(&carried));
}

static void origins_count_for_the_api_only(void **state) {
    (void)state;
    struct origins origins, none = {0};
    struct slice bad;
    assert_true(origins_parse(SLICE("https://a.example"), &origins, &bad));
    struct carried carried = carried_from("/api/x", NULL, NULL, "https://a.example", &origins);
    assert_true(carried.is_cors && slice_eq(carried.origin, SLICE("https://a.example")));
    carried = carried_from("/api/x", NULL, NULL, "https://b.example", &origins);
    assert_true(carried.is_cors && carried.origin.n == 0);
    carried = carried_from("/api/x", NULL, NULL, NULL, &origins);
    assert_true(carried.is_cors && carried.origin.n == 0);
    static const char *const elsewhere[] = {"/health", "/api", "/api/", "*", "/metrics"};
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        carried = carried_from(elsewhere[i], NULL, NULL, "https://a.example", &origins);
        assert_true(!carried.is_cors && carried.origin.n == 0);
    }
    carried = carried_from("/api/x", NULL, NULL, "https://a.example", &none);
    assert_true(carried_is_empty(&carried));
}

static void it_outlives_the_request(void **state) {
    (void)state;
    char id[] = "id-1", trace[] = GOOD;
    struct carried_copy copy;
    carried_keep(&copy, &(struct carried){.is_cors = true,
                                          .origin = SLICE("https://a.example"),
                                          .request_id = slice_str(id),
                                          .traceparent = slice_str(trace)});
    memset(id, 'x', sizeof id - 1);
    memset(trace, 'x', sizeof trace - 1);
    struct carried carried = carried_of(&copy);
    assert_true(carried.is_cors && slice_eq(carried.origin, SLICE("https://a.example")));
    assert_true(slice_eq(carried.request_id, SLICE("id-1")));
    assert_true(slice_eq(carried.traceparent, SLICE(GOOD)));
    carried_keep(&copy, &(struct carried){0});
    carried = carried_of(&copy);
    assert_true(carried_is_empty(&carried) && carried.traceparent.n == 0);
}

/* The prewritten answer is the same whether something is carried or not, but for the lines of that.
 */
static void a_prewritten_answer_carries_it(void **state) {
    (void)state;
    struct output *out = calloc(1, sizeof *out);
    struct counter replies[6] = {{0}};
    struct sold_out_reply reply;
    assert_non_null(out);
    sold_out_reply_make(&reply, "Sun, 06 Nov 1994 08:49:37 GMT");
    out->replies = replies;
    sold_out_reply_write(out, &reply);
    assert_true(slice_eq(slice_of(out->bytes, out->n), slice_of(reply.bytes, reply.n)));
    out->n = 0;
    out->carried.request_id = SLICE("id-1");
    sold_out_reply_write(out, &reply);
    out->bytes[out->n] = '\0';
    char *line = strstr(out->bytes, "\r\nX-Request-Id: id-1\r\n\r\n{");
    assert_non_null(line);
    size_t bytes = strlen("X-Request-Id: id-1\r\n");
    memmove(line + 2, line + 2 + bytes, strlen(line + 2 + bytes) + 1);
    assert_true(slice_eq(slice_of(out->bytes, out->n - bytes), slice_of(reply.bytes, reply.n)));
    assert_true(counter_read(&replies[2]) == 2);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_ids),
        cmocka_unit_test(traceparents),
        cmocka_unit_test(what_is_malformed_has_not_come),
        cmocka_unit_test(origins_count_for_the_api_only),
        cmocka_unit_test(it_outlives_the_request),
        cmocka_unit_test(a_prewritten_answer_carries_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
