/* SPDX-License-Identifier: Apache-2.0
 *
 * What the event's public status says, before and after a load run.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "verify/load_config.h"

/* A bitmap of the serials in the export is kept: this bounds it. */
#define LOAD_STOCK_MAX INT64_C(1000000000)

struct load_status {
    int64_t stock, remaining, holders;
    char state[32]; /* "active", "sold_out", … */
};

/* GET /api/v1/coupons/status/{event}. 0, or a negative errno with a sentence: no connection, no
 * such event, an answer that cannot be understood. */
int load_status_read(const struct load_config *config, struct load_status *status,
                     struct err *err) MUST_CHECK;
