/* SPDX-License-Identifier: Apache-2.0
 *
 * When an event's coupons were issued, as counts in equal steps of time, for a picture. Made of the
 * coupons that are held, so it is there after any restart, whenever somebody first looks, and is in
 * step with the log. Pure. Costs a pass over the serials: for the admin thread alone.
 */
#pragma once

#include <stdint.h>

#include "claim/judge.h"

enum { CURVE_STEPS_MAX = 240 };

struct curve {
    uint64_t offset; /* of the log, that it was made at; 0: of no event */
    int64_t from_ms; /* where the first step begins, a multiple of step_ms */
    int64_t step_ms; /* 10 ms, or more so that all steps fit */
    uint32_t steps;  /* with the last coupon in the last one; 0: no coupon is held */
    uint32_t counts[CURVE_STEPS_MAX];
};

void curve_make(struct curve *curve, const struct judge *judge);
