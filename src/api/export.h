/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /admin/v1/events/{id}/export: all holders of an event in order of their serials, as CSV or
 * NDJSON, streamed.
 */
#pragma once

#include "api/connection.h"
#include "api/export_row.h"

/* Answers with the holders of `event`; this node must have the key of its codes. */
void export_start(struct exchange *exchange, const struct event *event, enum export_format format);
