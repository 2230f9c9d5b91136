/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of TLS 1.2 and 1.3 as a machine without sockets: encrypted bytes go in and come
 * out by these functions, and whoever owns the connection carries them.
 *
 * The server must have a certificate of the given authority. Its name is not compared: the nodes of
 * a cluster are found by address, and an authority of their own is what sets them apart.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/err.h"

struct tls_client; /* what connections have in common; any number of them use it */
struct tls;        /* one connection's */

/* `authority` is a file of certificates in PEM. `certificate` and `key` are the client's own, or
 * both NULL. 0 or a negative errno that names the file. */
int tls_client_new(struct tls_client **client, const char *authority, const char *certificate,
                   const char *key, struct err *err) MUST_CHECK;
void tls_client_free(struct tls_client *client);

/* NULL when memory is short. */
struct tls *tls_new(struct tls_client *client);
void tls_free(struct tls *tls);

/* Bytes that came from the other side. False when memory is short. */
bool tls_feed(struct tls *tls, const void *bytes, size_t n) MUST_CHECK;

/* Shakes hands as far as the bytes fed so far allow. 0: done. -EAGAIN: feed more, once what
 * tls_take gives is sent. -EPROTO: refused, tls_problem says why. */
int tls_handshake(struct tls *tls) MUST_CHECK;

/* What the other side said, decrypted: its bytes, 0 when it has closed, -EAGAIN when there is no
 * more for now, -EPROTO. */
ssize_t tls_read(struct tls *tls, void *to, size_t bytes);

/* Encrypts all of it. After the handshake. 0 or -EPROTO. */
int tls_write(struct tls *tls, const void *from, size_t bytes) MUST_CHECK;

/* Moves what is to be sent to the end of `out`. */
void tls_take(struct tls *tls, struct buf *out);

/* The last refusal in words. */
const char *tls_problem(const struct tls *tls);
