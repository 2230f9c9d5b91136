/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer of any length, made and sent piece by piece: no more than one piece is in memory, and
 * other connections get their turn between two.
 */
#pragma once

#include "api/connection.h"
#include "api/link.h"

enum { STREAM_PIECE_BYTES = 128 * 1024 };

struct stream {
    /* Writes the next piece to `out` (STREAM_PIECE_BYTES of room) and returns its length; 0 at the
     * end. */
    size_t (*piece)(struct server *server, struct stream *stream, char *out);
    const struct event *event; /* the rest is the piece function's own */
    uint32_t part, next, count;
    bool has_begun, has_ended;
    bool is_chunked;
    struct carried_copy carried; /* by the request */
    struct slice fields; /* extra header lines of the head, each with its CRLF */

    /* Of a stream that has nothing to send for a while (live.h): the piece function sets is_resting,
     * and its owner wakes it. */
    bool is_resting;
    uint8_t missed; /* times that it was still sending when its next piece was due */
    struct link live;
    struct connection *connection;
    uint64_t session; /* number of the session that it ends with; 0: of none */
};

/* Begins the answer with a head of `type`; `stream` is copied. */
void stream_start(struct exchange *exchange, struct slice type, const struct stream *stream);

/* Says that the answer ended before it was whole: the client went, or took no more. A stream that
 * rests has no end to wait for. */
void stream_log_dropped(const struct stream *stream);

/* Sends the next piece, unless it rests. */
void stream_continue(struct connection *connection);

/* NULL is no stream. */
void stream_free(struct stream *stream);
