/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of the load generator: a non-blocking socket, the requests under way on it in
 * order, and what is left of a write or of a read. Moves bytes and keeps order; what an answer
 * means is not its matter.
 *
 *            open               connected
 *     CLOSED ----> CONNECTING -----------> OPEN
 *        ^             |                    |
 *        +-------------+--------------------+   failed, reset, timed out: what was under way stays
 *                                               in the ring, to be sent again
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"
#include "verify/load_oracle.h"

enum connection_state { CONNECTION_CLOSED, CONNECTION_CONNECTING, CONNECTION_OPEN };

struct load_connection {
    int fd; /* -1 when closed */
    enum connection_state state;
    uint32_t index;         /* among all of the run: chooses the source address */
    uint32_t failures;      /* times it broke since the last answer */
    uint64_t reopen_ns;     /* when closed: not before */
    uint64_t opened_ns;     /* when connecting: since when */
    bool is_ready;          /* stands in the worker's queue of connections with room */
    struct load_sent *ring; /* pipeline places */
    uint32_t first, count, places;
    char *rest; /* bytes that the socket did not take; owned */
    size_t rest_at, rest_bytes;
    char *part; /* the begin of an answer that has not come whole; owned */
    size_t part_bytes;
};

void load_connection_init(struct load_connection *connection, uint32_t index,
                          struct load_sent *ring, uint32_t places);
/* Closes and frees what it owns. */
void load_connection_deinit(struct load_connection *connection);

/* Begins to connect to `address`, from 127.1.x.y when `spreads`, and registers with `epoll_fd`
 * (edge-triggered, data.ptr is the connection). 0 or a negative errno, then it stays closed. */
int load_connection_open(struct load_connection *connection, const struct sockaddr *address,
                         socklen_t address_bytes, bool spreads, int epoll_fd, uint64_t now_ns);
/* A CONNECTING one was reported by epoll: 0 when it is OPEN now, else a negative errno. */
int load_connection_finish_open(struct load_connection *connection);
/* Drops the socket and every unsent and unread byte; the ring stays. */
void load_connection_close(struct load_connection *connection);

/* Writes `bytes`, keeping what the socket does not take now. 0 or a negative errno. */
int load_connection_write(struct load_connection *connection, struct slice bytes);
/* Writes more of what was kept. 0 or a negative errno. */
int load_connection_write_rest(struct load_connection *connection);

enum connection_read {
    READ_DRAINED, /* nothing was there */
    READ_SOME,    /* all that was there */
    READ_FULL,    /* as much as fits: there may be more */
    READ_END,     /* the peer has closed */
};

/* Reads into `room` behind what is kept of an answer (which is moved to its begin). Returns how
 * many bytes are there in all, or a negative errno when the connection broke. */
ptrdiff_t load_connection_read(struct load_connection *connection, char *room, size_t room_bytes,
                               enum connection_read *how);
/* Keeps the begin of an answer for the next load_connection_read. 0 or -ENOMEM. */
int load_connection_keep(struct load_connection *connection, struct slice part);

static inline bool load_connection_has_room(const struct load_connection *connection) {
    return connection->state == CONNECTION_OPEN && connection->count < connection->places;
}
/* A new place at the end of the ring; there must be room. */
static inline struct load_sent *load_connection_push(struct load_connection *connection) {
    ASSERT(connection->count < connection->places);
    uint32_t at = connection->first + connection->count++;
    return &connection->ring[at < connection->places ? at : at - connection->places];
}
static inline struct load_sent *load_connection_first(struct load_connection *connection) {
    return &connection->ring[connection->first];
}
static inline void load_connection_pop(struct load_connection *connection) {
    connection->count--;
    if (++connection->first == connection->places) connection->first = 0;
}
