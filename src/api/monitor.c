/* SPDX-License-Identifier: Apache-2.0 */
#include "api/monitor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/http/request.h"

enum { PATIENCE_MS = 2000, REQUEST_BYTES_MAX = 8192 };

struct monitor {
    int fd, wake_fd;
    const struct monitor_page *pages;
    size_t count;
    void *ctx;
    pthread_t thread;
    struct buf body, answer;
    char request[REQUEST_BYTES_MAX];
};

/* ---- Bytes, while there is time ---- */

static int left_ms(uint64_t until_ns) {
    uint64_t now = clock_monotonic_ns(&clock_system);
    return now >= until_ns ? 0 : (int)((until_ns - now) / 1000000) + 1;
}

static bool await(int fd, short what, uint64_t until_ns) {
    struct pollfd one = {.fd = fd, .events = what};
    int ms = left_ms(until_ns);
    return ms > 0 && TEMP_FAILURE_RETRY(poll(&one, 1, ms)) == 1;
}

static void send_all(int fd, struct slice bytes, uint64_t until_ns) {
    while (bytes.n != 0 && await(fd, POLLOUT, until_ns)) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return;
        if (n > 0) bytes = slice_of(bytes.p + n, bytes.n - (size_t)n);
    }
}

/* Reads the head of a request. */
static enum http_parse receive(struct monitor *monitor, int fd, uint64_t until_ns,
                               struct http_request *request, struct http_refusal *refusal) {
    static const struct http_limits limits = {.request_line_bytes = 4096,
                                              .headers_bytes = REQUEST_BYTES_MAX,
                                              .headers_count = 64,
                                              .body_bytes = 0};
    struct http_progress progress = {0};
    size_t n = 0, head_bytes = 0;
    while (n < sizeof monitor->request && await(fd, POLLIN, until_ns)) {
        ssize_t more = recv(fd, monitor->request + n, sizeof monitor->request - n, MSG_DONTWAIT);
        if (more == 0 || (more < 0 && errno != EAGAIN && errno != EINTR)) break;
        if (more < 0) continue;
        n += (size_t)more;
        enum http_parse parse = http_parse_head(slice_of(monitor->request, n), &limits, &progress,
                                                request, &head_bytes, refusal);
        if (parse != HTTP_PARSE_MORE) return parse;
    }
    return HTTP_PARSE_MORE;
}

/* ---- Answers ---- */

static void make_answer(struct monitor *monitor, int status, const char *type, const char *fields) {
    struct buf *answer = &monitor->answer;
    answer->n = 0;
    answer->failed = false;
    buf_printf(answer,
               "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
               "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
               status, status == 200 ? "OK" : "Not so", type, monitor->body.n, fields);
}

static void make_problem(struct monitor *monitor, int status, const char *code, const char *detail,
                         const char *fields) {
    monitor->body.n = 0;
    buf_printf(&monitor->body,
               "{\"type\":\"about:blank\",\"status\":%d,\"code\":\"%s\",\"detail\":\"%s\"}", status,
               code, detail);
    make_answer(monitor, status, "application/problem+json", fields);
}

static void answer_page(struct monitor *monitor, const struct monitor_page *page) {
    monitor->body.n = 0;
    monitor->body.failed = false;
    int status = page->write(monitor->ctx, &monitor->body);
    if (monitor->body.failed)
        make_problem(monitor, 503, "no_memory", "There is no memory for this page.", "");
    else
        make_answer(monitor, status, page->type, status == 503 ? "Retry-After: 2\r\n" : "");
}

static void answer_request(struct monitor *monitor, const struct http_request *request) {
    const struct monitor_page *page = NULL;
    for (size_t i = 0; i < monitor->count; i++)
        if (slice_eq(request->path, slice_str(monitor->pages[i].path))) page = &monitor->pages[i];
    bool is_read = request->method == HTTP_GET || request->method == HTTP_HEAD;
    if (page == NULL)
        make_problem(monitor, 404, "not_found", "There is no such page.", "");
    else if (!is_read)
        make_problem(monitor, 405, "method_not_allowed", "Pages are read only.",
                     "Allow: GET, HEAD\r\n");
    else
        answer_page(monitor, page);
}

static void serve_one(struct monitor *monitor, int fd) {
    uint64_t until_ns = clock_monotonic_ns(&clock_system) + PATIENCE_MS * UINT64_C(1000000);
    struct http_request request;
    struct http_refusal refusal;
    enum http_parse parse = receive(monitor, fd, until_ns, &request, &refusal);
    if (parse == HTTP_PARSE_MORE) return;
    bool is_head = parse == HTTP_PARSE_DONE && request.method == HTTP_HEAD;
    if (parse == HTTP_PARSE_DONE)
        answer_request(monitor, &request);
    else
        make_problem(monitor, refusal.status, refusal.code, refusal.text, "");
    if (monitor->answer.failed) return;
    send_all(fd, buf_slice(&monitor->answer), until_ns);
    if (!is_head) send_all(fd, buf_slice(&monitor->body), until_ns);
    shutdown(fd, SHUT_WR);
}

static void *run(void *argument) {
    struct monitor *monitor = argument;
    for (;;) {
        struct pollfd both[] = {{.fd = monitor->fd, .events = POLLIN},
                                {.fd = monitor->wake_fd, .events = POLLIN}};
        if (TEMP_FAILURE_RETRY(poll(both, ARRAY_LEN(both), -1)) < 0) return NULL;
        if (both[1].revents != 0) return NULL;
        int fd = accept4(monitor->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            /* Out of files, as a rule: not to be asked again at once. */
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
            continue;
        }
        serve_one(monitor, fd);
        close(fd);
    }
}

/* ---- Life ---- */

static void monitor_free(struct monitor *monitor) {
    close(monitor->fd);
    if (monitor->wake_fd >= 0) close(monitor->wake_fd);
    buf_deinit(&monitor->body);
    buf_deinit(&monitor->answer);
    free(monitor);
}

struct monitor *monitor_start(int fd, const struct monitor_page *pages, size_t count, void *ctx) {
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL) {
        close(fd);
        return NULL;
    }
    monitor->fd = fd;
    monitor->pages = pages;
    monitor->count = count;
    monitor->ctx = ctx;
    buf_init(&monitor->body, MONITOR_PAGE_BYTES_MAX);
    buf_init(&monitor->answer, 4096);
    monitor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (monitor->wake_fd >= 0 && pthread_create(&monitor->thread, NULL, run, monitor) == 0)
        return monitor;
    monitor_free(monitor);
    return NULL;
}

void monitor_stop(struct monitor *monitor) {
    if (monitor == NULL) return;
    const uint64_t one = 1;
    ssize_t written = write(monitor->wake_fd, &one, sizeof one);
    ASSERT(written == sizeof one); /* a counter that was 0 has room */
    pthread_join(monitor->thread, NULL);
    monitor_free(monitor);
}
