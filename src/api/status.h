/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/coupons/status/{event_id}: where an event stands.
 */
#pragma once

#include "api/connection.h"

void status_handle(struct exchange *exchange);

/* Claims of an event that all threads have told `outcome`, or anything. */
uint64_t status_claims_told(const struct server_shared *shared, uint32_t event,
                            enum claim_outcome outcome);
uint64_t status_claims(const struct server_shared *shared, uint32_t event);

/* The time by which events are shown: the engine tells its own only while some event is about to
 * start or end. */
int64_t status_now_ms(const struct server *server);

/* {"event_id":…,"total_stock":…,…} without the closing brace: admin answers go on from there. */
void status_add_event(struct body *body, const struct event *event, int64_t now_ms);
