/* SPDX-License-Identifier: Apache-2.0 */
#include "api/connection.h"

#include <errno.h>
#include <stdlib.h>

#include "api/gate.h"
#include "api/routes.h"
#include "api/stream.h"

enum { READ_AHEAD_BYTES = 8 * 1024, LINGER_S = 2 };

/* ---- closing ---- */

static void drop_buf(struct buf **buf) {
    if (*buf == NULL) return;
    buf_deinit(*buf);
    free(*buf);
    *buf = NULL;
}

static void drop_in(struct connection *connection) {
    drop_buf(&connection->in);
}

void connection_close(struct connection *connection) {
    if (connection->is_closed) return;
    struct server *server = connection->server;
    while (connection->first != NULL) connection_leave_queue(connection);
    if (connection->stream != NULL) stream_log_dropped(connection->stream);
    stream_free(connection->stream);
    connection->stream = NULL;
    drop_in(connection);
    drop_buf(&connection->rest);
    link_remove(&connection->wheel);
    link_remove(&connection->touched);
    link_remove(&connection->turn);
    link_append(&server->closed, &connection->turn);
    connection->is_closed = true;
    server->sockets->ops->close(server->sockets, connection->fd);
}

void connection_free_closed(struct server *server) {
    struct link *link = server->closed.next;
    link_init(&server->closed);
    while (link != &server->closed) {
        struct connection *connection = CONTAINER_OF(link, struct connection, turn);
        link = link->next;
        atomic_fetch_sub_explicit(&server->shared->connections, 1, memory_order_relaxed);
        free(connection);
    }
}

/* ---- turns ---- */

void connection_go_on_later(struct connection *connection) {
    if (link_is_alone(&connection->turn))
        link_append(&connection->server->turns, &connection->turn);
}

void connection_start_reading(struct connection *connection) {
    if (connection->is_reading || connection->has_ended) return;
    connection->is_reading = true;
    if (connection->is_readable) connection_go_on_later(connection);
}

static void stop_reading(struct connection *connection) {
    connection->is_reading = false;
}

void connection_linger(struct connection *connection) {
    struct sockets *sockets = connection->server->sockets;
    if (connection->has_ended || sockets->ops->shut(sockets, connection->fd) != 0) {
        connection_close(connection);
        return;
    }
    connection->is_lingering = true;
    drop_in(connection);
    connection_set_deadline(connection, LINGER_S);
    connection_start_reading(connection);
}

/* ---- in ---- */

/* May another request be decided now? */
static bool can_take(const struct connection *connection) {
    const struct server *server = connection->server;
    return !connection->is_last && !connection->is_sending && connection->stream == NULL &&
           connection->undecided < SERVER_SETTING(server, pipeline_max) &&
           (connection->first == NULL || waiting_has_place(&server->waiting));
}

void connection_refuse(struct connection *connection, const struct http_refusal *refusal) {
    struct server *server = connection->server;
    connection->is_last = true;
    server->out.replies = route_replies(server, NULL);
    reply_write_problem(&server->out, server->date,
                        &(struct problem){.status = refusal->status,
                                          .code = refusal->code,
                                          .detail = refusal->text},
                        true, false);
}

/* What goes with the answer; nothing to what is no request. No page reads the operator's listener.
 */
static void note_carried(struct server *server, const struct http_request *request) {
    const struct origins *origins =
        server->routes == admin_routes ? NULL : &server_gate(server)->origins;
    if (request != NULL && UNLIKELY(carried_may_be(request, origins)))
        server->out.carried = carried_by(request, origins);
    else
        server->out.carried = (struct carried){0};
}

enum taken { TAKEN, TAKEN_MORE, TAKEN_BLOCKED };

/* A request that is not whole: the client may wait for our word before it sends the body. */
static enum taken await_body(struct connection *connection, const struct http_request *request) {
    if (request->expects_continue && !connection->has_continued) {
        if (connection->first != NULL) return TAKEN_BLOCKED;
        output_add_literal(&connection->server->out, "HTTP/1.1 100 Continue\r\n\r\n");
        connection->has_continued = true;
    }
    return TAKEN_MORE;
}

static enum taken refuse_in_turn(struct connection *connection,
                                 const struct http_refusal *refusal) {
    if (connection->first != NULL) return TAKEN_BLOCKED;
    connection_refuse(connection, refusal);
    return TAKEN;
}

/* Hands a whole request to its route. When draining, what has come is answered: the last of it says
 * that no more will be taken. */
