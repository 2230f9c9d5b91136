/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/redis/connection.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    READ_BYTES = 16 * 1024,
    /* A bound against mistakes only: whoever writes bounds what is on its way. */
    OUT_BYTES_MAX = 1 << 30,
    /* Buffers that grew beyond this are given back once they are empty. */
    OUT_BYTES_KEPT = 1 << 20,
};

void redis_connection_init(struct redis_connection *connection,
                           const struct redis_connection_options *options, void *owner) {
    *connection = (struct redis_connection){.options = options, .owner = owner, .fd = -1};
    buf_init(&connection->out, OUT_BYTES_MAX);
    buf_init(&connection->wire, OUT_BYTES_MAX);
}

static void note(struct redis_connection *connection, const char *text) {
    snprintf(connection->problem, sizeof connection->problem, "%s", text);
    for (char *p = connection->problem; *p != 0; p++)
        if (*p == '"' || *p == '\n' || *p == '\r') *p = '\'';
}

static const char *words_of(int code) {
    if (code == -ETIMEDOUT) return "no answer in time";
    if (code == -ECONNRESET) return "closed by the node";
    return strerror(-code);
}

int redis_connection_open(struct redis_connection *connection,
                          const struct redis_address *address) {
    ASSERT(connection->state == REDIS_CLOSED);
    const struct redis_connection_options *options = connection->options;
    struct sockaddr_storage to;
    socklen_t bytes = redis_address_socket(address, &to);
    connection->problem[0] = 0;
    connection->written = connection->sent = 0;
    connection->state = REDIS_CONNECTING;
    connection->reader = redisReaderCreate();
    if (options->tls != NULL) connection->tls = tls_new(options->tls);
    int code = connection->reader == NULL || (options->tls != NULL && connection->tls == NULL)
                   ? -ENOMEM
                   : 0;
    if (code == 0) {
        connection->fd =
            options->sockets->ops->connect(options->sockets, (struct sockaddr *)&to, bytes);
        code = connection->fd < 0 ? connection->fd : 0;
    }
    if (code == 0)
        code =
            options->sockets->ops->watch(options->sockets, connection->fd, connection->owner, true);
    if (code != 0) redis_connection_close(connection, code);
    return code;
}

void redis_connection_close(struct redis_connection *connection, int code) {
    if (connection->state == REDIS_CLOSED) return;
    if (connection->problem[0] == 0) note(connection, words_of(code));
    struct sockets *sockets = connection->options->sockets;
    if (connection->fd >= 0) sockets->ops->close(sockets, connection->fd);
    if (connection->reader != NULL) redisReaderFree(connection->reader);
    tls_free(connection->tls);
    buf_deinit(&connection->out);
    buf_deinit(&connection->wire);
    connection->fd = -1;
    connection->reader = NULL;
    connection->tls = NULL;
    connection->out_at = 0;
    connection->state = REDIS_CLOSED;
}

void redis_connection_deinit(struct redis_connection *connection) {
    redis_connection_close(connection, -ECANCELED);
}

void redis_connection_wrote(struct redis_connection *connection, size_t bytes) {
    connection->written += bytes;
}

void redis_add_word(struct buf *out, struct slice word) {
    buf_add(out, "$", 1);
    buf_add_u64(out, word.n);
    buf_add(out, "\r\n", 2);
    buf_add_slice(out, word);
    buf_add(out, "\r\n", 2);
}

/* ---- out ---- */

static void emptied(struct buf *buf) {
    if (buf->capacity > OUT_BYTES_KEPT) buf_deinit(buf);
    buf->n = 0;
}

/* Sends from `buf`, behind what is sent already. */
static int send_from(struct redis_connection *connection, struct buf *buf) {
    struct sockets *sockets = connection->options->sockets;
    while (connection->out_at < buf->n) {
        ssize_t n = sockets->ops->send(sockets, connection->fd, buf->p + connection->out_at,
                                       buf->n - connection->out_at);
        if (n == -EAGAIN) return 0;
        if (n < 0) return (int)n;
        connection->out_at += (size_t)n;
    }
    connection->out_at = 0;
    emptied(buf);
    return 0;
}

static int send_wire(struct redis_connection *connection) {
    tls_take(connection->tls, &connection->wire);
    if (connection->wire.failed) return -ENOMEM;
    return send_from(connection, &connection->wire);
}

static int flush_encrypted(struct redis_connection *connection) {
    if (connection->out.n > 0) {
        connection->sent = connection->written; /* encrypted parts cannot be told apart: all may */
        if (tls_write(connection->tls, connection->out.p, connection->out.n) != 0) {
            note(connection, tls_problem(connection->tls));
            return -EPROTO;
        }
        emptied(&connection->out);
    }
    return send_wire(connection);
}

