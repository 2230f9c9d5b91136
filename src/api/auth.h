/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may claim, with --auth jwt: the bearer token of a request must be good (lib/bearer.h) and its
 * `sub` the user that the request speaks for.
 *
 * It is asked for where an answer is about that user: a claim that may win, a coupon that is there
 * or was returned, "did I get it?". What everybody is told alike (sold out, not started, ended,
 * paused, an unknown event) is told without, so that losers cost nothing more. From the difference
 * somebody without a token can learn that a user has a coupon, and not which one.
 */
#pragma once

#include <stdbool.h>

#include "api/connection.h"

/* True when the request is from `user_id`, or nobody is asked. False: the refusal (401, 403) is
 * written, or stands behind what the connection waits for. `is_claim`: it is counted as one. */
bool auth_admits(struct exchange *exchange, struct slice user_id, bool is_claim);
