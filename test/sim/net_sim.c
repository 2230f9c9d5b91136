/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets, and the system calls that api/ makes on them beside lib/sockets.h.
 */
#include "sim/net_sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base.h"
#include "sim/fiber_sim.h"
#include "sim/heap_sim.h"
#include "sim/threads_sim.h"

enum { FD_LISTENERS = 2000, FD_SOCKETS = 3000, FD_SPARE = 4000, NS_IN_MS = 1000000 };

static struct net_socket sockets[NET_SIM_SOCKETS];
static struct random_sim *source;
static struct net_sim_sink sink;

void net_sim_begin(struct random_sim *random, const struct net_sim_sink *to) {
    source = random;
    sink = *to;
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++) sockets[i].is_used = false;
}

/* ---- The client's side ---- */

void net_sim_reset(void) {
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++) {
        if (sockets[i].is_used && !sockets[i].is_client_gone) sink.on_closed(sink.ctx, &sockets[i]);
        sockets[i].is_used = false;
    }
}

int net_sim_listener_fd(uint32_t listener) {
    return FD_LISTENERS + (int)listener;
}

const void *net_sim_bell(uint32_t listener) {
    return &sockets[listener];
}

/* Something has changed. */
static void edge(struct net_socket *socket) {
    socket->has_edge = true;
    threads_sim_wake(net_sim_bell(socket->listener));
}

struct net_socket *net_sim_connect(uint32_t listener) {
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++) {
        struct net_socket *socket = &sockets[i];
        if (socket->is_used) continue;
        memset(socket, 0, offsetof(struct net_socket, up));
        socket->is_used = true;
        socket->listener = listener;
        socket->room = SIZE_MAX;
        edge(socket);
        return socket;
    }
    return NULL;
}

bool net_sim_send(struct net_socket *socket, const char *bytes, size_t n) {
    if (socket->up_at == socket->up_n) socket->up_at = socket->up_n = 0;
    if (n > NET_SIM_UP_BYTES - socket->up_n) return false;
    memcpy(socket->up + socket->up_n, bytes, n);
    socket->up_n += n;
    edge(socket);
    return true;
}

void net_sim_make_room(struct net_socket *socket, size_t room) {
    bool is_more = room > socket->room;
    socket->room = room;
    if (is_more) edge(socket);
}

void net_sim_shut(struct net_socket *socket) {
    socket->is_client_shut = true;
    edge(socket);
}

void net_sim_leave(struct net_socket *socket) {
    socket->is_client_gone = true;
    edge(socket);
}

bool net_sim_is_local(const struct net_socket *socket) {
    return (socket - sockets) % 4 == 0;
}

bool net_sim_is_busy(void) {
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++)
        if (sockets[i].is_used && sockets[i].up_at < sockets[i].up_n) return true;
    return false;
}

bool net_sim_is_choked(void) {
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++)
        if (sockets[i].is_used && sockets[i].wants_room && sockets[i].room == 0) return true;
    return false;
}

/* ---- The server's side: a set of sockets ---- */

struct set {
    struct sockets sockets;
    uint32_t listener;
    int loop_fd;
    void *loop_owner, *listener_owner; /* NULL: not watched */
};

static struct set *set_of(struct sockets *base) {
    return CONTAINER_OF(base, struct set, sockets);
}

static struct net_socket *socket_of(int fd) {
    ASSERT(fd >= FD_SOCKETS && fd < FD_SOCKETS + NET_SIM_SOCKETS);
    ASSERT(sockets[fd - FD_SOCKETS].is_used); /* used after close */
    return &sockets[fd - FD_SOCKETS];
}

static int watch(struct sockets *base, int fd, void *owner, bool wants_room) {
    (void)base;
    struct net_socket *socket = socket_of(fd);
    socket->owner = owner;
    socket->wants_room = wants_room;
    socket->has_edge = true;
    return 0;
}

static int watch_level(struct sockets *base, int fd, void *owner) {
    struct set *set = set_of(base);
    if (fd == net_sim_listener_fd(set->listener)) {
        set->listener_owner = owner;
    } else {
        set->loop_fd = fd;
        set->loop_owner = owner;
    }
    return 0;
}

