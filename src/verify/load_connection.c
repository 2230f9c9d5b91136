/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOURCES_PER_NET = 250, NETS = 256 };

void load_connection_init(struct load_connection *connection, uint32_t index,
                          struct load_sent *ring, uint32_t places) {
    *connection =
        (struct load_connection){.fd = -1, .index = index, .ring = ring, .places = places};
}

void load_connection_deinit(struct load_connection *connection) {
    load_connection_close(connection);
}

/* Each connection from an address of its own, as many people's are: limits by address see them so. */
static int bind_source(int fd, uint32_t index) {
    uint32_t address = UINT32_C(0x7f010000) | (index / SOURCES_PER_NET) % NETS << 8 |
                       (index % SOURCES_PER_NET + 1);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    int on = 1;
    /* The port is chosen at connect, when the whole 4-tuple is known. */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, (const struct sockaddr *)&in, sizeof in) == 0 ? 0 : -errno;
}

static int begin_connect(int fd, uint32_t index, const struct sockaddr *address,
                         socklen_t address_bytes, bool spreads) {
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return -errno;
    int failed = spreads ? bind_source(fd, index) : 0;
    if (failed != 0) return failed;
    if (connect(fd, address, address_bytes) != 0 && errno != EINPROGRESS) return -errno;
    return 0;
}

int load_connection_open(struct load_connection *connection, const struct sockaddr *address,
                         socklen_t address_bytes, bool spreads, int epoll_fd, uint64_t now_ns) {
    ASSERT(connection->state == CONNECTION_CLOSED);
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int failed = begin_connect(fd, connection->index, address, address_bytes, spreads);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = connection};
    if (failed == 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) failed = -errno;
    if (failed != 0) {
        close(fd);
        return failed;
    }
    connection->fd = fd;
    connection->state = CONNECTION_CONNECTING;
    connection->opened_ns = now_ns;
    return 0;
}

int load_connection_finish_open(struct load_connection *connection) {
    int failed = 0;
    socklen_t bytes = sizeof failed;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &failed, &bytes) != 0) return -errno;
    if (failed != 0) return -failed;
    connection->state = CONNECTION_OPEN;
    return 0;
}

static void drop_rest(struct load_connection *connection) {
    free(connection->rest);
    connection->rest = NULL;
    connection->rest_at = connection->rest_bytes = 0;
}

static void drop_part(struct load_connection *connection) {
    free(connection->part);
    connection->part = NULL;
    connection->part_bytes = 0;
}

void load_connection_close(struct load_connection *connection) {
    if (connection->fd >= 0) close(connection->fd);
    connection->fd = -1;
    connection->state = CONNECTION_CLOSED;
    drop_rest(connection);
    drop_part(connection);
}

/* How many bytes the socket took, or a negative errno. */
static ptrdiff_t send_some(int fd, const char *p, size_t n) {
    ssize_t sent;
    do sent = send(fd, p, n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

static int keep_rest(struct load_connection *connection, struct slice bytes) {
    size_t left = connection->rest_bytes - connection->rest_at;
    char *rest = malloc(left + bytes.n);
    if (rest == NULL) return -ENOMEM;
    if (connection->rest != NULL) memcpy(rest, connection->rest + connection->rest_at, left);
    memcpy(rest + left, bytes.p, bytes.n);
    drop_rest(connection);
    connection->rest = rest;
    connection->rest_bytes = left + bytes.n;
    return 0;
}

int load_connection_write(struct load_connection *connection, struct slice bytes) {
    if (connection->rest != NULL) return keep_rest(connection, bytes);
    ptrdiff_t sent = send_some(connection->fd, bytes.p, bytes.n);
    if (sent < 0) return (int)sent;
    if (LIKELY((size_t)sent == bytes.n)) return 0;
    return keep_rest(connection, slice_of(bytes.p + sent, bytes.n - (size_t)sent));
}

int load_connection_write_rest(struct load_connection *connection) {
    if (LIKELY(connection->rest == NULL)) return 0;
    ptrdiff_t sent = send_some(connection->fd, connection->rest + connection->rest_at,
                               connection->rest_bytes - connection->rest_at);
    if (sent < 0) return (int)sent;
    connection->rest_at += (size_t)sent;
    if (connection->rest_at == connection->rest_bytes) drop_rest(connection);
    return 0;
}

ptrdiff_t load_connection_read(struct load_connection *connection, char *room, size_t room_bytes,
                               enum connection_read *how) {
    size_t kept = connection->part_bytes;
    ASSERT(kept < room_bytes);
    if (kept > 0) {
        memcpy(room, connection->part, kept);
        drop_part(connection);
    }
    ssize_t got;
    do got = recv(connection->fd, room + kept, room_bytes - kept, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) return -errno;
        *how = READ_DRAINED;
        return (ptrdiff_t)kept;
    }
    *how = got == 0 ? READ_END : (size_t)got < room_bytes - kept ? READ_SOME : READ_FULL;
    return (ptrdiff_t)kept + got;
}

int load_connection_keep(struct load_connection *connection, struct slice part) {
    ASSERT(connection->part == NULL);
    if (part.n == 0) return 0;
    connection->part = malloc(part.n);
    if (connection->part == NULL) return -ENOMEM;
    memcpy(connection->part, part.p, part.n);
    connection->part_bytes = part.n;
    return 0;
}
