/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine's own clocks, chosen in serve.c and handed to whoever needs time.
 */
#include "lib/clock.h"

#include <time.h>

#include "lib/base.h"

static int64_t system_wall_ms(const struct clock *clock) {
    (void)clock;
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t system_monotonic_ns(const struct clock *clock) {
    (void)clock;
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const struct clock clock_system = {
    .wall_ms = system_wall_ms,
    .monotonic_ns = system_monotonic_ns,
};
