/* SPDX-License-Identifier: Apache-2.0
 *
 * How answers leave a connection: what is ready in one write, what is not in its turn.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/connection.h"

/* ---- sending ---- */

/* What one connection's answers may take in memory: a piece of a stream, or the answers of a
 * pipeline, which is not read on while the socket is full. */
enum { REST_BYTES_MAX = 64 * OUTPUT_BYTES };

/* The socket is full: the rest is kept and sent as it empties; no request is read meanwhile. */
static bool send_later(struct connection *connection, const char *bytes, size_t n) {
    if (connection->rest == NULL) {
        connection->rest = malloc(sizeof *connection->rest);
        if (connection->rest != NULL) buf_init(connection->rest, REST_BYTES_MAX);
    }
    if (connection->rest != NULL) buf_add(connection->rest, bytes, n);
    if (connection->rest == NULL || connection->rest->failed) {
        connection_close(connection);
        return false;
    }
    connection->is_sending = true;
    connection->unsent = SIZE_MAX;
    connection_set_deadline(connection, SERVER_SETTING(connection->server, idle_timeout_s));
    if (!connection->wants_room) connection_go_on_later(connection);
    return true;
}

static void set_wants_room(struct connection *connection, bool wants_room) {
    struct sockets *sockets = connection->server->sockets;
    connection->wants_room = wants_room;
    if (sockets->ops->watch(sockets, connection->fd, connection, wants_room) != 0)
        connection_close(connection);
}

void connection_continue_sending(struct connection *connection) {
    struct sockets *sockets = connection->server->sockets;
    struct buf *rest = connection->rest;
    ssize_t sent = sockets->ops->send(sockets, connection->fd, rest->p, rest->n);
    if (sent < 0 && sent != -EAGAIN) {
        connection_close(connection);
        return;
    }
    if (sent > 0) buf_consume(rest, (size_t)sent);
    if (rest->n != 0) {
        set_wants_room(connection, true);
        return;
    }
    buf_deinit(rest);
    free(rest);
    connection->rest = NULL;
    connection->is_sending = false;
    connection_work_off(connection);
}

bool connection_send(struct connection *connection) {
    struct server *server = connection->server;
    struct output *out = &server->out;
    size_t n = out->n;
    if (n == 0) return true;
    out->n = 0;
    if (connection->is_sending) return send_later(connection, out->bytes, n);
    ssize_t sent = server->sockets->ops->send(server->sockets, connection->fd, out->bytes, n);
    if (sent == (ssize_t)n) return true;
    if (sent < 0 && sent != -EAGAIN) {
        connection_close(connection);
        return false;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    return send_later(connection, out->bytes + done, n - done);
}

/* An answer cannot overtake those before it: the request is put back and handled again later. */
bool exchange_must_wait(struct exchange *exchange) {
    exchange->is_deferred = exchange->connection->first != NULL;
    return exchange->is_deferred;
}

void connection_send_queued(struct connection *connection) {
    struct output *out = &connection->server->out;
    size_t n = out->n;
    out->n = 0;
    send_later(connection, out->bytes, n);
}

void exchange_reply(struct exchange *exchange, struct reply reply) {
    if (exchange_must_wait(exchange)) return;
    reply.close = reply.close || exchange->close;
    reply.head_only = exchange->head_only;
    if (reply.close) exchange->connection->is_last = true;
    reply_write(&exchange->server->out, exchange->server->date, &reply);
}

void exchange_problem(struct exchange *exchange, struct problem problem) {
    if (exchange_must_wait(exchange)) return;
    if (exchange->close) exchange->connection->is_last = true;
    carried_log(&exchange->server->out.carried, &problem);
    reply_write_problem(&exchange->server->out, exchange->server->date, &problem, exchange->close,
                        exchange->head_only);
}

/* ---- answers in their turn ---- */

void connection_wait(struct exchange *exchange, struct waiting *place) {
    struct connection *connection = exchange->connection;
    place->connection = connection;
    place->replies = exchange->server->out.replies;
    carried_keep(&place->carried, &exchange->server->out.carried);
    place->close = exchange->close;
    place->head_only = exchange->head_only;
    place->next = NULL;
    if (connection->first == NULL)
        connection->first = place;
    else
        connection->last->next = place;
    connection->last = place;
    connection->undecided++;
    if (exchange->close) connection->is_last = true;
}

void connection_answered(struct waiting *place) {
    struct connection *connection = place->connection;
    if (link_is_alone(&connection->touched))
        link_append(&connection->server->touched, &connection->touched);
}

void connection_give_up(struct waiting *place) {
    waiting_give_up(place);
    place->outcome = CLAIM_PENDING;
    connection_answered(place);
}

void connection_leave_queue(struct connection *connection) {
    struct waiting *place = connection->first;
    connection->first = place->next;
    connection->undecided--;
    if (place->state == WAITING_READY)
        waiting_release(&connection->server->waiting, place);
    else
        waiting_leave(place);
}

/* Writes the answers at the head of the queue that are ready. False when the connection is gone. */
static bool write_ready(struct connection *connection) {
    struct server *server = connection->server;
    while (connection->first != NULL && connection->first->state != WAITING_ENGINE) {
        if (!output_has_room(&server->out) && !connection_send(connection)) return false;
        struct waiting *place = connection->first;
        server->out.replies = place->replies;
        server->out.carried = carried_of(&place->carried);
        place->write(server, place);
        connection_leave_queue(connection);
    }
    return true;
}

void connection_flush_touched(struct server *server) {
    while (!link_is_alone(&server->touched)) {
        struct connection *connection =
            CONTAINER_OF(server->touched.next, struct connection, touched);
        link_remove(&connection->touched);
        if (write_ready(connection)) connection_work_off(connection);
    }
}