static enum taken dispatch(struct connection *connection, const struct http_request *request,
                           struct slice body, bool has_more) {
    struct server *server = connection->server;
    struct exchange exchange = {.connection = connection,
                                .server = server,
                                .request = request,
                                .body = body,
                                .close = !request->keep_alive || request->minor_version == 0 ||
                                         (server->is_draining && !has_more),
                                .head_only = request->method == HTTP_HEAD};
    unsigned allowed;
    const struct route *route = route_find(server->routes, request, exchange.parameters, &allowed);
    server->out.replies = route_replies(server, route);
    if (route != NULL)
        route->handle(&exchange);
    else if (!cors_handle_preflight(&exchange, allowed))
        route_refuse(&exchange, allowed);
    if (exchange.is_deferred) return TAKEN_BLOCKED;
    connection->has_continued = false;
    connection->limits_passed = 0;
    connection->progress = (struct http_progress){0};
    return TAKEN;
}

/* Takes one request from the start of `bytes`; `*used` is what it took. */
static enum taken take_request(struct connection *connection, char *bytes, size_t n, size_t *used) {
    struct server *server = connection->server;
    const struct http_limits *limits = &server->shared->limits;
    struct http_request request;
    struct http_refusal refusal;
    size_t head_bytes, body_bytes;
    struct slice body;

    *used = n; /* what is behind a refused request is nobody's any more */
    enum http_parse parse = http_parse_head(slice_of(bytes, n), limits, &connection->progress,
                                            &request, &head_bytes, &refusal);
    if (parse == HTTP_PARSE_MORE) return TAKEN_MORE;
    note_carried(server, parse == HTTP_PARSE_DONE ? &request : NULL);
    if (parse == HTTP_PARSE_BAD) return refuse_in_turn(connection, &refusal);
    /* Joining chunks changes the bytes: only for a request that will surely be answered now. */
    if (request.is_chunked && connection->first != NULL) return TAKEN_BLOCKED;
    parse = http_parse_body(bytes + head_bytes, n - head_bytes, limits, &request, &body,
                            &body_bytes, &refusal);
    if (parse == HTTP_PARSE_MORE) return await_body(connection, &request);
    if (parse == HTTP_PARSE_BAD) return refuse_in_turn(connection, &refusal);
    *used = head_bytes + body_bytes;
    return dispatch(connection, &request, body, *used < n);
}

/* Works off the requests in `bytes`; returns how many bytes they were. */
static size_t take_requests(struct connection *connection, char *bytes, size_t n) {
    size_t at = 0;
    connection->is_blocked = connection->is_partial = false;
    while (at < n) {
        if (!output_has_room(&connection->server->out) && !connection_send(connection)) return n;
        if (!can_take(connection)) {
            connection->is_blocked = !connection->is_last;
            return connection->is_last ? n : at;
        }
        size_t used;
        enum taken taken = take_request(connection, bytes + at, n - at, &used);
        if (taken == TAKEN_BLOCKED) connection->is_blocked = true;
        if (taken == TAKEN_MORE) connection->is_partial = true;
        if (taken != TAKEN) break;
        at += used;
    }
    return at;
}

/* The longest request that the limits allow, and what one read may bring behind it. */
static size_t in_bytes_max(const struct http_limits *limits) {
    return limits->request_line_bytes + limits->headers_bytes + 2 * limits->body_bytes +
           2 * READ_BYTES;
}

/* Keeps what was not worked off of a read into the thread's buffer. */
static bool keep(struct connection *connection, const char *bytes, size_t n) {
    ASSERT(connection->in == NULL);
    connection->in = malloc(sizeof *connection->in);
    if (connection->in != NULL) {
        buf_init(connection->in, in_bytes_max(&connection->server->shared->limits));
        buf_add(connection->in, bytes, n);
        if (!connection->in->failed) return true;
    }
    connection->server->out.n = 0;
    connection_close(connection);
    return false;
}

/* After requests were taken: send, then decide what this connection waits for next. */
static void settle(struct connection *connection) {
    if (!connection_send(connection)) return;
    bool is_busy =
        connection->first != NULL || connection->is_sending || connection->stream != NULL;
    if (!is_busy && !connection->is_blocked && (connection->is_last || connection->has_ended)) {
        connection_linger(connection);
        return;
    }
    if (connection->is_blocked || connection->is_last || connection->is_sending ||
        connection->stream != NULL)
        stop_reading(connection);
    else
        connection_start_reading(connection);
    connection_set_deadline(connection, SERVER_SETTING(connection->server, idle_timeout_s));
    if (connection->stream != NULL && !connection->is_sending) stream_continue(connection);
}

