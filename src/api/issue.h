/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /api/v1/coupons/issue: the claim. What the view has decided is answered here; the rest asks
 * the engine.
 */
#pragma once

#include "api/connection.h"

void issue_handle(struct exchange *exchange);

/* The claim of `exchange` goes to the engine, or is refused with 503 when too many are there.
 * `write` writes the answer. */
void issue_ask(struct exchange *exchange, enum claim_kind kind,
               void (*write)(struct server *server, const struct waiting *place),
               const struct event *event, struct slice user_id, struct slice claim_id);

/* Adds ,"event_id":…,"user_id":…,"coupon_id":…,"serial":…,"issued_at":… ; false when this node
 * lacks the key of the event's codes. */
bool issue_add_coupon(struct server *server, struct body *body, const struct event *event,
                      const struct coupon *coupon);

/* Answers 404 unknown_event. */
void issue_unknown_event(struct exchange *exchange);

/* The event that a segment of a path names, percent-encoded or not; NULL when 404 was answered. */
const struct event *issue_event_of_path(struct exchange *exchange, struct slice segment);
