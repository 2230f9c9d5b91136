/* SPDX-License-Identifier: Apache-2.0 */
#include "api/live.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "api/admin_access.h"
#include "api/console.h"
#include "api/issue.h"
#include "api/snapshot.h"
#include "api/stream.h"

static bool may_go_on(const struct server *server, const struct stream *stream) {
    if (server->is_draining) return false;
    return stream->session == 0 || session_is_alive(&server->console->sessions, stream->session,
                                                    clock_monotonic_ns(server->shared->clock));
}

/* One server-sent event, or the end. `part` counts them, `next` is the number of the event looked
 * at plus one. */
static size_t live_piece(struct server *server, struct stream *stream, char *out) {
    if (!may_go_on(server, stream)) return 0;
    uint32_t count = view_events_count(server->view);
    if (stream->next == 0) stream->next = count; /* the newest, as soon as there is one */
    const struct event *event = stream->next == 0 ? NULL : view_at(server->view, stream->next - 1);
    bool is_first = stream->part++ == 0;
    int head = snprintf(out, STREAM_PIECE_BYTES,
                        "%sid: %u\nevent: snapshot\ndata: ", is_first ? "retry: 2000\n" : "",
                        stream->part);
    ASSERT(head > 0);
    size_t n = (size_t)head;
    n += snapshot_write(server, event, is_first, out + n, STREAM_PIECE_BYTES - n - 2);
    memcpy(out + n, "\n\n", 2);
    stream->is_resting = true;
    return n + 2;
}

/* Little is to wait in the kernel for a reader who does not read. */
static void keep_short(struct connection *connection) {
    int bytes = 32 * 1024;
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static uint32_t streams_count(const struct console *console) {
    uint32_t count = 0;
    for (const struct link *link = console->live.next; link != &console->live; link = link->next)
        count++;
    return count;
}

static void start(struct exchange *exchange, uint32_t event) {
    struct connection *connection = exchange->connection;
    struct console *console = exchange->server->console;
    const struct session *session =
        exchange->request->authorization.p == NULL ? admin_session(exchange) : NULL;
    keep_short(connection);
    stream_start(exchange, SLICE("text/event-stream; charset=utf-8"),
                 &(struct stream){.piece = live_piece,
                                  .next = event,
                                  .session = session == NULL ? 0 : session->number,
                                  .fields = SLICE("Cache-Control: no-store\r\n"
                                                  "X-Accel-Buffering: no\r\n")});
    if (connection->stream == NULL) return; /* HEAD */
    connection->stream->connection = connection;
    link_append(&console->live, &connection->stream->live);
    counter_set(&exchange->server->counts.streams, streams_count(console));
}

void live_handle(struct exchange *exchange) {
    static const struct slice name = {"event=", 6};
    if (!admin_admits(exchange)) return;
    struct slice query = exchange->request->query;
    uint32_t number = 0;
    if (query.n > name.n && memcmp(query.p, name.p, name.n) == 0) {
        const struct event *event =
            issue_event_of_path(exchange, slice_of(query.p + name.n, query.n - name.n));
        if (event == NULL) return;
        number = event->number + 1;
    }
    if (streams_count(exchange->server->console) < LIVE_STREAMS_MAX) {
        start(exchange, number);
        return;
    }
    exchange_problem(exchange, (struct problem){.status = 503,
                                                .code = "too_many_streams",
                                                .detail = "Too many pages are looking on.",
                                                .retry_after_s = 5});
}

static void next_snapshot(struct stream *stream) {
    struct connection *connection = stream->connection;
    if (!connection->is_sending) {
        stream->missed = 0;
        stream->is_resting = false;
        stream_continue(connection);
        return;
    }
    if (++stream->missed <= LIVE_SLOW_S) return;
    counter_add(&connection->server->counts.timed_out[TIME_OUT_ANSWER], 1);
    connection_close(connection);
}

void live_second(struct console *console) {
    struct link *next;
    for (struct link *link = console->live.next; link != &console->live; link = next) {
        next = link->next;
        next_snapshot(CONTAINER_OF(link, struct stream, live));
    }
    counter_set(&console->server->counts.streams, streams_count(console));
}
