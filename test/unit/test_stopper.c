/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/stopper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/clock.h"

enum { FOR_EVER_MS = 3600000 };

static void a_rest_ends_when_its_time_is_over(void **state) {
    (void)state;
    struct stopper stopper;
    stopper_init(&stopper);
    uint64_t before_ns = clock_monotonic_ns(&clock_system);
    assert_true(stopper_rest(&stopper, 20));
    assert_true(clock_monotonic_ns(&clock_system) - before_ns >= 20 * UINT64_C(1000000));
    assert_true(stopper_rest(&stopper, 0));
    stopper_deinit(&stopper);
}

static void *rest_for_ever(void *argument) {
    return stopper_rest(argument, FOR_EVER_MS) ? argument : NULL;
}

static void whoever_rests_is_woken_to_end(void **state) {
    (void)state;
    struct stopper stopper;
    pthread_t thread;
    void *went_on = &stopper;
    stopper_init(&stopper);
    assert_int_equal(pthread_create(&thread, NULL, rest_for_ever, &stopper), 0);
    stopper_stop(&stopper);
    assert_int_equal(pthread_join(thread, &went_on), 0);
    assert_null(went_on);
    assert_true(atomic_load(&stopper.is_stopping));
    assert_false(stopper_rest(&stopper, FOR_EVER_MS)); /* nor does anybody rest afterwards */
    stopper_deinit(&stopper);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rest_ends_when_its_time_is_over),
        cmocka_unit_test(whoever_rests_is_woken_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
