/* SPDX-License-Identifier: Apache-2.0
 *
 * Where all views of a running server are: those of the network threads, the engine's and the
 * copy's. Equal numbers of records with unequal digests would mean that two threads tell people
 * different things.
 */
#pragma once

#include <stddef.h>

#include "api/server.h"
#include "verify/decision.h"

/* Fills at most `max` points and returns how many. Any thread, until the servers are freed. */
size_t views_points(const struct server_shared *shared, const struct engine_thread *engine,
                    struct view_point *points, size_t max);
