/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine's clocks in the units that the header names, and a clock of one's own.
 */
#include "lib/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void the_wall_clock_counts_milliseconds_since_1970(void **state) {
    (void)state;
    int64_t before = (int64_t)time(NULL), ms = clock_wall_ms(&clock_system);
    int64_t after = (int64_t)time(NULL);
    /* time(2) may lag the other clock by a tick. */
    assert_true(ms / 1000 >= before && ms / 1000 <= after + 1);
}

static void the_monotonic_clock_counts_nanoseconds(void **state) {
    (void)state;
    uint64_t before = clock_monotonic_ns(&clock_system);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    uint64_t passed = clock_monotonic_ns(&clock_system) - before;
    assert_true(passed >= 2000000);
    assert_true(passed < UINT64_C(100) * 1000000000);
}

struct still {
    struct clock clock;
    int64_t ms;
};

static int64_t still_wall_ms(const struct clock *clock) {
    return ((const struct still *)(const void *)clock)->ms;
}

static void a_test_owns_its_clock(void **state) {
    (void)state;
    struct still still = {{.wall_ms = still_wall_ms}, 17};
    assert_int_equal(clock_wall_ms(&still.clock), 17);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wall_clock_counts_milliseconds_since_1970),
        cmocka_unit_test(the_monotonic_clock_counts_nanoseconds),
        cmocka_unit_test(a_test_owns_its_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
