/* SPDX-License-Identifier: Apache-2.0
 *
 * Events, as the admin routes tell them in JSON, as text for people. Pure; for admin_client.c.
 */
#pragma once

#include <jansson.h>

#include "lib/base.h"
#include "lib/buf.h"

/* One event, a line for each of its properties. False when `event` is not one. */
bool admin_table_event(struct buf *out, const json_t *event);

/* {"events":[…]}, a line for each event under a heading. False when `events` is not that. */
bool admin_table_events(struct buf *out, const json_t *events);
