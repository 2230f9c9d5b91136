/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to one Redis node: TCP, TLS when wanted, the log-in, bytes out in one write for
 * each flush, replies in, by hiredis' reader. Knows nothing of commands: whoever writes them counts
 * the replies.
 *
 *     CLOSED --open--> CONNECTING --> SHAKING (TLS) --> ENTERING (AUTH) --> READY
 *        ^                 |             |                 |                 |
 *        +-----------------+-------------+---- close ------+-----------------+
 *
 * hiredis' own asynchronous connections are not used: those of its versions before 1.0 have no TLS,
 * none says whether a command had left when the connection broke, and they want an event loop where
 * ours is lib/sockets.h, which a test owns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/redis/address.h"
#include "lib/slice.h"
#include "lib/sockets.h"
#include "lib/tls.h"

struct redisReader;
struct redisReply;

enum redis_connection_state {
    REDIS_CLOSED,
    REDIS_CONNECTING,
    REDIS_SHAKING,
    REDIS_ENTERING,
    REDIS_READY,
};

/* What all connections of a client have in common. */
struct redis_connection_options {
    struct sockets *sockets;
    struct tls_client *tls;      /* NULL: in the clear */
    const char *user, *password; /* password NULL: no log-in; user NULL: Redis' default user */
    void *ctx;
    /* A reply to the oldest command without one; lives during the call. No close within. */
    void (*on_reply)(void *ctx, void *owner, const struct redisReply *reply);
};

struct redis_connection {
    const struct redis_connection_options *options;
    void *owner; /* also what the sockets tell events with */
    enum redis_connection_state state;
    int fd;
    struct tls *tls;
    struct redisReader *reader;
    struct buf out;    /* commands of this turn, then what the socket had no room for */
    struct buf wire;   /* with TLS: `out` encrypted */
    size_t out_at;     /* of `out` (with TLS, of `wire`): bytes that are sent */
    uint64_t written;  /* bytes of commands since it is open */
    uint64_t sent;     /* of them, those that may have reached the node */
    char problem[200]; /* why it closed last, in words without quotes; "" if it never did */
};

void redis_connection_init(struct redis_connection *connection,
                           const struct redis_connection_options *options, void *owner);
void redis_connection_deinit(struct redis_connection *connection);

/* Begins to connect. 0 or a negative errno; after that it is closed. */
int redis_connection_open(struct redis_connection *connection,
                          const struct redis_address *address) MUST_CHECK;

/* Ends it; `code` says why (a negative errno), unless a reason is noted already. */
void redis_connection_close(struct redis_connection *connection, int code);

/* What the sockets said. 0, or a negative errno: it is broken, and the caller closes it. */
int redis_connection_on_event(struct redis_connection *connection, unsigned what) MUST_CHECK;

/* Where the bytes of a command go, in READY; redis_connection_wrote counts what was added since. */
static inline struct buf *redis_connection_out(struct redis_connection *connection) {
    return &connection->out;
}
void redis_connection_wrote(struct redis_connection *connection, size_t bytes);

/* Sends what there is, in one write as far as the socket has room. 0 or a negative errno. */
int redis_connection_flush(struct redis_connection *connection) MUST_CHECK;

/* Appends "$n\r\nword\r\n". */
void redis_add_word(struct buf *out, struct slice word);
