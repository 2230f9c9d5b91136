/* SPDX-License-Identifier: Apache-2.0 */
#include "api/monitor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    struct monitor *monitor;
    struct sockaddr_in address;
    int status;
};

static int write_page(void *ctx, struct buf *out) {
    const struct bench *bench = ctx;
    buf_add_text(out, "{\"a\":1}");
    return bench->status;
}

static int write_much(void *ctx, struct buf *out) {
    (void)ctx;
    (void)buf_reserve(out, MONITOR_PAGE_BYTES_MAX + 1);
    return 200;
}

static const struct monitor_page pages[] = {{"/page", "application/json", write_page},
                                            {"/much", "text/plain", write_much}};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t bytes = sizeof bench->address;
    bench->status = 200;
    bench->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&bench->address, bytes), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bench->address, &bytes), 0);
    bench->monitor = monitor_start(fd, pages, ARRAY_LEN(pages), bench);
    assert_non_null(bench->monitor);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    monitor_stop(bench->monitor);
    monitor_stop(NULL);
    free(bench);
    return 0;
}

static int connect_to(const struct bench *bench) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&bench->address, sizeof bench->address),
                     0);
    return fd;
}

/* All that is answered, until the other side closes. */
static void ask(const struct bench *bench, const char *request, char answer[4096]) {
    int fd = connect_to(bench);
    size_t n = 0;
    /* Byte by byte: a request may come in pieces. */
    for (const char *p = request; *p != '\0'; p++) assert_int_equal(write(fd, p, 1), 1);
    for (ssize_t more; (more = read(fd, answer + n, 4095 - n)) > 0;) n += (size_t)more;
    answer[n] = '\0';
    close(fd);
}

static void answers(void **state) {
    struct bench *bench = *state;
    char answer[4096];
    ask(bench, "GET /page?x HTTP/1.1\r\nHost: h\r\n\r\n", answer);
    assert_ptr_equal(strstr(answer, "HTTP/1.1 200 OK\r\n"), answer);
    assert_non_null(strstr(answer, "Content-Length: 7\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\n{\"a\":1}"));
    ask(bench, "HEAD /page HTTP/1.1\r\nHost: h\r\n\r\n", answer);
    assert_non_null(strstr(answer, "Content-Length: 7\r\n"));
    assert_null(strstr(answer, "{"));
    bench->status = 503;
    ask(bench, "GET /page HTTP/1.0\r\n\r\n", answer);
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    assert_non_null(strstr(answer, "Retry-After: 2\r\n"));
}

static void refusals(void **state) {
    struct bench *bench = *state;
    char answer[4096];
    ask(bench, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n", answer);
    assert_non_null(strstr(answer, "HTTP/1.1 404 "));
    ask(bench, "POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", answer);
    assert_non_null(strstr(answer, "HTTP/1.1 405 "));
    assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
    ask(bench, "GET /page HTTP/1.1\r\n\r\n", answer);
    assert_non_null(strstr(answer, "\"code\":\"missing_host\""));
    ask(bench, "GET /much HTTP/1.1\r\nHost: h\r\n\r\n", answer);
    assert_non_null(strstr(answer, "\"code\":\"no_memory\""));
}

/* Whoever says nothing is left, and the next one answered. */
static void silence(void **state) {
    struct bench *bench = *state;
    char answer[4096], byte;
    int fd = connect_to(bench);
    assert_int_equal(write(fd, "GET /pa", 7), 7);
    ask(bench, "GET /page HTTP/1.1\r\nHost: h\r\n\r\n", answer);
    assert_non_null(strstr(answer, "200 OK"));
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(answers), TEST(refusals), TEST(silence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
