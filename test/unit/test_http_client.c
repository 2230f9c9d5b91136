/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against a server that says exactly what the test wants, in the pieces it wants.
 */
#include "lib/http/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "fake/one_shot_server.h"
#include "lib/base.h"

struct server {
    struct one_shot one;
    struct http_url url;
};

static void start(struct server *server, const char *answer) {
    struct err err;
    char url[64];
    one_shot_start(&server->one, answer);
    snprintf(url, sizeof url, "http://127.0.0.1:%s/base", server->one.port);
    assert_int_equal(http_url_parse(&server->url, url, &err), 0);
}

/* What a call came to. */
struct answer {
    int result;
    int status;
    struct buf body;
    struct err err;
};

static struct answer call_with(struct server *server, struct http_call call, size_t bytes_max) {
    struct answer answer = {0};
    buf_init(&answer.body, bytes_max);
    if (call.method == NULL) call.method = "GET";
    if (call.path == NULL) call.path = "/x";
    if (call.timeout_ms == 0) call.timeout_ms = 5000;
    answer.result =
        http_client_call(&server->url, &call, &answer.status, &answer.body, &answer.err);
    one_shot_stop(&server->one);
    return answer;
}

static struct answer call_get(struct server *server, const char *answer) {
    start(server, answer);
    return call_with(server, (struct http_call){0}, 1000);
}

static void expect_answer(const char *bytes, int status, const char *body) {
    for (size_t piece = 1; piece <= strlen(bytes); piece += 7) {
        struct server server = {.one.piece_bytes = piece};
        struct answer answer = call_get(&server, bytes);
        if (answer.result != 0) fail_msg("%s", answer.err.text);
        assert_int_equal(answer.status, status);
        assert_true(slice_eq(buf_slice(&answer.body), slice_str(body)));
        buf_deinit(&answer.body);
    }
}

static void expect_failure(const char *bytes, int result, const char *sentence) {
    struct server server = {0};
    struct answer answer = call_get(&server, bytes);
    assert_int_equal(answer.result, result);
    if (strstr(answer.err.text, sentence) == NULL) fail_msg("%s", answer.err.text);
    buf_deinit(&answer.body);
}

static void test_content_length(void **state) {
    (void)state;
    expect_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    expect_answer("HTTP/1.1 409\r\ncontent-length:0\r\n\r\n", 409, "");
    expect_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\nx",
                  201, "x");
    expect_answer("HTTP/1.1 204 None\r\n\r\n", 204, "");
    expect_answer("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi and more", 200, "hi");
}

static void test_chunked(void **state) {
    (void)state;
    expect_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
                  "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nT: x\r\n\r\n",
                  200, "hello world");
    expect_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "");
}

static void test_until_close(void **state) {
    (void)state;
    expect_answer("HTTP/1.0 200 OK\r\n\r\nall of this", 200, "all of this");
    expect_answer("HTTP/1.1 500 Oops\r\n\r\n", 500, "");
}

static void test_cut_short(void **state) {
    (void)state;
    expect_failure("", -EPIPE, "without an answer");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Le", -EPIPE, "cut short");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", -EPIPE, "cut short");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", -EPIPE,
                   "cut short");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", -EPIPE,
                   "cut short");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", -EPIPE,
                   "cut short");
}

static void test_not_http(void **state) {
    (void)state;
    expect_failure("SSH-2.0-x\r\n", -EPROTO, "status line");
    expect_failure("HTTP/2.0 200 OK\r\n", -EPROTO, "status line");
    expect_failure("HTTP/1.1 2x0 OK\r\n", -EPROTO, "not a number");
    expect_failure("HTTP/1.1 200 OK\r\nnothing\r\n", -EPROTO, "no colon");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", -EPROTO, "length");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", -EPROTO,
                   "two lengths");
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                   -EPROTO, "chunked");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -EPROTO, "coding");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", -EPROTO, "size");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", -EPROTO,
                   "longer");
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
                   -EPROTO, "too large");
}

