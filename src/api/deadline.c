/* SPDX-License-Identifier: Apache-2.0
 *
 * How connections end by the clock: a wheel of seconds in which each hangs, looked at a second at a
 * time, and the end of all when the server drains. A connection that is busy only notes its new
 * deadline; it is moved on when its old slot comes by.
 */
#include "api/connection.h"

/* The connection's time is up at `deadline_s`, later than now. Costs one comparison unless that is
 * nearer than the slot that the connection hangs in. */
static void hang_until(struct connection *connection, uint32_t deadline_s) {
    struct server *server = connection->server;
    connection->deadline_s = deadline_s;
    if (deadline_s >= connection->slot_s && !link_is_alone(&connection->wheel)) return;
    link_remove(&connection->wheel);
    uint32_t seconds = deadline_s - server->now_s;
    connection->slot_s = server->now_s + (seconds < WHEEL_SLOTS ? seconds : WHEEL_SLOTS - 1);
    link_append(&server->wheel[connection->slot_s % WHEEL_SLOTS], &connection->wheel);
}

/* The connection's time is up `seconds` from now, or up to a second later, never earlier: the
 * second that has begun does not count. */
void connection_set_deadline(struct connection *connection, uint32_t seconds) {
    hang_until(connection, connection->server->now_s + seconds + 1);
}

static void close_late(struct connection *connection, enum time_out why) {
    counter_add(&connection->server->counts.timed_out[why], 1);
    connection_close(connection);
}

static void time_is_up(struct connection *connection) {
    uint32_t idle_timeout_s = SERVER_SETTING(connection->server, idle_timeout_s);
    if (connection->is_sending) {
        size_t unsent = connection->rest->n;
        bool has_moved = unsent < connection->unsent;
        connection->unsent = unsent;
        if (has_moved)
            connection_set_deadline(connection, idle_timeout_s);
        else
            close_late(connection, TIME_OUT_ANSWER);
        return;
    }
    if (connection->first != NULL || connection->stream != NULL) {
        /* Claims have a deadline of their own. */
        connection_set_deadline(connection, idle_timeout_s);
        return;
    }
    if (!connection->is_partial || connection->is_lingering) {
        close_late(connection, connection->is_lingering ? TIME_OUT_CLOSE : TIME_OUT_IDLE);
        return;
    }
    counter_add(&connection->server->counts.timed_out[TIME_OUT_REQUEST], 1);
    connection->server->out.carried = (struct carried){0};
    connection_refuse(
        connection,
        &(struct http_refusal){.status = 408,
                               .code = "request_timeout",
                               .text = "The request did not arrive whole in the time allowed."});
    if (connection_send(connection)) connection_linger(connection);
}

void connection_wheel_turn(struct server *server) {
    struct link due = {&due, &due};
    struct link *slot = &server->wheel[server->now_s % WHEEL_SLOTS];
    while (!link_is_alone(slot)) {
        struct link *link = slot->next;
        link_remove(link);
        link_append(&due, link);
    }
    while (!link_is_alone(&due)) {
        struct connection *connection = CONTAINER_OF(due.next, struct connection, wheel);
        link_remove(&connection->wheel);
        if (connection->deadline_s > server->now_s)
            hang_until(connection, connection->deadline_s);
        else
            time_is_up(connection);
        if (link_is_alone(&connection->wheel) && !connection->is_closed)
            hang_until(connection, server->now_s + 1);
    }
}

size_t connection_count(const struct server *server) {
    size_t count = 0;
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        for (struct link *link = server->wheel[i].next; link != &server->wheel[i];
             link = link->next)
            count++;
    return count;
}

void connection_drain_all(struct server *server, bool hard) {
    struct sockets *sockets = server->sockets;
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        struct link *slot = &server->wheel[i];
        for (struct link *link = slot->next, *next; link != slot; link = next) {
            next = link->next;
            struct connection *connection = CONTAINER_OF(link, struct connection, wheel);
            bool is_idle = connection->first == NULL && !connection->is_sending &&
                           connection->stream == NULL && !connection->is_partial &&
                           !connection->is_lingering &&
                           !sockets->ops->has_unread(sockets, connection->fd);
            if (hard || is_idle) connection_close(connection);
        }
    }
}
