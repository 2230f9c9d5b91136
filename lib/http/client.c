/* SPDX-License-Identifier: Apache-2.0
 *
 * One blocking call: resolve, connect, send, receive, close. Sockets never block by themselves;
 * every wait is a poll(2) with the caller's time-out, which begins anew when bytes move.
 */
#include "lib/http/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/http/response.h"

enum { REQUEST_BYTES_MAX = 1 << 20, RECEIVE_BYTES = 16384 };

/* A connection and what the caller wants of it. */
struct exchange {
    int fd;
    const struct http_url *url;
    const struct http_call *call;
    struct buf *out;
    struct err *err;
};

/* 0, or a negative errno (-ETIMEDOUT when nothing happened for the time-out). */
static int wait_for(int fd, short events, int timeout_ms) {
    struct pollfd pollfd = {.fd = fd, .events = events};
    int ready;
    do ready = poll(&pollfd, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready < 0) return -errno;
    return ready == 0 ? -ETIMEDOUT : 0;
}

/* A connected socket, or a negative errno. */
static int connect_to(const struct addrinfo *address, int timeout_ms) {
    const int fd =
        socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int result = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : -errno;
    if (result == -EINPROGRESS) {
        int error = 0;
        socklen_t bytes = sizeof error;
        result = wait_for(fd, POLLOUT, timeout_ms);
        if (result == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) error = errno;
        if (result == 0) result = -error;
    }
    if (result == 0) return fd;
    close(fd);
    return result;
}

static int explain(struct exchange *exchange, int error, const char *doing) {
    const bool is_v6 = strchr(exchange->url->host, ':') != NULL;
    return err_set(exchange->err, error, "%s http://%s%s%s:%s: %s", doing, is_v6 ? "[" : "",
                   exchange->url->host, is_v6 ? "]" : "", exchange->url->port,
                   error == -ETIMEDOUT ? "no answer in time" : strerror(-error));
}

/* Tries the addresses of the host one after the other. */
static int open_connection(struct exchange *exchange) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    const int failure = getaddrinfo(exchange->url->host, exchange->url->port, &hints, &addresses);
    if (failure != 0)
        return err_set(exchange->err, -EHOSTUNREACH, "cannot find the host %s: %s",
                       exchange->url->host, gai_strerror(failure));
    int result = -EHOSTUNREACH;
    for (const struct addrinfo *a = addresses; a != NULL; a = a->ai_next) {
        result = connect_to(a, exchange->call->timeout_ms);
        if (result >= 0) break;
    }
    freeaddrinfo(addresses);
    if (result < 0) return explain(exchange, result, "cannot connect to");
    exchange->fd = result;
    return 0;
}

/* What goes into the head must not be able to end a line of it. */
static bool is_plain(const char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f) return false;
    return true;
}

static int write_request(const struct exchange *exchange, struct buf *request) {
    const struct http_call *call = exchange->call;
    const struct http_url *url = exchange->url;
    const bool is_v6 = strchr(url->host, ':') != NULL;
    if (!is_plain(call->method) || !is_plain(url->path) || !is_plain(call->path))
        return err_set(exchange->err, -EINVAL, "the path of the request has a space in it");
    if (call->bearer != NULL && !is_plain(call->bearer))
        return err_set(exchange->err, -EINVAL, "the token has a space or a line end in it");
    const bool is_root = url->path[0] == '\0' && call->path[0] == '\0';
    buf_printf(request, "%s %s%s HTTP/1.1\r\n", call->method, url->path,
               is_root ? "/" : call->path);
    buf_printf(request, is_v6 ? "Host: [%s]:%s\r\n" : "Host: %s:%s\r\n", url->host, url->port);
    buf_add_text(request, "Connection: close\r\nAccept: */*\r\n");
    if (call->bearer != NULL) buf_printf(request, "Authorization: Bearer %s\r\n", call->bearer);
    if (call->body.n > 0) buf_add_text(request, "Content-Type: application/json\r\n");
    if (call->body.n > 0 || strcmp(call->method, "POST") == 0)
        buf_printf(request, "Content-Length: %zu\r\n", call->body.n);
    buf_add_text(request, "\r\n");
    buf_add_slice(request, call->body);
    return request->failed ? err_set(exchange->err, -ENOMEM, "the request is too large") : 0;
}

static int send_bytes(struct exchange *exchange, struct slice bytes) {
    while (bytes.n > 0) {
        const ssize_t sent = send(exchange->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = slice_of(bytes.p + sent, bytes.n - (size_t)sent);
            continue;
        }
        /* A server that refuses a request early closes; its answer may still be read. */
        if (errno == EPIPE || errno == ECONNRESET) return 0;
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return explain(exchange, -errno, "cannot send to");
        const int result = wait_for(exchange->fd, POLLOUT, exchange->call->timeout_ms);
        if (result != 0) return explain(exchange, result, "cannot send to");
    }
    return 0;
}

static int send_request(struct exchange *exchange) {
    struct buf request;
    buf_init(&request, REQUEST_BYTES_MAX);
    int result = write_request(exchange, &request);
    if (result == 0) result = send_bytes(exchange, buf_slice(&request));
    buf_deinit(&request);
    return result;
}

static int on_body(void *ctx, int status, struct slice piece) {
    struct exchange *exchange = ctx;
    if (status == 200 && exchange->call->on_body != NULL) {
        const int result = exchange->call->on_body(exchange->call->ctx, piece);
        return result == 0 ? 0 : err_set(exchange->err, -ECANCELED, "stopped while receiving");
    }
    buf_add_slice(exchange->out, piece);
    if (!exchange->out->failed) return 0;
    return err_set(exchange->err, -EMSGSIZE, "the answer is larger than %zu bytes",
                   exchange->out->max);
}

/* Bytes into `piece`; 0 at the end of the connection; or a negative errno. */
static ssize_t receive_bytes(struct exchange *exchange, char piece[static RECEIVE_BYTES]) {
    for (;;) {
        const int result = wait_for(exchange->fd, POLLIN, exchange->call->timeout_ms);
        if (result != 0) return explain(exchange, result, "cannot receive from");
        const ssize_t n = recv(exchange->fd, piece, RECEIVE_BYTES, 0);
        if (n >= 0) return n;
        if (errno != EAGAIN && errno != EINTR)
            return explain(exchange, -errno, "cannot receive from");
    }
}

static int receive_answer(struct exchange *exchange, int *status) {
    struct http_response response;
    char piece[RECEIVE_BYTES];
    http_response_init(&response, strcmp(exchange->call->method, "HEAD") == 0, on_body, exchange);
    while (response.state != HTTP_RESPONSE_DONE) {
        const ssize_t n = receive_bytes(exchange, piece);
        if (n < 0) return (int)n;
        const int result =
            n == 0 ? http_response_close(&response, exchange->err)
                   : http_response_take(&response, slice_of(piece, (size_t)n), exchange->err);
        if (result != 0) return result;
    }
    *status = response.status;
    return 0;
}

int http_client_call(const struct http_url *url, const struct http_call *call, int *status,
                     struct buf *out, struct err *err) {
    struct exchange exchange = {.fd = -1, .url = url, .call = call, .out = out, .err = err};
    int result = open_connection(&exchange);
    if (result != 0) return result;
    result = send_request(&exchange);
    if (result == 0) result = receive_answer(&exchange, status);
    close(exchange.fd);
    return result;
}
