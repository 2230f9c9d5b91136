/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /admin/v1/stream[?event=ID]: the state of the server and of one event, once a second, as
 * server-sent events. Each is whole (but for the seconds of history, of which only the first one
 * has all), so who comes back after a break needs nothing of before. The number of streams is
 * bounded; one whose reader does not keep up is ended, and so is one whose session has.
 */
#pragma once

#include "api/connection.h"

struct console;

enum { LIVE_STREAMS_MAX = 32, LIVE_SLOW_S = 10 };

void live_handle(struct exchange *exchange);

/* Sends the next snapshot on every stream. */
void live_second(struct console *console);
