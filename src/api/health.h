/* SPDX-License-Identifier: Apache-2.0
 *
 * /health tells the truth about each part; /livez and /readyz are for whoever restarts or routes.
 */
#pragma once

#include <stdbool.h>

#include "api/connection.h"

/* Adds what /health says: of the journal, the engine, the views, the copy and the disk, each for
 * itself, and in one word of all. True when the server is down. */
bool health_add(struct body *body, const struct server *server);

void health_handle(struct exchange *exchange);
void health_handle_live(struct exchange *exchange);
void health_handle_ready(struct exchange *exchange);
