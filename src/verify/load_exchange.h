/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests out and answers in: the hot path of the load generator. A window of requests is one
 * write, its answers are one read; an answer is compared with the bytes of the last common one
 * before anything is parsed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "verify/load_worker.h"

enum { EXCHANGE_IN_BYTES = 192 * 1024, EXCHANGE_TRIES_MAX = 8 };

/* Something can be sent at once, if only a connection has room. */
bool exchange_has_work(const struct load_worker *worker, uint64_t now_ns);
/* When there will be something to be sent; UINT64_MAX for never. */
uint64_t exchange_next_ns(const struct load_worker *worker);

/* Sends what there is on `connection`: its whole window in a closed loop, its part of what is due
 * in an open one. How many requests, or a negative errno when the connection broke. */
ptrdiff_t exchange_fill(struct load_worker *worker, struct load_connection *connection,
                        uint64_t now_ns);

/* Sends everything that is under way on a connection that has just been opened again; what was
 * tried too often is given up. 0 or a negative errno. */
int exchange_resend(struct load_worker *worker, struct load_connection *connection,
                    uint64_t now_ns);

/* For the history: what was sent as `sent` will not be answered. */
void exchange_lost(struct load_worker *worker, const struct load_sent *sent);

/* Reads and judges all answers that have come. 0; -EAGAIN when the peer announced that it closes;
 * -EPROTO when it talks nonsense; another negative errno when the connection broke. */
int exchange_receive(struct load_worker *worker, struct load_connection *connection, bool to_end);
