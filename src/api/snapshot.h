/* SPDX-License-Identifier: Apache-2.0
 *
 * What the status page shows, as one line of JSON: the server's health, how long claims waited, the
 * newest events, and one event in full, with its curve of issuing and its seconds of requests.
 */
#pragma once

#include <stddef.h>

#include "api/server.h"

/* Writes it to `out` with `room`, of which it takes at most 100 KiB; its length. `event` may be
 * NULL. With `is_whole` the history has all its seconds, else only the last few. */
size_t snapshot_write(struct server *server, const struct event *event, bool is_whole, char *out,
                      size_t room);
