/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/coupons/user/{user_id}/event/{event_id}: "did I get it?"
 */
#pragma once

#include "api/connection.h"

void user_handle(struct exchange *exchange);
