/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection: bytes in, requests worked off in order, answers out in order.
 *
 *     read -> [in: what is not worked off] -> parse -> handler -> server->out -> one write
 *                                                         \-> place in the queue (waiting.h)
 *
 * A read's requests are answered with one write. While a claim is with the engine, later claims of
 * the connection may be asked or decided too and queue behind it; any other request waits, not
 * taken, until the queue is empty. An idle connection owns no buffer.
 *
 * Sockets tell of a change once (lib/sockets.h), so a connection remembers what it was told and has
 * not worked off: is_readable, has_hung_up. Where it may go on without any news, it takes a place
 * in server->turns and goes on in the next turn of the thread, after the others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/link.h"
#include "api/server.h"
#include "lib/buf.h"
#include "lib/ip.h"

struct stream;

struct connection {
    struct server *server;
    int fd;
    struct link wheel;   /* in the wheel slot of `slot_s` */
    struct link touched; /* in server->touched */
    struct link turn;    /* in server->turns; in server->closed once it is closed */
    uint32_t deadline_s; /* when its time is up, unless moved on meanwhile */
    uint32_t slot_s;
    uint32_t undecided;           /* places in the queue */
    struct waiting *first, *last; /* the queue: undecided, or decided behind an undecided one */
    struct buf *in;               /* bytes not worked off; NULL when there are none */
    struct buf *rest;             /* of the answers, what the socket did not take yet; or NULL */
    struct stream *stream;        /* a streamed answer under way */
    struct http_progress progress;
    struct ip peer;
    uint8_t limits_passed; /* bits of enum limit: by the request being read */
    size_t unsent;        /* bytes of `rest` at the last look of the wheel */
    bool is_local : 1;    /* the peer is on this machine */
    bool is_reading : 1;  /* wants to read on */
    bool is_readable : 1; /* there may be something to read */
    bool has_hung_up : 1; /* the client has shut its side, or is gone: the end is to be read yet */
    bool wants_room : 1;  /* the socket was full: it tells when there is room */
    bool is_blocked : 1;  /* `in` holds a request that has to wait */
    bool is_partial : 1;  /* `in` ends in the middle of a request */
    bool has_continued : 1; /* 100 Continue was sent for the request being read */
    bool is_sending : 1;    /* `rest` is on its way */
    bool is_last : 1;       /* take no further request */
    bool is_lingering : 1;  /* our side is shut, what arrives is thrown away */
    bool has_ended : 1;     /* the client's side is shut, and all it sent is read */
    bool is_closed : 1;     /* and must not be touched: it is freed at the end of the turn */
};

/* One request on its way through a handler. */
struct exchange {
    struct connection *connection;
    struct server *server;
    const struct http_request *request;
    struct slice body;
    struct slice parameters[2]; /* of the route's pattern, still percent-encoded */
    bool close, head_only;
    bool is_deferred; /* not answered: answers before it are outstanding */
};

/* Takes new connections from the listening socket; sends them away when there are too many. */
void connection_accept(struct server *server);

void connection_close(struct connection *connection);

/* What a socket has told of its connection: bits of lib/sockets.h. */
void connection_on_event(struct connection *connection, unsigned what);
/* Those that have work left from the last turn go on. */
void connection_take_turns(struct server *server);
/* At the end of a turn, when nobody can hold a closed connection any more. */
void connection_free_closed(struct server *server);

/* True, and the request will be handled again later, while an earlier one of the connection is
 * undecided. */
bool exchange_must_wait(struct exchange *exchange);
/* Called by handlers: exactly one of these, or connection_wait, for each request. */
void exchange_reply(struct exchange *exchange, struct reply reply);
void exchange_problem(struct exchange *exchange, struct problem problem);

/* Queues `place` (taken by the caller) as the answer to this request. */
void connection_wait(struct exchange *exchange, struct waiting *place);

/* The engine has answered `place`: it is READY. */
void connection_answered(struct waiting *place);
/* The time of `place` is up, undecided: its asker is told so, the engine's answer is not awaited.
 */
void connection_give_up(struct waiting *place);
/* Writes what is ready on the connections touched, and works off what waited behind it. */
void connection_flush_touched(struct server *server);

/* Looks at the connections whose second has come. */
void connection_wheel_turn(struct server *server);

/* Draining: ends the connections that are idle; `hard` ends all. */
void connection_drain_all(struct server *server, bool hard);
/* Connections of this thread that are not closed. */
size_t connection_count(const struct server *server);

/* ---- among the files of a connection: connection.c, connection_out.c, accept.c, deadline.c ----
 */

/* The connection's time is up `seconds` from now, or up to a second later, never earlier. */
void connection_set_deadline(struct connection *connection, uint32_t seconds);
void connection_start_reading(struct connection *connection);
/* The connection goes on in the next turn. */
void connection_go_on_later(struct connection *connection);
/* Sends what is left; when all is sent, works off what has waited for that. */
void connection_continue_sending(struct connection *connection);
/* Goes on with what was kept, after an answer or a write has made way. */
void connection_work_off(struct connection *connection);
/* The first place of the queue is answered, or nobody is there to be answered any more. */
void connection_leave_queue(struct connection *connection);
/* Answers that the bytes that came are no request of ours; the last answer of the connection. */
void connection_refuse(struct connection *connection, const struct http_refusal *refusal);
/* Everything is answered: shuts our side, and reads on for a moment, because closing a socket with
 * unread bytes in it would reset the connection and may take our last answer from the client. */
void connection_linger(struct connection *connection);

/* Sends server->out. False when the connection must not be touched any more (it is closing). */
bool connection_send(struct connection *connection);
/* The same, but lets the loop turn first; what waits behind goes on when it has been sent. */
void connection_send_queued(struct connection *connection);
