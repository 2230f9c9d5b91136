/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, good and bad, whole and in pieces. Every row of the table is fed at once, cut in two at
 * every byte, and byte by byte: the answer must not depend on it.
 */
#include "lib/http/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"

/* Small, so that a row can pass each of them. */
static const struct http_limits small = {
    .request_line_bytes = 64, .headers_bytes = 160, .headers_count = 6, .body_bytes = 32};

static const struct http_limits usual = {
    .request_line_bytes = 8192, .headers_bytes = 16384, .headers_count = 100, .body_bytes = 4096};

enum { DONE = 0, MORE = -1 };

struct row {
    struct slice bytes;
    int status; /* DONE, MORE, or that of the refusal */
    const char *code;
    const char *body; /* when it is not empty */
    size_t behind;    /* bytes of the row that are of the next request */
};

#define ROW(text, ...)                                                                             \
    { {"" text, sizeof(text) - 1}, __VA_ARGS__ }
#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define TEN "0123456789"

static const struct row rows[] = {
    /* good ones */
    ROW(GET HOST "\r\n", DONE),
    ROW("GET /a/b?c=d&e?f HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW("GET / HTTP/1.0\r\n\r\n", DONE),
    ROW("GET / HTTP/1.9\r\n" HOST "\r\n", DONE),
    ROW("\r\n" GET HOST "\r\n", DONE),
    ROW("\r\n\r\n" GET HOST "\r\n", DONE),
    ROW("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW("GET http://a:80/x?y HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW("GET HTTPS://a HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW("GET http://[::1]:80?x HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW("OPTIONS http://a HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW("BREW! / HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW(GET "Host:a\r\n\r\n", DONE),
    ROW(GET "hOST: \t a \t \r\n\r\n", DONE),
    ROW(GET "Host: 127.0.0.1:8080\r\n\r\n", DONE),
    ROW(GET "Host: [::1]:8080\r\n\r\n", DONE),
    ROW(GET "Host: a:\r\n\r\n", DONE),
    ROW(GET HOST "X:\r\n\r\n", DONE),
    ROW(GET HOST "X: \r\n\r\n", DONE),
    ROW(GET HOST "X: a\tb \xc3\xa9\r\n\r\n", DONE),
    ROW(GET HOST "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n", DONE),
    ROW(GET HOST "\r\nGET", DONE, .behind = 3),
    ROW(POST "Content-Length: 5\r\n\r\nhello", DONE, .body = "hello"),
    ROW(POST "Content-Length: 5\r\n\r\nhelloGET", DONE, .body = "hello", .behind = 3),
    ROW(POST "Content-Length: 0\r\n\r\n", DONE),
    ROW(POST "content-length:0000000005\r\n\r\nhello", DONE, .body = "hello"),
    ROW(POST "Content-Length: 32\r\n\r\n" TEN TEN TEN "12", DONE, .body = TEN TEN TEN "12"),
    ROW(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na", DONE, .body = "a"),
    ROW(CHUNKED "5\r\nhello\r\n0\r\n\r\n", DONE, .body = "hello"),
    ROW(CHUNKED "0\r\n\r\nGET", DONE, .behind = 3),
    ROW(POST "tRANSFER-eNCODING:CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", DONE, .body = "a"),
    ROW(CHUNKED "1\r\na\r\n2\r\nbc\r\n003\r\ndef\r\n00\r\n\r\nGET", DONE, .body = "abcdef",
        .behind = 3),
    ROW(CHUNKED "a\r\n" TEN "\r\nA\r\n" TEN "\r\n0\r\n\r\n", DONE, .body = TEN TEN),
    ROW(CHUNKED "5;a=b;c=\"d\tx\"\r\nhello\r\n0;last\r\n\r\n", DONE, .body = "hello"),
    ROW(CHUNKED "5\r\nhello\r\n0\r\nTrailer: x\r\nContent-Length: 7\r\n\r\n", DONE,
        .body = "hello"),
    ROW(CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\n", DONE, .body = "\r\n\r\n"),
    ROW(CHUNKED "20\r\n" TEN TEN TEN "12\r\n0\r\n\r\n", DONE, .body = TEN TEN TEN "12"),
    /* cut short */
    ROW("", MORE),
    ROW("\r", MORE),
    ROW("\r\n\r\n", MORE),
    ROW("GET / HTTP/1.1", MORE),
    ROW(GET, MORE),
    ROW(GET HOST "\r", MORE),
    ROW(GET HOST "X", MORE),
    ROW(POST "Content-Length: 5\r\n\r\nhell", MORE),
    ROW(CHUNKED "5\r\nhello\r\n0\r\n\r", MORE),
    ROW(CHUNKED "5\r\nhello\r\n0\r\nX: 1\r\n", MORE),
    /* line ends and control bytes */
    ROW("GET / HTTP/1.1\n" HOST "\r\n", 400, "bad_line_end"),
    ROW("GET / HTTP/1.1\rHost: a\r\n\r\n", 400, "bad_line_end"),
    ROW("GET /\r HTTP/1.1\r\n" HOST "\r\n", 400, "bad_line_end"),
    ROW(GET "Host: a\n\r\n", 400, "bad_line_end"),
    ROW(GET "Host: a\n\n", 400, "bad_line_end"),
    ROW(GET "Host: a\r\r\n\r\n", 400, "bad_line_end"),
    ROW(GET HOST "X: a\rb\r\n\r\n", 400, "bad_line_end"),
    ROW(GET HOST "X\r: a\r\n\r\n", 400, "bad_line_end"),
    ROW(GET HOST "Content\rLength: 5\r\n\r\n", 400, "bad_line_end"),
    ROW(GET HOST "\rX", 400, "bad_line_end"),
    ROW(GET HOST "\n", 400, "bad_line_end"),
    ROW("\n" GET HOST "\r\n", 400, "bad_line_end"),
    ROW("\r\n\r\n\r\n" GET HOST "\r\n", 400, "empty_lines"),
    ROW(GET HOST "X: a\0b\r\n\r\n", 400, "control_byte"),
    ROW(GET HOST "X: a\x01\r\n\r\n", 400, "control_byte"),
    ROW(GET HOST "X: a\x7f\r\n\r\n", 400, "control_byte"),
    ROW(GET HOST "X\0: a\r\n\r\n", 400, "control_byte"),
    ROW(GET HOST "X\x7f: a\r\n\r\n", 400, "control_byte"),
    ROW("GET /\0 HTTP/1.1\r\n" HOST "\r\n", 400, "control_byte"),
    ROW("GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400, "control_byte"),
    ROW("\x16\x03\x01\x02", 400, "control_byte"), /* TLS */
    /* request line */
    ROW(" GET / HTTP/1.1\r\n" HOST "\r\n", 400, "bad_method"),
    ROW("G(T / HTTP/1.1\r\n" HOST "\r\n", 400, "bad_method"),
    ROW("GET\r\n" HOST "\r\n", 400, "bad_method"),
    ROW("GET /\r\n" HOST "\r\n", 400, "bad_request_line"),
    ROW("GET \r\n" HOST "\r\n", 400, "bad_request_line"),
    ROW("GET  HTTP/1.1\r\n" HOST "\r\n", 400, "bad_request_line"),
    ROW("GET  / HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET /  HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET /a b HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET / HTTP/1.1 \r\n" HOST "\r\n", 400, "bad_request_line"),
    ROW("GET /a?b#c HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET /a#c HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET /?\xff HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET a/b HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET * HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("OPTIONS *? HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET http:///x HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", 400, "bad_target"),
    ROW("GET / HTTP/1.10\r\n" HOST "\r\n", 400, "bad_version"),
    ROW("GET / http/1.1\r\n" HOST "\r\n", 400, "bad_version"),
    ROW("GET / HTTP/1,1\r\n" HOST "\r\n", 400, "bad_version"),
    ROW("GET / HTTP/1.x\r\n" HOST "\r\n", 400, "bad_version"),
    ROW("GET / HTTP/x.1\r\n" HOST "\r\n", 400, "bad_version"),
    ROW("GET / HTTP/2.0\r\n" HOST "\r\n", 505, "unsupported_version"),
    ROW("GET / HTTP/0.9\r\n\r\n", 505, "unsupported_version"),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported_version"),
    /* fields */
    ROW(GET " Host: a\r\n\r\n", 400, "folded_field"),
    ROW(GET HOST "X: a\r\n b\r\n\r\n", 400, "folded_field"),
    ROW(GET HOST "X: a\r\n\tb: c\r\n\r\n", 400, "folded_field"),
    ROW(GET HOST " \r\n\r\n", 400, "folded_field"),
    ROW(GET "Host : a\r\n\r\n", 400, "space_in_field_name"),
    ROW(GET "Host\t: a\r\n\r\n", 400, "space_in_field_name"),
    ROW(GET HOST "A B: c\r\n\r\n", 400, "space_in_field_name"),
    ROW(GET HOST ": a\r\n\r\n", 400, "bad_field_name"),
    ROW(GET HOST "nothing\r\n\r\n", 400, "bad_field_name"),
    ROW(GET HOST "a(b): c\r\n\r\n", 400, "bad_field_name"),
    ROW(GET HOST "\xc3\xa9: c\r\n\r\n", 400, "bad_field_name"),
    ROW(GET HOST "Content-Type: a\r\nContent-Type: a\r\n\r\n", 400, "repeated_field"),
    ROW(GET HOST "Content-Type:\r\nContent-Type:\r\n\r\n", 400, "repeated_field"),
    ROW(GET HOST "Authorization: a\r\nAuthorization: a\r\n\r\n", 400, "repeated_field"),
    ROW(GET HOST "Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n", 400, "repeated_field"),
    ROW(GET HOST "Origin: a\r\nOrigin: a\r\n\r\n", 400, "repeated_field"),
    ROW(GET HOST "Sec-Fetch-Site: a\r\nsec-fetch-site: a\r\n\r\n", 400, "repeated_field"),
    ROW(GET HOST "X-Request-Id: a\r\nX-Request-Id: a\r\n\r\n", 400, "repeated_field"),
    ROW(GET HOST "traceparent: a\r\nTraceparent: a\r\n\r\n", 400, "repeated_field"),
    ROW(GET "\r\n", 400, "missing_host"),
    ROW(GET "Hosta: a\r\n\r\n", 400, "missing_host"),
    ROW(GET HOST HOST "\r\n", 400, "repeated_host"),
    ROW("GET / HTTP/1.0\r\n" HOST "host: b\r\n\r\n", 400, "repeated_host"),
    ROW(GET "Host:\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: a b\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: a,b\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: a/b\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: a:80x\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: a:123456\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: :80\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: [::1\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: []\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: [::1]a\r\n\r\n", 400, "bad_host"),
    ROW(GET "Host: \xc3\xa9\r\n\r\n", 400, "bad_host"),
    /* framing */
    ROW(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, "repeated_length"),
    ROW(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "repeated_length"),
    ROW(POST "Content-Length: 5, 5\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length: +5\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length: -5\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length: 0x5\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length: 5 5\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length:\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length: 18446744073709551621\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length: 00000000000000000005\r\n\r\n", 400, "bad_length"),
    ROW(POST "Content-Length: 33\r\n\r\n", 413, "body_too_large"),
    ROW(POST "Content-Length: 9999999999999999999\r\n", 413, "body_too_large"),
    ROW(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "conflicting_length"),
    ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, "conflicting_length"),
    ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400, "conflicting_length"),
    ROW(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding: chunked,\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding: xchunked\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding: identity\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding:\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
        "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Transfer-Encoding : chunked\r\n\r\n", 400, "space_in_field_name"),
    ROW(POST "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n",
        400, "control_byte"),
    ROW("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "unknown_transfer_coding"),
    ROW(POST "Expect: 200-ok\r\n\r\n", 417, "unknown_expectation"),
    ROW(POST "Expect:\r\n\r\n", 417, "unknown_expectation"),
    /* limits */
    ROW("GET /" TEN TEN TEN TEN TEN TEN, 414, "request_line_too_long"),
    ROW("GET /" TEN TEN TEN TEN TEN " HTTP/1.1\r\n" HOST "\r\n", DONE),
    ROW("GET /" TEN TEN TEN TEN TEN "1 HTTP/1.1\r\n" HOST "\r\n", 414, "request_line_too_long"),
    ROW(GET HOST "X: " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456\r\n\r\n",
        DONE),
    ROW(GET HOST "X: " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567\r\n\r\n",
        431, "fields_too_large"),
    ROW(GET HOST TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN, 431,
        "fields_too_large"),
    ROW(GET HOST "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\nF", 431, "too_many_fields"),
    /* chunks */
    ROW(CHUNKED "\r\n", 400, "bad_chunk"),
    ROW(CHUNKED ";a\r\n", 400, "bad_chunk"),
    ROW(CHUNKED "g\r\n", 400, "bad_chunk"),
    ROW(CHUNKED "0x5\r\nhello", 400, "bad_chunk"),
    ROW(CHUNKED "+5\r\nhello", 400, "bad_chunk"),
    ROW(CHUNKED "-1\r\n", 400, "bad_chunk"),
    ROW(CHUNKED " 5\r\nhello", 400, "bad_chunk"),
    ROW(CHUNKED "5 \r\nhello", 400, "bad_chunk"),
    ROW(CHUNKED "5\t;a\r\nhello", 400, "bad_chunk"),
    ROW(CHUNKED "5\nhello\r\n", 400, "bad_chunk"),
    ROW(CHUNKED "5\rhello\r\n", 400, "bad_line_end"),
    ROW(CHUNKED "5;a\nhello\r\n", 400, "bad_line_end"),
    ROW(CHUNKED "5;a\rb\r\nhello\r\n", 400, "bad_line_end"),
    ROW(CHUNKED "5;a\0b\r\nhello\r\n", 400, "control_byte"),
    ROW(CHUNKED "5\r\nhelloX", 400, "bad_chunk"),
    ROW(CHUNKED "5\r\nhello\n", 400, "bad_chunk"),
    ROW(CHUNKED "5\r\nhello\rX", 400, "bad_chunk"),
    ROW(CHUNKED "5\r\nhello!\r\n0\r\n\r\n", 400, "bad_chunk"),
    ROW(CHUNKED "21\r\n", 413, "body_too_large"),
    ROW(CHUNKED "ffffffffffffffff1\r\n", 413, "body_too_large"),
    ROW(CHUNKED "10000000000000005\r\nhello", 413, "body_too_large"),
    ROW(CHUNKED "1e\r\n" TEN TEN TEN "\r\n3", 413, "body_too_large"),
    ROW(CHUNKED "0\r\nX : y\r\n\r\n", 400, "space_in_field_name"),
    ROW(CHUNKED "0\r\n X: y\r\n\r\n", 400, "folded_field"),
    ROW(CHUNKED "0\r\nX(: y\r\n\r\n", 400, "bad_field_name"),
    ROW(CHUNKED "0\r\nX: y\n\r\n", 400, "bad_line_end"),
    ROW(CHUNKED "0\r\nX: \0\r\n\r\n", 400, "control_byte"),
    ROW(CHUNKED "0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\n", 431, "too_many_fields"),
};

/* What came of some bytes. */
struct outcome {
    enum http_parse result;
    struct http_refusal refusal;
    size_t used_bytes; /* head and body, when DONE */
    size_t body_bytes;
    char body[4096];
};

/* One reader of one connection: `n` grows from call to call. */
struct feed {
    char *bytes;
    struct http_progress progress;
    const struct http_limits *limits;
};

/* Gives the first `n` bytes of `whole`, in memory of exactly that size. */
static struct outcome offer(struct feed *feed, struct slice whole, size_t n) {
    struct outcome outcome = {0};
    struct http_request request;
    size_t head_bytes, body_bytes;
    struct slice body;
    char *bytes = malloc(n + (n == 0));
    assert_non_null(bytes);
    memcpy(bytes, whole.p, n);
    outcome.result = http_parse_head(slice_of(bytes, n), feed->limits, &feed->progress, &request,
                                     &head_bytes, &outcome.refusal);
    if (outcome.result == HTTP_PARSE_DONE) {
        outcome.result = http_parse_body(bytes + head_bytes, n - head_bytes, feed->limits, &request,
                                         &body, &body_bytes, &outcome.refusal);
    }
    if (outcome.result != HTTP_PARSE_DONE) assert_memory_equal(bytes, whole.p, n);
    if (outcome.result == HTTP_PARSE_DONE) {
        outcome.used_bytes = head_bytes + body_bytes;
        outcome.body_bytes = body.n;
        assert_true(body.n <= sizeof outcome.body);
        memcpy(outcome.body, body.p, body.n);
        assert_memory_equal(bytes + outcome.used_bytes, whole.p + outcome.used_bytes,
                            n - outcome.used_bytes);
    }
    free(bytes);
    return outcome;
}

static void print_row(const struct row *row, size_t cut) {
    print_message("row %zu, cut at %zu: ", (size_t)(row - rows), cut);
    for (size_t i = 0; i < row->bytes.n; i++) {
        const unsigned char c = (unsigned char)row->bytes.p[i];
        if (c >= 0x20 && c < 0x7f)
            print_message("%c", c);
        else
            print_message("\\x%02x", c);
    }
    print_message("\n");
}

static bool is_expected(const struct row *row, const struct outcome *outcome) {
    const char *body = row->body == NULL ? "" : row->body;
    switch (outcome->result) {
    case HTTP_PARSE_MORE:
        return row->status == MORE;
    case HTTP_PARSE_DONE:
        return row->status == DONE && outcome->used_bytes == row->bytes.n - row->behind &&
               slice_eq(slice_of(outcome->body, outcome->body_bytes), slice_str(body));
    case HTTP_PARSE_BAD:
        return row->status == outcome->refusal.status &&
               strcmp(row->code, outcome->refusal.code) == 0 && outcome->refusal.text[0] != '\0';
    }
    return false;
}

/* A piece may be enough to know the answer, but then it is the answer. */
static bool is_premature(const struct row *row, const struct outcome *outcome) {
    return outcome->result == HTTP_PARSE_MORE || is_expected(row, outcome);
}

static void check(const struct row *row, size_t cut, struct outcome outcome, bool is_whole) {
    if (is_whole ? is_expected(row, &outcome) : is_premature(row, &outcome)) return;
    print_row(row, cut);
    fail_msg("result %d, status %d, code %s, used %zu, body %zu", outcome.result,
             outcome.refusal.status, outcome.refusal.code == NULL ? "" : outcome.refusal.code,
             outcome.used_bytes, outcome.body_bytes);
}

static void test_rows_whole(void **state) {
    (void)state;
    for (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++) {
        struct feed feed = {.limits = &small};
        check(row, 0, offer(&feed, row->bytes, row->bytes.n), true);
    }
}

static void test_rows_cut_in_two(void **state) {
    (void)state;
    for (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++) {
        for (size_t cut = 0; cut < row->bytes.n; cut++) {
            struct feed feed = {.limits = &small};
            const struct outcome first = offer(&feed, row->bytes, cut);
            check(row, cut, first, false);
            if (first.result == HTTP_PARSE_MORE)
                check(row, cut, offer(&feed, row->bytes, row->bytes.n), true);
        }
    }
}

/* Of short rows every pair of cuts. */
static void test_rows_cut_in_three(void **state) {
    (void)state;
    for (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++) {
        for (size_t first = 0; row->bytes.n <= 72 && first < row->bytes.n; first++) {
            for (size_t second = first + 1; second < row->bytes.n; second++) {
                struct feed feed = {.limits = &small};
                const struct outcome one = offer(&feed, row->bytes, first);
                check(row, first, one, false);
                if (one.result != HTTP_PARSE_MORE) break;
                const struct outcome two = offer(&feed, row->bytes, second);
                check(row, second, two, false);
                if (two.result == HTTP_PARSE_MORE)
                    check(row, second, offer(&feed, row->bytes, row->bytes.n), true);
            }
        }
    }
}

static void test_rows_byte_by_byte(void **state) {
    (void)state;
    for (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++) {
        struct feed feed = {.limits = &small};
        struct outcome outcome = {.result = HTTP_PARSE_MORE};
        for (size_t n = 0; n <= row->bytes.n && outcome.result == HTTP_PARSE_MORE; n++) {
            outcome = offer(&feed, row->bytes, n);
            check(row, n, outcome, false);
        }
        check(row, row->bytes.n, outcome, true);
    }
}

/* A byte that is wrong is told as soon as it is there, not when the line ends. */
static void test_bad_bytes_at_once(void **state) {
    (void)state;
    static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: a\r\nX: \x01", "\x16", "GET /\n",
                                        "GET / HTTP/1.1\r\nHost: a\r\n\rX"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct feed feed = {.limits = &usual};
        const struct slice text = slice_str(texts[i]);
        assert_int_equal(offer(&feed, text, text.n - 1).result, HTTP_PARSE_MORE);
        assert_int_equal(offer(&feed, text, text.n).result, HTTP_PARSE_BAD);
    }
}

static struct http_request read_good(const char *text) {
    struct http_request request;
    struct http_progress progress = {0};
    struct http_refusal refusal;
    size_t head_bytes;
    assert_int_equal(
        http_parse_head(slice_str(text), &usual, &progress, &request, &head_bytes, &refusal),
        HTTP_PARSE_DONE);
    assert_int_equal(head_bytes, strlen(text));
    return request;
}

static void assert_slice(struct slice slice, const char *text) {
    if (!slice_eq(slice, slice_str(text)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)slice.n, slice.p, text);
}

static void test_request_is_filled(void **state) {
    (void)state;
    const struct http_request r = read_good(
        "POST /api/v1/x%20y?a=b?c HTTP/1.1\r\nHOST: example.org:8080\r\n"
        "Content-Type: application/json\r\nAuthorization:Bearer abc \r\nidempotency-key: k-1\r\n"
        "Cookie: a=1\r\nCookie: b=2\r\nOrigin: https://x\r\nAccept: a/b\r\nACCEPT: */*\r\n"
        "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\nX-Request-ID: r\r\n"
        "X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\nSec-Fetch-Site: same-origin\r\n"
        "TraceParent: 00-1-2-03\r\nExpect: 100-continue\r\nContent-Length: 4096\r\n\r\n");
    assert_int_equal(r.method, HTTP_POST);
    assert_slice(r.method_text, "POST");
    assert_slice(r.target, "/api/v1/x%20y?a=b?c");
    assert_slice(r.path, "/api/v1/x%20y");
    assert_slice(r.query, "a=b?c");
    assert_int_equal(r.minor_version, 1);
    assert_true(r.keep_alive && r.expects_continue && r.has_body && !r.is_chunked);
    assert_int_equal(r.content_bytes, 4096);
    assert_slice(r.content_type, "application/json");
    assert_slice(r.authorization, "Bearer abc");
    assert_slice(r.idempotency_key, "k-1");
    assert_slice(r.cookie, "b=2");
    assert_slice(r.origin, "https://x");
    assert_slice(r.accept, "*/*");
    assert_slice(r.x_forwarded_for[0], "2.2.2.2, 3.3.3.3");
    assert_slice(r.x_forwarded_for[1], "1.1.1.1");
    assert_null(r.x_forwarded_for[2].p);
    assert_slice(r.x_forwarded_proto, "https");
    assert_slice(r.sec_fetch_site, "same-origin");
    assert_slice(r.host, "example.org:8080");
    assert_slice(r.x_request_id, "r");
    assert_slice(r.traceparent, "00-1-2-03");
}

static void test_the_last_lines_of_forwarded_for_are_kept(void **state) {
    (void)state;
    const struct http_request r = read_good(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\n"
        "X-Forwarded-For:\r\nX-Forwarded-For: 4\r\nX-Forwarded-For: 5\r\n\r\n");
    assert_slice(r.x_forwarded_for[0], "5");
    assert_slice(r.x_forwarded_for[1], "4");
    assert_slice(r.x_forwarded_for[2], "");
    assert_slice(r.x_forwarded_for[3], "2");
}

static void test_absent_fields_are_null(void **state) {
    (void)state;
    const struct http_request r = read_good("GET / HTTP/1.1\r\nHost: a\r\nOrigin:\r\n\r\n");
    assert_null(r.content_type.p);
    assert_null(r.authorization.p);
    assert_null(r.idempotency_key.p);
    assert_null(r.cookie.p);
    assert_non_null(r.origin.p);
    assert_int_equal(r.origin.n, 0);
    assert_int_equal(r.query.n, 0);
    assert_true(!r.has_body && !r.is_chunked && !r.expects_continue);
}

static void test_methods(void **state) {
    (void)state;
    static const char *const names[] = {"GET",    "HEAD",    "POST",  "PUT",
                                        "DELETE", "OPTIONS", "PATCH", "get"};
    static_assert(ARRAY_LEN(names) == HTTP_OTHER + 1, "a name for each method");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char text[64];
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", names[i]);
        assert_int_equal(read_good(text).method, i);
    }
    assert_int_equal(read_good("PUSH / HTTP/1.0\r\n\r\n").method, HTTP_OTHER);
    assert_int_equal(read_good("TRACE / HTTP/1.0\r\n\r\n").method, HTTP_OTHER);
    assert_int_equal(read_good("DELETF / HTTP/1.0\r\n\r\n").method, HTTP_OTHER);
    assert_int_equal(read_good("PROPFIND / HTTP/1.0\r\n\r\n").method, HTTP_OTHER);
    assert_int_equal(read_good("OPTIONZ / HTTP/1.0\r\n\r\n").method, HTTP_OTHER);
}

static void test_absolute_targets(void **state) {
    (void)state;
    struct http_request r = read_good("GET http://a:1/x/y?z HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_slice(r.path, "/x/y");
    assert_slice(r.query, "z");
    assert_slice(r.target, "http://a:1/x/y?z");
    assert_slice(read_good("GET https://a HTTP/1.1\r\nHost: b\r\n\r\n").path, "/");
    r = read_good("GET http://a?q HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_slice(r.path, "/");
    assert_slice(r.query, "q");
    assert_slice(read_good("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n").path, "*");
    assert_slice(read_good("OPTIONS http://a HTTP/1.1\r\nHost: b\r\n\r\n").path, "*");
}

static void test_keep_alive(void **state) {
    (void)state;
    static const struct {
        const char *version, *fields;
        bool keep_alive;
    } cases[] = {
        {"1.1", "", true},
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "connection: Close\r\n", false},
        {"1.1", "Connection: keep-alive, close\r\n", false},
        {"1.1", "Connection: close\r\nConnection: keep-alive\r\n", false},
        {"1.1", "Connection: keep-alive\r\nConnection: x ,\tclose\r\n", false},
        {"1.1", "Connection: closed\r\n", true},
        {"1.1", "Connection:\r\n", true},
        {"1.1", "Connection: ,, ,\r\n", true},
        {"1.9", "", true},
        {"1.0", "", false},
        {"1.0", "Connection: Keep-Alive\r\n", true},
        {"1.0", "Connection: upgrade, keep-alive\r\n", true},
        {"1.0", "Connection: keep-alive,close\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[128];
        snprintf(text, sizeof text, "GET / HTTP/%s\r\nHost: a\r\n%s\r\n", cases[i].version,
                 cases[i].fields);
        assert_int_equal(read_good(text).keep_alive, cases[i].keep_alive);
    }
}

static void test_expectations(void **state) {
    (void)state;
    assert_false(
        read_good("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").expects_continue);
    assert_false(read_good("GET / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
                     .expects_continue);
    assert_true(read_good("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                          "Expect: 100-continue\r\n\r\n")
                    .expects_continue);
}

/* A request of `n` times `filler` between two texts, read under the usual limits. */
static int status_of(const char *before, size_t n, const char *filler, const char *after) {
    const size_t filler_bytes = strlen(filler);
    const size_t bytes_max = strlen(before) + n * filler_bytes + strlen(after);
    char *bytes = malloc(bytes_max);
    assert_non_null(bytes);
    char *p = bytes;
    memcpy(p, before, strlen(before));
    p += strlen(before);
    for (size_t i = 0; i < n; i++, p += filler_bytes) memcpy(p, filler, filler_bytes);
    memcpy(p, after, strlen(after));
    struct feed feed = {.limits = &usual};
    const struct outcome outcome = offer(&feed, slice_of(bytes, bytes_max), bytes_max);
    free(bytes);
    return outcome.result == HTTP_PARSE_MORE ? MORE : outcome.refusal.status;
}

static void test_usual_limits(void **state) {
    (void)state;
    const char *host = " HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(status_of("GET /", 8192 - 14, "a", host), DONE);
    assert_int_equal(status_of("GET /", 8192 - 13, "a", host), 414);
    assert_int_equal(status_of("GET /", 8192 - 5, "a", ""), MORE);
    assert_int_equal(status_of("GET /", 8192 - 4, "a", ""), 414);
    assert_int_equal(status_of(GET HOST, 99, "A: b\r\n", "\r\n"), DONE);
    assert_int_equal(status_of(GET HOST, 99, "A: b\r\n", "\r"), MORE);
    assert_int_equal(status_of(GET HOST, 99, "A: b\r\n", "A"), 431);
    assert_int_equal(status_of(GET HOST "X: ", 16384 - 9 - 5, "a", "\r\n\r\n"), DONE);
    assert_int_equal(status_of(GET HOST "X: ", 16384 - 9 - 4, "a", "\r\n\r\n"), 431);
    assert_int_equal(status_of(GET HOST "X: ", 16384 - 9 - 3, "a", ""), MORE);
    assert_int_equal(status_of(GET HOST "X: ", 16384 - 9 - 2, "a", ""), 431);
    assert_int_equal(status_of(CHUNKED, 853, "1\r\na\r\n", "0\r\n\r\n"), DONE);
    assert_int_equal(status_of(CHUNKED, 4096, "1\r\na\r\n", "0\r\n\r\n"), 413);
    assert_int_equal(status_of(CHUNKED "0;", 5118, "a", "\r\n\r\n"), DONE);
    assert_int_equal(status_of(CHUNKED "0;", 5119, "a", ""), 413);
    assert_int_equal(status_of(CHUNKED, 6000, "0", ""), 413);
    assert_int_equal(status_of(CHUNKED "0\r\n", 101, "A: b\r\n", "\r\n"), 431);
    assert_int_equal(status_of(CHUNKED "0\r\nX: ", 16384, "a", ""), 431);
}

static void test_percent_decode(void **state) {
    (void)state;
    static const struct {
        const char *text, *decoded; /* NULL: refused */
    } cases[] = {
        {"", ""},      {"abc", "abc"},   {"a%20b", "a b"},       {"%41%7a%7A", "Azz"},
        {"+", "+"},    {"%2F", "/"},     {"%c3%A9", "\xc3\xa9"}, {"%", NULL},
        {"%4", NULL},  {"%4g", NULL},    {"%g4", NULL},          {"a%", NULL},
        {"%00", NULL}, {"%25%32", "%2"}, {"%-1", NULL},          {"%1", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[32];
        const ptrdiff_t n = http_percent_decode(slice_str(cases[i].text), out);
        if (cases[i].decoded == NULL)
            assert_int_equal(n, -1);
        else
            assert_true(n >= 0 && slice_eq(slice_of(out, (size_t)n), slice_str(cases[i].decoded)));
    }
}

static void test_is_json(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_json;
    } cases[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json;charset=utf-8", true},
        {"application/json ; Charset=\"UTF-8\"", true},
        {"application/json; x=y; charset=utf-8", true},
        {"application/json; x=\"a;\\\"charset=z\"", true},
        {"application/json;", true},
        {"application/json;;", true},
        {"application/json; charset=latin1", false},
        {"application/json; charset=utf-8; charset=utf-16", false},
        {"application/json; charset=utf-88", false},
        {"application/json; charset", false},
        {"application/json; charset=", false},
        {"application/json; =x", false},
        {"application/json; charset=\"utf-8", false},
        {"application/json; charset=\"utf-8\\", false},
        {"application/json; charset=utf-8 x", false},
        {"application/jsonx", false},
        {"application/json+x", false},
        {"application/problem+json", false},
        {"text/json", false},
        {"application/jso", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (http_is_json(slice_str(cases[i].text)) != cases[i].is_json)
            fail_msg("%s", cases[i].text);
    assert_false(http_is_json((struct slice){NULL, 0}));
}

int main(void) {
    static_assert(ARRAY_LEN(rows) >= 80, "a table worth its name");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_whole),        cmocka_unit_test(test_rows_cut_in_two),
        cmocka_unit_test(test_rows_byte_by_byte), cmocka_unit_test(test_bad_bytes_at_once),
        cmocka_unit_test(test_request_is_filled), cmocka_unit_test(test_the_last_lines_of_forwarded_for_are_kept),
        cmocka_unit_test(test_absent_fields_are_null),
        cmocka_unit_test(test_methods),           cmocka_unit_test(test_absolute_targets),
        cmocka_unit_test(test_keep_alive),        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_usual_limits),      cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_is_json),           cmocka_unit_test(test_rows_cut_in_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
