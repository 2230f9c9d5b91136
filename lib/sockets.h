/* SPDX-License-Identifier: Apache-2.0
 *
 * What a network thread asks of its sockets, as a table, so that a simulator can own every byte
 * that comes and goes. Results are those of the calls of the same name, except that failures come
 * back as a negative errno and never through the variable errno. All sockets are non-blocking: "not
 * now" is -EAGAIN.
 *
 * Events are edges: each says that something has come (or that room has come) since the last one,
 * and is not said again for what was left lying. Whoever reads less than there is has to remember
 * that. The system's sockets are an epoll set; edges save the kernel a second look at each socket,
 * a twentieth of all the work that an answered request costs it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "lib/base.h"

enum {
    SOCKET_READABLE = 1 << 0,
    SOCKET_WRITABLE = 1 << 1,
    SOCKET_ENDED = 1 << 2, /* the other side has shut, or it is broken, which all three bits tell */
};

struct socket_event {
    void *owner; /* as it was watched with */
    unsigned what;
};

struct sockets;

struct sockets_ops {
    /* Watches `fd` for what comes, in edges, until it is closed; with `wants_room` also for room.
     * Called again to change that: then what is true already is said once more. */
    int (*watch)(struct sockets *sockets, int fd, void *owner, bool wants_room);
    /* Watches in levels: said again and again as long as something is there. */
    int (*watch_level)(struct sockets *sockets, int fd, void *owner);
    void (*forget)(struct sockets *sockets, int fd);
    /* Waits up to `timeout_ms` (-1: without end) and returns how many of `events` it filled. */
    int (*wait)(struct sockets *sockets, int timeout_ms, struct socket_event *events,
                int events_max);

    /* A new TCP socket on its way to `address`, with small writes sent at once; the set does not watch
     * it yet. SOCKET_WRITABLE, or the first send, tells what came of it. */
    int (*connect)(struct sockets *sockets, const struct sockaddr *address, socklen_t bytes);
    ssize_t (*receive)(struct sockets *sockets, int fd, void *to, size_t bytes);
    ssize_t (*send)(struct sockets *sockets, int fd, const void *from, size_t bytes);
    /* Has something come that was not received? */
    bool (*has_unread)(struct sockets *sockets, int fd);
    int (*shut)(struct sockets *sockets, int fd); /* our side */
    void (*close)(struct sockets *sockets, int fd);
    void (*free)(struct sockets *sockets);
};

struct sockets {
    const struct sockets_ops *ops;
};

/* The system's. NULL without memory or a file descriptor for it. For one thread. */
struct sockets *sockets_system_new(void) MUST_CHECK;