/* After settle, while a request is cut short: its time runs from its first byte, so where it has
 * begun before (`is_same`) the deadline that was stays. */
static void set_partial_deadline(struct connection *connection, bool is_same, uint32_t deadline_s) {
    if (connection->is_closed || !connection->is_partial) return;
    if (is_same)
        connection->deadline_s = deadline_s;
    else
        connection_set_deadline(connection, SERVER_SETTING(connection->server, header_timeout_s));
}

void connection_work_off(struct connection *connection) {
    if (connection->is_closed) return;
    bool was_partial = connection->is_partial;
    uint32_t deadline_s = connection->deadline_s;
    if (connection->in != NULL && !connection->is_partial) {
        size_t n = connection->in->n;
        size_t used = take_requests(connection, connection->in->p, n);
        if (connection->is_closed) return;
        if (used == n)
            drop_in(connection);
        else
            buf_consume(connection->in, used);
    }
    settle(connection);
    set_partial_deadline(connection, was_partial, deadline_s);
}

/* More of a request that had been cut short. */
static void on_more(struct connection *connection, size_t n) {
    struct buf *in = connection->in;
    uint32_t deadline_s = connection->deadline_s;
    in->n += n;
    size_t used = take_requests(connection, in->p, in->n);
    if (connection->is_closed) return;
    bool is_same = used == 0 && connection->is_partial;
    if (used == in->n)
        drop_in(connection);
    else
        buf_consume(in, used);
    settle(connection);
    set_partial_deadline(connection, is_same, deadline_s);
}

static void on_end(struct connection *connection, ssize_t n) {
    connection->is_readable = false;
    if (n != 0 || connection->is_lingering) {
        connection_close(connection);
        return;
    }
    connection->has_ended = true;
    stop_reading(connection);
    settle(connection);
}

/* The first bytes of a request, in the thread's buffer. */
static void on_bytes(struct connection *connection, char *bytes, size_t n) {
    size_t used = take_requests(connection, bytes, n);
    if (connection->is_closed) return;
    if (used < n && !keep(connection, bytes + used, n - used)) return;
    settle(connection);
    set_partial_deadline(connection, false, 0);
}

/* One read, however much there is, so that everyone gets a turn. */
static void read_once(struct connection *connection) {
    struct server *server = connection->server;
    struct buf *in = connection->in;
    if (in != NULL && !buf_reserve(in, READ_AHEAD_BYTES)) {
        connection_close(connection);
        return;
    }
    char *to = in == NULL ? server->read : in->p + in->n;
    size_t room = in == NULL ? READ_BYTES : READ_AHEAD_BYTES;
    ssize_t n = server->sockets->ops->receive(server->sockets, connection->fd, to, room);
    if (n == -EAGAIN) {
        connection->is_readable = false;
        return;
    }
    if (n <= 0) {
        on_end(connection, n);
        return;
    }
    /* Less than there was room for: that was all, but for an end that was told of. */
    connection->is_readable = (size_t)n == room || connection->has_hung_up;
    if (connection->is_lingering)
        ;
    else if (in != NULL)
        on_more(connection, (size_t)n);
    else
        on_bytes(connection, to, (size_t)n);
    if (!connection->is_closed && connection->is_readable && connection->is_reading)
        connection_go_on_later(connection);
}

static void go_on(struct connection *connection) {
    if (connection->rest != NULL && !connection->wants_room)
        connection_continue_sending(connection);
    if (!connection->is_closed && connection->is_readable && connection->is_reading)
        read_once(connection);
}

void connection_on_event(struct connection *connection, unsigned what) {
    if (connection->is_closed) return;
    if ((what & SOCKET_ENDED) != 0) connection->has_hung_up = true;
    if ((what & (SOCKET_READABLE | SOCKET_ENDED)) != 0) connection->is_readable = true;
    if ((what & SOCKET_WRITABLE) != 0) connection->wants_room = false;
    go_on(connection);
}

void connection_take_turns(struct server *server) {
    struct link now = {&now, &now};
    while (!link_is_alone(&server->turns)) {
        struct link *link = server->turns.next;
        link_remove(link);
        link_append(&now, link);
    }
    while (!link_is_alone(&now)) {
        struct connection *connection = CONTAINER_OF(now.next, struct connection, turn);
        link_remove(&connection->turn);
        go_on(connection);
    }
}
