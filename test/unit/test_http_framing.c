/* SPDX-License-Identifier: Apache-2.0
 *
 * What arrives in pieces means what it means whole. Pipelines of requests, and every input of the
 * fuzz corpus, are read as a connection reads them: in one piece, cut at every byte, cut at every
 * pair of bytes where they are short, and byte by byte. Of each request the method, the path, the
 * content and the place of the next one must be the same, and so must the refusal that ends it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"
#include "lib/crc32c.h"
#include "lib/http/request.h"

enum { BYTES_MAX = 4096, PAIRS_BYTES_MAX = 160, NOT_YET = 0xaa };

/* As in the fuzz target whose corpus is read: short inputs pass each of them. */
static const struct http_limits limits = {
    .request_line_bytes = 200, .headers_bytes = 400, .headers_count = 10, .body_bytes = 64};

/* Everything that was read, in one number. */
struct transcript {
    uint32_t digest;
    size_t requests;
};

/* A connection: what has come lies in front of bytes that mean nothing. */
struct reader {
    char bytes[BYTES_MAX];
    size_t given, at;
    struct http_progress progress;
    struct transcript transcript;
    bool is_over;
};

static void note(struct reader *reader, const void *bytes, size_t n) {
    reader->transcript.digest = crc32c(reader->transcript.digest, &n, sizeof n);
    if (n > 0) reader->transcript.digest = crc32c(reader->transcript.digest, bytes, n);
}

static void note_request(struct reader *reader, const struct http_request *request,
                         struct slice body) {
    note(reader, request->method_text.p, request->method_text.n);
    note(reader, request->path.p, request->path.n);
    note(reader, &request->keep_alive, sizeof request->keep_alive);
    note(reader, body.p, body.n);
    note(reader, &reader->at, sizeof reader->at);
    reader->transcript.requests++;
}

/* Reads one request, if all of it has come. */
static bool read_one(struct reader *reader) {
    char *start = reader->bytes + reader->at;
    const size_t n = reader->given - reader->at;
    struct http_request request;
    struct http_refusal refusal;
    struct slice body;
    size_t head_bytes, body_bytes;
    enum http_parse result = http_parse_head(slice_of(start, n), &limits, &reader->progress,
                                             &request, &head_bytes, &refusal);
    if (result == HTTP_PARSE_DONE)
        result = http_parse_body(start + head_bytes, n - head_bytes, &limits, &request, &body,
                                 &body_bytes, &refusal);
    if (result == HTTP_PARSE_BAD) {
        note(reader, refusal.code, strlen(refusal.code));
        reader->is_over = true;
    }
    if (result != HTTP_PARSE_DONE) return false;
    reader->at += head_bytes + body_bytes;
    reader->progress = (struct http_progress){0};
    note_request(reader, &request, body);
    return true;
}

/* The bytes up to `end` have come. */
static void give(struct reader *reader, struct slice all, size_t end) {
    if (reader->is_over) return;
    memcpy(reader->bytes + reader->given, all.p + reader->given, end - reader->given);
    reader->given = end;
    while (!reader->is_over && read_one(reader)) continue;
}

/* `all` in pieces that end at these places and at its end. */
static struct transcript read_cut(struct slice all, size_t first, size_t second) {
    static struct reader reader;
    memset(&reader, 0, sizeof reader);
    memset(reader.bytes, NOT_YET, all.n);
    give(&reader, all, first);
    give(&reader, all, second);
    give(&reader, all, all.n);
    return reader.transcript;
}

static struct transcript read_byte_by_byte(struct slice all) {
    static struct reader reader;
    memset(&reader, 0, sizeof reader);
    memset(reader.bytes, NOT_YET, all.n);
    for (size_t end = 1; end <= all.n; end++) give(&reader, all, end);
    return reader.transcript;
}

static void expect_same(struct transcript whole, struct transcript cut, const char *name,
                        size_t first, size_t second) {
    if (whole.digest == cut.digest && whole.requests == cut.requests) return;
    fail_msg("%s, cut at %zu and %zu: %zu requests instead of %zu, or others", name, first, second,
             cut.requests, whole.requests);
}

/* How many requests there are. */
static size_t check(const char *name, struct slice all) {
    const struct transcript whole = read_cut(all, all.n, all.n);
    for (size_t cut = 0; cut < all.n; cut++)
        expect_same(whole, read_cut(all, cut, cut), name, cut, cut);
    for (size_t first = 0; all.n <= PAIRS_BYTES_MAX && first < all.n; first++)
        for (size_t second = first + 1; second < all.n; second++)
            expect_same(whole, read_cut(all, first, second), name, first, second);
    expect_same(whole, read_byte_by_byte(all), name, 0, 0);
    return whole.requests;
}

#define GET "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST /p HTTP/1.1\r\nHost: a\r\n"
#define LENGTH POST "Content-Length: 5\r\n\r\nhello"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nT: t\r\n\r\n"

static void pipelines_mean_the_same_in_pieces(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t requests;
    } rows[] = {
        {GET GET, 2},
        {"\r\n" GET "\r\n\r\n" GET, 2},
        {LENGTH LENGTH, 2},
        {LENGTH GET LENGTH, 3},
        {CHUNKED, 1},
        {CHUNKED GET, 2},
        {GET CHUNKED LENGTH CHUNKED GET, 5},
        {"GET / HTTP/1.0\r\n\r\n" GET, 2},
        {GET "GET", 1},
        {LENGTH POST "Content-Length: 5\r\n\r\nhell", 1},
        {GET "\r\n\r\n\r\n" GET, 1},
        {LENGTH "GET / HTTP/1.1\n", 1},
        {CHUNKED POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 1},
        {GET POST "Content-Length: 65\r\n\r\n", 1},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" POST "Content-Length: 0\r\n\r\n" GET,
         3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(check(rows[i].text, slice_str(rows[i].text)), rows[i].requests);
}

/* Bytes of the file, as many as there is room for. */
static size_t load(const char *folder, const char *name, char bytes[static BYTES_MAX]) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t n = fread(bytes, 1, BYTES_MAX, file);
    fclose(file);
    return n;
}

static void the_corpus_means_the_same_in_pieces(void **state) {
    (void)state;
    static char bytes[BYTES_MAX];
    const char *folder = getenv("FUZZ_CORPUS");
    assert_non_null(folder);
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    size_t inputs = 0, requests = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        requests += check(entry->d_name, slice_of(bytes, load(folder, entry->d_name, bytes)));
        inputs++;
    }
    closedir(directory);
    assert_true(inputs >= 50 && requests >= 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelines_mean_the_same_in_pieces),
        cmocka_unit_test(the_corpus_means_the_same_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
