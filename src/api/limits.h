/* SPDX-License-Identifier: Apache-2.0
 *
 * How often one address and one user may claim and ask "did I get it?". Whoever asks more often is
 * answered 429 with Retry-After, before anything is decided or reserved. Handlers call these first;
 * true means go on, false that the request is answered or waits for its turn.
 *
 * A limit that is off, or a client of this machine unless --limit-loopback, costs a comparison. No
 * lock, no allocation, no system call otherwise: the time is asked for once a turn.
 */
#pragma once

#include <stdbool.h>

#include "api/connection.h"
#include "lib/slice.h"

/* Is any limit for this client? Nobody becomes one of this machine by what a header says. */
static inline bool limits_hold(const struct exchange *exchange) {
    const struct gate *gate = server_gate(exchange->server);
    bool is_local =
        exchange->connection->is_local && exchange->request->x_forwarded_for[0].p == NULL;
    return gate->is_limiting && (!is_local || gate->limits_loopback);
}

bool limits_count_address(struct exchange *exchange);
bool limits_count_user(struct exchange *exchange, struct slice user_id);

/* By the address of the client (forwarded.h; IPv6 by /64). */
static inline bool limits_pass_address(struct exchange *exchange) {
    return LIKELY(!limits_hold(exchange)) || limits_count_address(exchange);
}
/* By `user_id`, once it is known that the client may speak for it. */
static inline bool limits_pass_user(struct exchange *exchange, struct slice user_id) {
    return LIKELY(!limits_hold(exchange)) || limits_count_user(exchange, user_id);
}