static void test_endless_head(void **state) {
    (void)state;
    struct server server = {.one.repeats = 30};
    char line[1000];
    memset(line, 'a', sizeof line);
    server.one.answer_bytes = sizeof line;
    struct answer answer = call_get(&server, line);
    assert_int_equal(answer.result, -EPROTO);
    struct server many = {.one.repeats = 1001};
    buf_deinit(&answer.body);
    start(&many, "HTTP/1.1 103 Early\r\n\r\n");
    answer = call_with(&many, (struct http_call){0}, 1000);
    assert_int_equal(answer.result, -EPROTO);
    buf_deinit(&answer.body);
}

static void test_request_as_sent(void **state) {
    (void)state;
    struct server server = {0};
    start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct answer answer = call_with(
        &server,
        (struct http_call){
            .method = "POST", .path = "/y?z=1", .bearer = "secret", .body = SLICE("{\"a\":1}")},
        1000);
    assert_int_equal(answer.result, 0);
    char expected[512];
    snprintf(expected, sizeof expected,
             "POST /base/y?z=1 HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n"
             "Accept: */*\r\nAuthorization: Bearer secret\r\nContent-Type: application/json\r\n"
             "Content-Length: 7\r\n\r\n{\"a\":1}",
             server.url.port);
    assert_string_equal(server.one.request, expected);
    buf_deinit(&answer.body);
}

static void test_nothing_can_be_smuggled(void **state) {
    (void)state;
    static const struct http_call calls[] = {
        {.bearer = "a\r\nX: y"}, {.path = "/a b"}, {.path = "/a\n"}, {.method = "GET /"}};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        struct server server = {0};
        start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        struct answer answer = call_with(&server, calls[i], 1000);
        assert_int_equal(answer.result, -EINVAL);
        assert_int_equal(server.one.request_bytes, 0);
    }
}

static void test_slow_but_alive(void **state) {
    (void)state;
    struct server server = {.one.piece_bytes = 10, .one.pause_ms = 30};
    start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
                   "0123456789012345678901234567890123456789");
    struct answer answer = call_with(&server, (struct http_call){.timeout_ms = 500}, 1000);
    assert_int_equal(answer.result, 0);
    assert_int_equal(answer.body.n, 40);
    buf_deinit(&answer.body);
}

static void test_silent(void **state) {
    (void)state;
    struct server server = {.one.is_deaf = true};
    start(&server, "x");
    struct answer answer = call_with(&server, (struct http_call){.timeout_ms = 50}, 1000);
    assert_int_equal(answer.result, -ETIMEDOUT);
    assert_non_null(strstr(answer.err.text, "in time"));
}

static void test_refused(void **state) {
    (void)state;
    struct server server = {.one.is_deaf = true};
    start(&server, "x");
    one_shot_stop(&server.one); /* the port is free again */
    const struct http_call call = {.method = "GET", .path = "/", .timeout_ms = 1000};
    struct err err;
    struct buf out;
    int status;
    buf_init(&out, 10);
    assert_int_equal(http_client_call(&server.url, &call, &status, &out, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.text, "cannot connect to http://127.0.0.1:"));
    assert_non_null(strstr(err.text, server.url.port));
}

struct sink {
    uint64_t bytes;
    uint64_t stop_at;
};

static int count_bytes(void *ctx, struct slice piece) {
    struct sink *sink = ctx;
    sink->bytes += piece.n;
    return sink->bytes >= sink->stop_at ? 1 : 0;
}

enum { BLOCK_BYTES = 65536, BLOCKS = 1000 };

/* "10000\r\n", 64 KiB, "\r\n": a chunk that can be repeated. */
static char *large_chunk(size_t *bytes) {
    char *chunk = malloc(BLOCK_BYTES + 9);
    assert_non_null(chunk);
    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, 'x', BLOCK_BYTES);
    memcpy(chunk + 7 + BLOCK_BYTES, "\r\n", 2);
    *bytes = BLOCK_BYTES + 9;
    return chunk;
}

