/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base.h"

static struct kafka_pace pace_new(void) {
    return (struct kafka_pace){.linger_ns = 1000, .bytes_max = 100};
}

static void what_comes_within_the_linger_leaves_together(void **state) {
    (void)state;
    struct kafka_pace pace = pace_new();
    assert_true(kafka_pace_take(&pace, 10, 5000));
    assert_true(kafka_pace_take(&pace, 10, 5000));
    assert_true(kafka_pace_take(&pace, 10, 5999));
    assert_false(kafka_pace_take(&pace, 10, 6000));
}

static void a_full_batch_takes_no_more(void **state) {
    (void)state;
    struct kafka_pace pace = pace_new();
    assert_true(kafka_pace_take(&pace, 60, 0));
    assert_false(kafka_pace_take(&pace, 41, 0));
    assert_true(kafka_pace_take(&pace, 40, 0));
    assert_false(kafka_pace_take(&pace, 1, 0));
}

static void a_record_that_is_larger_than_any_batch_leaves_alone(void **state) {
    (void)state;
    struct kafka_pace pace = pace_new();
    assert_true(kafka_pace_take(&pace, 1000, 0));
    assert_false(kafka_pace_take(&pace, 1, 0));
}

static void a_batch_is_under_way_until_its_last_record(void **state) {
    (void)state;
    struct kafka_pace pace = pace_new();
    assert_true(kafka_pace_take(&pace, 60, 0));
    assert_true(kafka_pace_take(&pace, 40, 0));
    kafka_pace_land(&pace);
    assert_false(kafka_pace_take(&pace, 10, 100000));
    kafka_pace_land(&pace);
    assert_true(kafka_pace_take(&pace, 100, 100000)); /* the next one is empty, */
    kafka_pace_land(&pace);
    assert_true(kafka_pace_take(&pace, 10, 100500)); /* and has its own linger */
    assert_true(kafka_pace_take(&pace, 10, 101400));
    assert_false(kafka_pace_take(&pace, 10, 101500));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_within_the_linger_leaves_together),
        cmocka_unit_test(a_full_batch_takes_no_more),
        cmocka_unit_test(a_record_that_is_larger_than_any_batch_leaves_alone),
        cmocka_unit_test(a_batch_is_under_way_until_its_last_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
