/* SPDX-License-Identifier: Apache-2.0
 *
 * The strict reader of answers: good ones whole and cut at every byte, and a table of bad ones.
 */
#include "verify/load_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOOD                                                                                       \
    "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 08:43:00 GMT\r\n"                                   \
    "content-type:application/json; charset=utf-8\r\nContent-Length: 7\r\n\r\n{\"a\":1}"

static enum answer_parse parse(const char *text, struct answer *answer, const char **problem) {
    /* A copy of exactly its size, so that the sanitizer sees a read behind it. */
    size_t n = strlen(text);
    char *copy = malloc(n + (n == 0));
    memcpy(copy, text, n);
    enum answer_parse parsed = answer_parse(slice_of(copy, n), answer, problem);
    free(copy);
    return parsed;
}

static void a_good_answer_is_read(void **state) {
    (void)state;
    struct answer answer;
    const char *problem = NULL;
    struct slice bytes = slice_str(GOOD "HTTP/1.1 200");
    assert_int_equal(answer_parse(bytes, &answer, &problem), ANSWER_DONE);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_json);
    assert_false(answer.is_problem || answer.closes || answer.is_replayed || answer.has_allow);
    assert_int_equal(answer.retry_after_s, -1);
    assert_int_equal(answer.bytes, strlen(GOOD));
    assert_true(slice_eq(answer.body, SLICE("{\"a\":1}")));
}

static void every_beginning_of_it_waits_for_more(void **state) {
    (void)state;
    for (size_t n = 0; n < strlen(GOOD); n++) {
        char *begin = strndup(GOOD, n);
        struct answer answer;
        const char *problem = NULL;
        assert_int_equal(parse(begin, &answer, &problem), ANSWER_MORE);
        free(begin);
    }
}

static void the_fields_that_matter_are_kept(void **state) {
    (void)state;
    struct answer answer;
    const char *problem = NULL;
    const char *text = "HTTP/1.1 405 \r\nConnection: x, Close\r\nRetry-After: 12\r\nAllow: POST\r\n"
                       "Idempotent-Replayed: true\r\nContent-Type: application/problem+json\r\n"
                       "Content-Length: 0\r\n\r\n";
    assert_int_equal(parse(text, &answer, &problem), ANSWER_DONE);
    assert_true(answer.closes && answer.is_problem && answer.has_allow && answer.is_replayed);
    assert_false(answer.is_json);
    assert_int_equal(answer.status, 405);
    assert_int_equal(answer.retry_after_s, 12);
    assert_int_equal(answer.body.n, 0);
    text = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nIdempotent-Replayed: false\r\n"
           "Content-Type: application/jsonx\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(parse(text, &answer, &problem), ANSWER_DONE);
    assert_false(answer.closes || answer.is_replayed || answer.is_json);
}

static void bad_answers_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.0 200 OK\r\n",
        "HTTP/2 200\r\n",
        "http/1.1 200 OK\r\n",
        "GET / HTTP/1.1\r\n",
        "\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDate: now\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 503 X\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct answer answer;
        const char *problem = NULL;
        if (parse(bad[i], &answer, &problem) != ANSWER_BAD) fail_msg("accepted: %s", bad[i]);
        assert_non_null(problem);
    }
    struct answer answer;
    const char *problem = NULL;
    struct slice nul = SLICE("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer_parse(nul, &answer, &problem), ANSWER_BAD);
}

static void a_head_without_end_is_refused(void **state) {
    (void)state;
    size_t n = ANSWER_HEAD_BYTES_MAX;
    char *text = malloc(n);
    memset(text, 'x', n);
    memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
    struct answer answer;
    const char *problem = NULL;
    assert_int_equal(answer_parse(slice_of(text, n - 1), &answer, &problem), ANSWER_MORE);
    assert_int_equal(answer_parse(slice_of(text, n), &answer, &problem), ANSWER_BAD);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_is_read),
        cmocka_unit_test(every_beginning_of_it_waits_for_more),
        cmocka_unit_test(the_fields_that_matter_are_kept),
        cmocka_unit_test(bad_answers_are_refused),
        cmocka_unit_test(a_head_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