int redis_connection_flush(struct redis_connection *connection) {
    if (connection->state < REDIS_ENTERING) return 0;
    if (connection->out.failed) return -ENOMEM;
    if (connection->tls != NULL) return flush_encrypted(connection);
    int code = send_from(connection, &connection->out);
    connection->sent = connection->written - (connection->out.n - connection->out_at);
    return code;
}

/* ---- the way to READY ---- */

static int enter(struct redis_connection *connection) {
    const struct redis_connection_options *options = connection->options;
    connection->state = options->password == NULL ? REDIS_READY : REDIS_ENTERING;
    if (options->password == NULL) return 0;
    struct buf *out = &connection->out;
    buf_add_text(out, options->user == NULL ? "*2\r\n" : "*3\r\n");
    redis_add_word(out, SLICE("AUTH"));
    if (options->user != NULL) redis_add_word(out, slice_str(options->user));
    redis_add_word(out, slice_str(options->password));
    redis_connection_wrote(connection, out->n);
    return redis_connection_flush(connection);
}

static int shake(struct redis_connection *connection) {
    int code = tls_handshake(connection->tls);
    if (code == -EPROTO) note(connection, tls_problem(connection->tls));
    int sent = send_wire(connection); /* an alert that says why, too */
    if (code == 0 && sent == 0) return enter(connection);
    return code == -EAGAIN ? sent : code != 0 ? code : sent;
}

static int connected(struct redis_connection *connection) {
    if (connection->tls == NULL) return enter(connection);
    connection->state = REDIS_SHAKING;
    return shake(connection);
}

/* ---- in ---- */

static int entered(struct redis_connection *connection, const struct redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR) {
        note(connection, reply->str);
        return -EACCES;
    }
    connection->state = REDIS_READY;
    return 0;
}

static int take_replies(struct redis_connection *connection) {
    const struct redis_connection_options *options = connection->options;
    void *reply = NULL;
    int code = 0;
    while (code == 0 && redisReaderGetReply(connection->reader, &reply) == REDIS_OK) {
        if (reply == NULL) return 0;
        if (connection->state == REDIS_ENTERING)
            code = entered(connection, reply);
        else
            options->on_reply(options->ctx, connection->owner, reply);
        freeReplyObject(reply);
    }
    if (code == 0) {
        note(connection, connection->reader->errstr);
        code = -EPROTO;
    }
    return code;
}

static int take_plain(struct redis_connection *connection, const char *bytes, size_t n) {
    if (redisReaderFeed(connection->reader, bytes, n) != REDIS_OK) return -ENOMEM;
    return take_replies(connection);
}

static int take_encrypted(struct redis_connection *connection, const char *bytes, size_t n) {
    if (!tls_feed(connection->tls, bytes, n)) return -ENOMEM;
    int code = connection->state == REDIS_SHAKING ? shake(connection) : 0;
    if (code != 0 || connection->state == REDIS_SHAKING) return code;
    char plain[READ_BYTES];
    ssize_t got;
    while (code == 0 && (got = tls_read(connection->tls, plain, sizeof plain)) > 0)
        code = take_plain(connection, plain, (size_t)got);
    if (code != 0 || got == -EAGAIN) return code;
    if (got == -EPROTO) note(connection, tls_problem(connection->tls));
    return got == 0 ? -ECONNRESET : (int)got;
}

static int receive_all(struct redis_connection *connection, bool has_ended) {
    struct sockets *sockets = connection->options->sockets;
    char bytes[READ_BYTES];
    for (;;) {
        ssize_t n = sockets->ops->receive(sockets, connection->fd, bytes, sizeof bytes);
        if (n == -EAGAIN) return 0;
        if (n <= 0) return n == 0 ? -ECONNRESET : (int)n;
        int code = connection->tls == NULL ? take_plain(connection, bytes, (size_t)n)
                                           : take_encrypted(connection, bytes, (size_t)n);
        if (code != 0) return code;
        if ((size_t)n < sizeof bytes && !has_ended) return 0; /* more comes with an edge */
    }
}

int redis_connection_on_event(struct redis_connection *connection, unsigned what) {
    int code = 0;
    if (connection->state == REDIS_CLOSED) return 0; /* of a socket that is closed by now */
    if ((what & (SOCKET_READABLE | SOCKET_ENDED)) != 0)
        code = receive_all(connection, (what & SOCKET_ENDED) != 0);
    if (code != 0 || (what & SOCKET_WRITABLE) == 0) return code;
    if (connection->state == REDIS_CONNECTING) return connected(connection);
    if (connection->state == REDIS_SHAKING) return send_wire(connection);
    return redis_connection_flush(connection);
}
