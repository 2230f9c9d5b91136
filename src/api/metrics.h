/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics: everything that is counted, in Prometheus' text format, streamed. Without a token:
 * it is on the admin listener, and on the public one only by --metrics-public. It tells names of
 * events and numbers, nothing of users.
 */
#pragma once

#include "api/connection.h"

void metrics_handle(struct exchange *exchange);
