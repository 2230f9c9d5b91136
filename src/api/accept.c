/* SPDX-License-Identifier: Apache-2.0
 *
 * How connections come: taken from the listening socket as long as there is room, told so when
 * there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/connection.h"
#include "api/routes.h"
#include "lib/logger.h"

enum {
    ACCEPTS_MAX = 128, /* in one go, so that connections that are open get their turn */
    ADMIN_MORE = 16, /* connections that the operator may open when the public has all of its own */
};

static struct logger_limit too_many_limit;

/* One more than there is room for: it is told so, as far as its socket takes it. */
static void send_away(struct server *server, int fd) {
    logger_line_limited(&too_many_limit, LOG_WARN, "server",
                        "event=connection_limit connections_max=%llu action=answered_503 "
                        "hint=\"raise the limit of open files or --connections-max\"",
                        (unsigned long long)SERVER_SETTING(server, connections_max));
    ASSERT(server->out.n == 0);
    counter_add(&server->counts.connections_refused, 1);
    server->out.replies = route_replies(server, NULL);
    server->out.carried = (struct carried){0};
    reply_write_problem(&server->out, server->date,
                        &(struct problem){.status = 503,
                                          .code = "too_many_connections",
                                          .detail = "Too many connections are open. Try again.",
                                          .retry_after_s = 2},
                        true, false);
    ssize_t n = send(fd, server->out.bytes, server->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n; /* whoever cannot take it sees the connection end, which says the same */
    server->out.n = 0;
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void connection_open(struct server *server, int fd, const struct ip *peer) {
    struct server_shared *shared = server->shared;
    uint64_t others = atomic_fetch_add_explicit(&shared->connections, 1, memory_order_relaxed);
    uint64_t max =
        SERVER_SETTING(server, connections_max) + (server->routes == admin_routes ? ADMIN_MORE : 0);
    struct connection *connection = others < max ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL ||
        server->sockets->ops->watch(server->sockets, fd, connection, false) != 0) {
        free(connection);
        atomic_fetch_sub_explicit(&shared->connections, 1, memory_order_relaxed);
        send_away(server, fd);
        return;
    }
    connection->server = server;
    connection->fd = fd;
    connection->peer = *peer;
    connection->is_local = ip_is_loopback(peer);
    link_init(&connection->wheel);
    link_init(&connection->touched);
    link_init(&connection->turn);
    connection_set_deadline(connection, SERVER_SETTING(server, idle_timeout_s));
    counter_add(&server->counts.connections_accepted, 1);
    connection_start_reading(connection);
}

/* No file descriptor is left in the process: the spare one is given up, so that the client can be
 * told instead of waiting in the backlog for ever. SENT_NOBODY: there was no client, accept4 says
 * that no file is left before it looks for one. SENT_NONE_FREE: there is no spare one to give up,
 * because another thread was quicker to take it. */
enum sent { SENT_AWAY, SENT_NOBODY, SENT_NONE_FREE };

static enum sent send_away_with_spare(struct server *server) {
    if (server->spare_fd < 0) server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (server->spare_fd < 0) return SENT_NONE_FREE;
    close(server->spare_fd);
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    bool is_none_free = fd < 0 && (errno == EMFILE || errno == ENFILE);
    if (fd >= 0) send_away(server, fd);
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return SENT_AWAY;
    return is_none_free ? SENT_NONE_FREE : SENT_NOBODY;
}

void connection_accept(struct server *server) {
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        union {
            struct sockaddr any;
            struct sockaddr_in6 widest;
        } peer = {.widest = {0}};
        socklen_t bytes = sizeof peer;
        int fd = accept4(server->listen_fd, &peer.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            const struct ip ip = ip_of_socket(&peer.any);
            connection_open(server, fd, &ip);
        } else if (errno == EMFILE || errno == ENFILE) {
            enum sent sent = send_away_with_spare(server);
            if (sent == SENT_NONE_FREE) server_rest_from_accepting(server);
            if (sent != SENT_AWAY) return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}
