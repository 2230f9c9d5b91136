/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets without a network, for tests of clients: what the other sides do is what the test says.
 * A connection's number counts from 0 in the order of connecting. Included by one .c each.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/sockets.h"

enum { FAKE_CONNECTIONS_MAX = 2048, FAKE_FD = 1000 };

struct fake_connection {
    char address[64];
    void *owner;
    struct buf sent;     /* by the client, and not yet taken by the test */
    struct buf received; /* for the client, and not yet read by it */
    size_t room;         /* bytes that the client may still send */
    int error;           /* what a receive or send says when there is nothing else; 0: not now */
    bool is_open, has_ended;
    unsigned sends;
};

struct fake_sockets {
    struct sockets sockets;
    struct fake_connection connections[FAKE_CONNECTIONS_MAX];
    int count;
};

static inline struct fake_connection *fake_of(struct sockets *sockets, int fd) {
    struct fake_sockets *fake = CONTAINER_OF(sockets, struct fake_sockets, sockets);
    ASSERT(fd >= FAKE_FD && fd < FAKE_FD + fake->count);
    return &fake->connections[fd - FAKE_FD];
}

static inline int fake_connect(struct sockets *sockets, const struct sockaddr *address,
                               socklen_t bytes) {
    struct fake_sockets *fake = CONTAINER_OF(sockets, struct fake_sockets, sockets);
    const struct sockaddr_in *to = (const struct sockaddr_in *)(const void *)address;
    char host[INET_ADDRSTRLEN];
    ASSERT(bytes == sizeof *to && fake->count < FAKE_CONNECTIONS_MAX);
    struct fake_connection *made = &fake->connections[fake->count];
    *made = (struct fake_connection){.room = SIZE_MAX, .is_open = true};
    buf_init(&made->sent, 1 << 24);
    buf_init(&made->received, 1 << 24);
    snprintf(made->address, sizeof made->address, "%s:%u",
             inet_ntop(AF_INET, &to->sin_addr, host, sizeof host), ntohs(to->sin_port));
    return FAKE_FD + fake->count++;
}

static inline int fake_watch(struct sockets *sockets, int fd, void *owner, bool wants_room) {
    (void)wants_room;
    fake_of(sockets, fd)->owner = owner;
    return 0;
}

static inline ssize_t fake_receive(struct sockets *sockets, int fd, void *to, size_t bytes) {
    struct fake_connection *connection = fake_of(sockets, fd);
    ASSERT(connection->is_open);
    size_t n = size_min(bytes, connection->received.n);
    if (n == 0) return connection->has_ended ? 0 : connection->error ? connection->error : -EAGAIN;
    memcpy(to, connection->received.p, n);
    buf_consume(&connection->received, n);
    return (ssize_t)n;
}

static inline ssize_t fake_send(struct sockets *sockets, int fd, const void *from, size_t bytes) {
    struct fake_connection *connection = fake_of(sockets, fd);
    ASSERT(connection->is_open);
    if (connection->error != 0) return connection->error;
    size_t n = size_min(bytes, connection->room);
    if (n == 0) return -EAGAIN;
    buf_add(&connection->sent, from, n);
    connection->room -= n;
    connection->sends++;
    return (ssize_t)n;
}

static inline void fake_close(struct sockets *sockets, int fd) {
    struct fake_connection *connection = fake_of(sockets, fd);
    ASSERT(connection->is_open);
    connection->is_open = false;
}

static inline void fake_sockets_init(struct fake_sockets *fake) {
    static const struct sockets_ops ops = {
        .connect = fake_connect,
        .watch = fake_watch,
        .receive = fake_receive,
        .send = fake_send,
        .close = fake_close,
    };
    *fake = (struct fake_sockets){.sockets.ops = &ops};
}

static inline void fake_sockets_deinit(struct fake_sockets *fake) {
    for (int i = 0; i < fake->count; i++) {
        buf_deinit(&fake->connections[i].sent);
        buf_deinit(&fake->connections[i].received);
    }
}