static void forget(struct sockets *base, int fd) {
    struct set *set = set_of(base);
    ASSERT(fd == net_sim_listener_fd(set->listener));
    set->listener_owner = NULL;
}

static bool is_in_backlog(const struct net_socket *socket, int listen_fd) {
    return socket->is_used && !socket->is_accepted &&
           listen_fd == net_sim_listener_fd(socket->listener);
}

static bool has_backlog(int listen_fd) {
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++)
        if (is_in_backlog(&sockets[i], listen_fd)) return true;
    return false;
}

/* As it is now: what an edge tells. */
static unsigned what_is(const struct net_socket *socket) {
    if (socket->is_client_gone) return SOCKET_READABLE | SOCKET_WRITABLE | SOCKET_ENDED;
    return (socket->up_at < socket->up_n || socket->is_client_shut ? SOCKET_READABLE : 0u) |
           (socket->wants_room && socket->room > 0 ? SOCKET_WRITABLE : 0u) |
           (socket->is_client_shut ? SOCKET_ENDED : 0u);
}

struct told {
    struct socket_event *events;
    int count, max;
};

/* Some are told of in a later wait only, unless there is nothing else. */
static bool tells(const struct told *told) {
    return told->count < told->max && (told->count == 0 || !random_sim_chance(source, 48));
}

static void tell(struct told *told, void *owner, unsigned what) {
    told->events[told->count++] = (struct socket_event){owner, what};
}

static void tell_sockets(const struct set *set, struct told *told) {
    size_t first = (size_t)random_sim_below(source, NET_SIM_SOCKETS);
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++) {
        struct net_socket *socket = &sockets[(first + i) % NET_SIM_SOCKETS];
        if (!socket->is_used || socket->owner == NULL || socket->listener != set->listener)
            continue;
        unsigned what = what_is(socket);
        if (!socket->has_edge || what == 0 || !tells(told)) continue;
        socket->has_edge = false;
        tell(told, socket->owner, what);
    }
}

static int tell_all(const struct set *set, struct socket_event *events, int max) {
    struct told told = {events, 0, max};
    bool has_mail = set->loop_owner != NULL && uv_sim_has_mail(set->loop_fd);
    bool is_mail_first = random_sim_chance(source, 128);
    if (has_mail && is_mail_first) tell(&told, set->loop_owner, SOCKET_READABLE);
    tell_sockets(set, &told);
    bool has_guests =
        set->listener_owner != NULL && has_backlog(net_sim_listener_fd(set->listener));
    if (has_guests && tells(&told)) tell(&told, set->listener_owner, SOCKET_READABLE);
    if (has_mail && !is_mail_first && tells(&told)) tell(&told, set->loop_owner, SOCKET_READABLE);
    return told.count;
}

static int wait(struct sockets *base, int timeout_ms, struct socket_event *events, int max) {
    const struct set *set = set_of(base);
    uint64_t until_ns =
        timeout_ms < 0 ? UINT64_MAX : threads_sim_now_ns() + (uint64_t)timeout_ms * NS_IN_MS;
    threads_sim_yield();
    for (;;) {
        int count = tell_all(set, events, max);
        if (count > 0 || until_ns <= threads_sim_now_ns()) return count;
        (void)threads_sim_wait(net_sim_bell(set->listener), until_ns);
    }
}

/* A piece of what is there, of any length, mostly all: the rest comes a moment later. */
static size_t piece_bytes(struct net_socket *socket, size_t bytes) {
    size_t n = size_min(socket->up_n - socket->up_at, bytes);
    if (n < 2 || random_sim_chance(source, 200)) return n;
    edge(socket);
    return 1 + (size_t)random_sim_below(source, n);
}

static ssize_t receive(struct sockets *base, int fd, void *to, size_t bytes) {
    (void)base;
    struct net_socket *socket = socket_of(fd);
    if (socket->is_client_gone) return -ECONNRESET;
    size_t n = piece_bytes(socket, bytes);
    if (n == 0) return socket->is_client_shut ? 0 : -EAGAIN;
    memcpy(to, socket->up + socket->up_at, n);
    socket->up_at += n;
    return (ssize_t)n;
}

