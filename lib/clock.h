/* SPDX-License-Identifier: Apache-2.0
 *
 * Time is a parameter: whoever needs it is given a clock, so that a test or the simulator owns it.
 */
#pragma once

#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(const struct clock *clock);      /* milliseconds since 1970, may jump */
    uint64_t (*monotonic_ns)(const struct clock *clock); /* for time-outs and latencies only */
};

/* CLOCK_REALTIME and CLOCK_MONOTONIC of this machine. */
extern const struct clock clock_system;

static inline int64_t clock_wall_ms(const struct clock *clock) { return clock->wall_ms(clock); }
static inline uint64_t clock_monotonic_ns(const struct clock *clock) {
    return clock->monotonic_ns(clock);
}