/* 64 MB go through without being kept. */
static void test_huge_is_streamed(void **state) {
    (void)state;
    struct server server = {.one.repeats = 1};
    size_t chunk_bytes;
    char *chunk = large_chunk(&chunk_bytes);
    const char *head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    char *all = malloc(strlen(head) + chunk_bytes * BLOCKS + 5);
    assert_non_null(all);
    memcpy(all, head, strlen(head));
    for (size_t i = 0; i < BLOCKS; i++)
        memcpy(all + strlen(head) + i * chunk_bytes, chunk, chunk_bytes);
    memcpy(all + strlen(head) + BLOCKS * chunk_bytes, "0\r\n\r\n", 5);
    server.one.answer_bytes = strlen(head) + chunk_bytes * BLOCKS + 5;
    start(&server, all);
    struct sink sink = {.stop_at = UINT64_MAX};
    struct answer answer =
        call_with(&server, (struct http_call){.on_body = count_bytes, .ctx = &sink}, 10);
    assert_int_equal(answer.result, 0);
    assert_int_equal(sink.bytes, (uint64_t)BLOCK_BYTES * BLOCKS);
    assert_int_equal(answer.body.n, 0);
    free(all);
    free(chunk);
}

static void test_too_large_for_the_buffer(void **state) {
    (void)state;
    struct server server = {0};
    start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901");
    struct answer answer = call_with(&server, (struct http_call){0}, 10);
    assert_int_equal(answer.result, -EMSGSIZE);
    buf_deinit(&answer.body);
}

static void test_reader_of_the_body_may_stop(void **state) {
    (void)state;
    struct server server = {0};
    struct sink sink = {.stop_at = 1};
    start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    struct answer answer =
        call_with(&server, (struct http_call){.on_body = count_bytes, .ctx = &sink}, 10);
    assert_int_equal(answer.result, -ECANCELED);
}

static void test_other_statuses_go_to_the_buffer(void **state) {
    (void)state;
    struct server server = {0};
    struct sink sink = {.stop_at = 1};
    start(&server, "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nabc");
    struct answer answer =
        call_with(&server, (struct http_call){.on_body = count_bytes, .ctx = &sink}, 10);
    assert_int_equal(answer.result, 0);
    assert_int_equal(answer.status, 404);
    assert_true(slice_eq(buf_slice(&answer.body), SLICE("abc")));
    buf_deinit(&answer.body);
}

static void test_urls(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *port, *path;
    } cases[] = {
        {"http://a", "a", "80", ""},
        {"HTTP://a.b:8080/", "a.b", "8080", ""},
        {"http://127.0.0.1:1/x/y/", "127.0.0.1", "1", "/x/y"},
        {"http://[::1]:65535/x", "::1", "65535", "/x"},
        {"http://[::1]", "::1", "80", ""},
        {"https://a", NULL, NULL, NULL},
        {"a:80", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
        {"http://", NULL, NULL, NULL},
        {"http://:80", NULL, NULL, NULL},
        {"http://a:", NULL, NULL, NULL},
        {"http://a:0", NULL, NULL, NULL},
        {"http://a:65536", NULL, NULL, NULL},
        {"http://a:123456", NULL, NULL, NULL},
        {"http://a:80x", NULL, NULL, NULL},
        {"http://u@a", NULL, NULL, NULL},
        {"http://[::1", NULL, NULL, NULL},
        {"http://[]", NULL, NULL, NULL},
        {"http://a b", NULL, NULL, NULL},
        {"http://a/b c", NULL, NULL, NULL},
        {"http://a/b?c", NULL, NULL, NULL},
        {"http://a?c", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url url;
        struct err err = {0};
        const int result = http_url_parse(&url, cases[i].text, &err);
        if ((result == 0) != (cases[i].host != NULL)) fail_msg("%s", cases[i].text);
        if (result != 0) {
            assert_int_equal(result, -EINVAL);
            assert_true(strlen(err.text) > 10);
            continue;
        }
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.port, cases[i].port);
        assert_string_equal(url.path, cases[i].path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_until_close),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_not_http),
        cmocka_unit_test(test_endless_head),
        cmocka_unit_test(test_request_as_sent),
        cmocka_unit_test(test_nothing_can_be_smuggled),
        cmocka_unit_test(test_slow_but_alive),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_huge_is_streamed),
        cmocka_unit_test(test_too_large_for_the_buffer),
        cmocka_unit_test(test_reader_of_the_body_may_stop),
        cmocka_unit_test(test_other_statuses_go_to_the_buffer),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