static ssize_t send_bytes(struct sockets *base, int fd, const void *from, size_t bytes) {
    (void)base;
    struct net_socket *socket = socket_of(fd);
    if (socket->is_client_gone) return -EPIPE;
    size_t taken = size_min(bytes, socket->room);
    if (socket->room != SIZE_MAX) socket->room -= taken;
    if (taken == 0) return -EAGAIN;
    heap_sim_leave();
    sink.on_answer(sink.ctx, socket, from, taken);
    heap_sim_enter();
    return (ssize_t)taken;
}

static bool has_unread(struct sockets *base, int fd) {
    (void)base;
    return socket_of(fd)->up_at < socket_of(fd)->up_n;
}

static int shut(struct sockets *base, int fd) {
    (void)base;
    return socket_of(fd)->is_client_gone ? -ENOTCONN : 0;
}

static void close_socket(struct sockets *base, int fd) {
    (void)base;
    struct net_socket *socket = socket_of(fd);
    heap_sim_leave();
    if (!socket->is_client_gone) sink.on_closed(sink.ctx, socket);
    heap_sim_enter();
    socket->is_used = false;
}

static void free_set(struct sockets *base) {
    free(set_of(base));
}

struct sockets *net_sim_sockets_new(uint32_t listener) {
    static const struct sockets_ops ops = {.watch = watch,
                                           .watch_level = watch_level,
                                           .forget = forget,
                                           .wait = wait,
                                           .receive = receive,
                                           .send = send_bytes,
                                           .has_unread = has_unread,
                                           .shut = shut,
                                           .close = close_socket,
                                           .free = free_set};
    struct set *set = malloc(sizeof *set);
    if (set == NULL) return NULL;
    *set = (struct set){.sockets = {&ops}, .listener = listener};
    return &set->sockets;
}

/* ---- What libc is asked for ---- */

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t bytes, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_close(int fd);
int __real_close(int fd);

static void tell_address(const struct net_socket *socket, struct sockaddr *address,
                         socklen_t *bytes) {
    bool is_local = net_sim_is_local(socket);
    uint32_t other = UINT32_C(0xc0000200) + (uint32_t)((socket - sockets) % 3); /* 192.0.2.0 */
    struct sockaddr_in client = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(is_local ? INADDR_LOOPBACK : other)};
    ASSERT(*bytes >= sizeof client);
    memcpy(address, &client, sizeof client);
    *bytes = sizeof client;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags) {
    (void)flags;
    for (size_t i = 0; i < NET_SIM_SOCKETS; i++) {
        if (!is_in_backlog(&sockets[i], fd)) continue;
        sockets[i].is_accepted = true;
        if (address != NULL) tell_address(&sockets[i], address, bytes);
        return FD_SOCKETS + (int)i;
    }
    errno = EAGAIN;
    return -1;
}

/* To somebody who is sent away. */
ssize_t __wrap_send(int fd, const void *from, size_t bytes, int flags) {
    (void)flags;
    return send_bytes(NULL, fd, from, bytes);
}

int __wrap_shutdown(int fd, int how) {
    (void)how;
    return shut(NULL, fd);
}

/* /dev/null, the spare descriptor of a network thread. */
int __wrap_open(const char *path, int flags, ...) {
    ASSERT(strcmp(path, "/dev/null") == 0);
    (void)flags;
    return FD_SPARE;
}

/* What fcntl.h makes of it where files may be large. */
int __wrap_open64(const char *path, int flags, ...) {
    return __wrap_open(path, flags);
}

int __wrap_close(int fd) {
    if (fiber_sim_current() == NULL) return __real_close(fd);
    bool is_socket = fd >= FD_SOCKETS && fd < FD_SOCKETS + NET_SIM_SOCKETS;
    ASSERT(is_socket || fd == FD_SPARE ||
           (fd >= FD_LISTENERS && fd < FD_LISTENERS + NET_SIM_LISTENERS));
    if (is_socket) close_socket(NULL, fd);
    return 0;
}
