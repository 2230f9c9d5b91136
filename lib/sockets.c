/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 256 };

struct epoll_sockets {
    struct sockets sockets;
    int epoll_fd;
};

static int epoll_of(const struct sockets *sockets) {
    return CONTAINER_OF(sockets, const struct epoll_sockets, sockets)->epoll_fd;
}

static int control(const struct sockets *sockets, int fd, void *owner, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = owner};
    int epoll_fd = epoll_of(sockets);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    if (errno != EEXIST) return -errno;
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : -errno;
}

static int watch(struct sockets *sockets, int fd, void *owner, bool wants_room) {
    uint32_t room = wants_room ? EPOLLOUT : 0;
    return control(sockets, fd, owner, EPOLLIN | EPOLLRDHUP | EPOLLET | room);
}

static int watch_level(struct sockets *sockets, int fd, void *owner) {
    return control(sockets, fd, owner, EPOLLIN);
}

static void forget(struct sockets *sockets, int fd) {
    epoll_ctl(epoll_of(sockets), EPOLL_CTL_DEL, fd, NULL);
}

/* A broken connection tells so to whoever reads or writes. */
static unsigned what_of(uint32_t events) {
    bool is_broken = (events & (EPOLLHUP | EPOLLERR)) != 0;
    return (is_broken || (events & EPOLLIN) != 0 ? SOCKET_READABLE : 0u) |
           (is_broken || (events & EPOLLOUT) != 0 ? SOCKET_WRITABLE : 0u) |
           (is_broken || (events & EPOLLRDHUP) != 0 ? SOCKET_ENDED : 0u);
}

static int wait(struct sockets *sockets, int timeout_ms, struct socket_event *events, int max) {
    struct epoll_event found[EVENTS_AT_ONCE];
    int count = epoll_wait(epoll_of(sockets), found, max < EVENTS_AT_ONCE ? max : EVENTS_AT_ONCE,
                           timeout_ms);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++)
        events[i] = (struct socket_event){found[i].data.ptr, what_of(found[i].events)};
    return count;
}

static int connect_socket(struct sockets *sockets, const struct sockaddr *address,
                          socklen_t bytes) {
    (void)sockets;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, address, bytes) == 0 || errno == EINPROGRESS) return fd;
    int code = -errno;
    close(fd);
    return code;
}

static ssize_t receive(struct sockets *sockets, int fd, void *to, size_t bytes) {
    (void)sockets;
    ssize_t n;
    do n = recv(fd, to, bytes, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static ssize_t send_bytes(struct sockets *sockets, int fd, const void *from, size_t bytes) {
    (void)sockets;
    ssize_t n;
    do n = send(fd, from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static bool has_unread(struct sockets *sockets, int fd) {
    (void)sockets;
    int bytes = 0;
    return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

static int shut(struct sockets *sockets, int fd) {
    (void)sockets;
    return shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
}

static void close_socket(struct sockets *sockets, int fd) {
    (void)sockets;
    close(fd); /* which the set forgets: nothing else has this file open */
}

static void free_sockets(struct sockets *sockets) {
    close(epoll_of(sockets));
    free(CONTAINER_OF(sockets, struct epoll_sockets, sockets));
}

static const struct sockets_ops ops = {
    .watch = watch,
    .watch_level = watch_level,
    .forget = forget,
    .wait = wait,
    .connect = connect_socket,
    .receive = receive,
    .send = send_bytes,
    .has_unread = has_unread,
    .shut = shut,
    .close = close_socket,
    .free = free_sockets,
};

struct sockets *sockets_system_new(void) {
    struct epoll_sockets *made = malloc(sizeof *made);
    if (made == NULL) return NULL;
    *made = (struct epoll_sockets){.sockets.ops = &ops, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (made->epoll_fd >= 0) return &made->sockets;
    free(made);
    return NULL;
}
