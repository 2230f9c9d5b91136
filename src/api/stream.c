/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stream.h"

#include <stdio.h>
#include <stdlib.h>

void stream_start(struct exchange *exchange, struct slice type, const struct stream *stream) {
    struct connection *connection = exchange->connection;
    if (exchange_must_wait(exchange)) return;
    struct server *server = exchange->server;
    bool is_chunked = exchange->request->minor_version == 1;
    bool close = exchange->close || !is_chunked;
    if (close) connection->is_last = true;
    reply_write_stream_head(&server->out, server->date,
                            &(struct reply){.type = type, .fields = stream->fields, .close = close},
                            is_chunked);
    if (exchange->head_only) return;
    connection->stream = memory_needed(malloc(sizeof *connection->stream));
    *connection->stream = *stream;
    connection->stream->is_chunked = is_chunked;
    link_init(&connection->stream->live);
    carried_keep(&connection->stream->carried, &server->out.carried);
}

void stream_free(struct stream *stream) {
    if (stream == NULL) return;
    link_remove(&stream->live);
    free(stream);
}

void stream_log_dropped(const struct stream *stream) {
    const struct carried carried = carried_of(&stream->carried);
    if (!stream->is_resting) carried_log_dropped(&carried);
}

static void add_piece(struct output *out, const char *piece, size_t n, bool is_chunked) {
    char size[20];
    int size_bytes = snprintf(size, sizeof size, "%zx\r\n", n);
    if (is_chunked) output_add(out, size, (size_t)size_bytes);
    output_add(out, piece, n);
    if (is_chunked) output_add_literal(out, "\r\n");
}

void stream_continue(struct connection *connection) {
    struct server *server = connection->server;
    struct stream *stream = connection->stream;
    if (stream->is_resting) return;
    bool is_chunked = stream->is_chunked;
    char piece[STREAM_PIECE_BYTES];
    size_t n = stream->piece(server, stream, piece);
    if (n != 0) {
        add_piece(&server->out, piece, n, is_chunked);
    } else {
        stream_free(stream);
        connection->stream = NULL;
        if (is_chunked) output_add_literal(&server->out, "0\r\n\r\n");
    }
    connection_send_queued(connection);
}
