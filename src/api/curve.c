/* SPDX-License-Identifier: Apache-2.0 */
#include "api/curve.h"

#include "lib/base.h"

/* The steps that a person reads off an axis, in ms: parts of seconds, seconds, minutes, hours,
 * days. */
static const int64_t steps_ms[] = {
    10,    20,    50,     100,    200,    500,     1000,    2000,    5000,     10000,    15000,
    30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 7200000, 21600000, 43200000, 86400000,
};

static bool fits(int64_t step_ms, int64_t first_ms, int64_t last_ms) {
    return last_ms / step_ms - first_ms / step_ms < CURVE_STEPS_MAX;
}

static int64_t step_for(int64_t first_ms, int64_t last_ms) {
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(steps_ms) && !fits(steps_ms[i], first_ms, last_ms)) i++;
    int64_t step_ms = steps_ms[i];
    while (!fits(step_ms, first_ms, last_ms)) step_ms *= 2;
    return step_ms;
}

void curve_make(struct curve *curve, const struct judge *judge) {
    const struct judge_state *state = judge_state(judge);
    struct coupon coupon;
    int64_t first_ms = INT64_MAX, last_ms = 0;
    *curve = (struct curve){.offset = state->offset, .step_ms = steps_ms[0]};
    for (uint32_t serial = 1; serial <= state->serial_max; serial++) {
        if (!judge_holder(judge, serial, &coupon)) continue;
        if (coupon.issued_ms < first_ms) first_ms = coupon.issued_ms;
        if (coupon.issued_ms > last_ms) last_ms = coupon.issued_ms;
    }
    if (first_ms == INT64_MAX) return;
    curve->step_ms = step_for(first_ms, last_ms);
    int64_t first_step = first_ms / curve->step_ms;
    curve->from_ms = first_step * curve->step_ms;
    curve->steps = (uint32_t)(last_ms / curve->step_ms - first_step) + 1;
    for (uint32_t serial = 1; serial <= state->serial_max; serial++)
        if (judge_holder(judge, serial, &coupon))
            curve->counts[coupon.issued_ms / curve->step_ms - first_step]++;
}
