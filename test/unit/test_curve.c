/* SPDX-License-Identifier: Apache-2.0
 *
 * The curve has every coupon that is held, in the step of its time, and never too many steps.
 */
#include "api/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base.h"

enum { STOCK = 1000, START_MS = 1234567 };

struct story {
    struct judge *judge;
    uint64_t offset;
    uint32_t serial;
};

static struct story begin(void) {
    static const struct hash_key key = {{1, 2}};
    const struct record open = {.type = RECORD_OPEN,
                                .ms = 1,
                                .event_id = SLICE("e"),
                                .open = {.stock = STOCK,
                                         .ends_ms = TIME_MS_MAX,
                                         .code = {.alphabet = SLICE("0123456789"), .length = 25}}};
    struct story story = {.judge = judge_new(&open, &key), .offset = 1};
    assert_non_null(story.judge);
    assert_int_equal(judge_reserve(story.judge, &open), 0);
    assert_int_equal(judge_apply(story.judge, story.offset++, &open), VERDICT_VALID);
    return story;
}

static void win_at(struct story *story, int64_t ms) {
    char user[16];
    int n = snprintf(user, sizeof user, "u%u", ++story->serial);
    const struct record win = {
        .type = RECORD_WIN,
        .ms = ms,
        .event_id = SLICE("e"),
        .win = {.gen = 1, .serial = story->serial, .user_id = slice_of(user, (size_t)n)}};
    assert_int_equal(judge_apply(story->judge, story->offset++, &win), VERDICT_VALID);
}

static uint32_t sum(const struct curve *curve) {
    uint32_t total = 0;
    for (uint32_t i = 0; i < curve->steps; i++) total += curve->counts[i];
    return total;
}

static void without_a_coupon_there_is_no_step(void **state) {
    (void)state;
    struct story story = begin();
    struct curve curve;
    curve_make(&curve, story.judge);
    assert_int_equal(curve.steps, 0);
    assert_int_equal(curve.offset, 1);
    judge_free(story.judge);
}

static void coupons_are_in_the_step_of_their_time(void **state) {
    (void)state;
    struct story story = begin();
    struct curve curve;
    win_at(&story, START_MS);
    curve_make(&curve, story.judge);
    assert_int_equal(curve.steps, 1);
    assert_int_equal(curve.step_ms, 10);
    assert_int_equal(curve.from_ms, START_MS / 10 * 10);
    win_at(&story, START_MS + 1);
    win_at(&story, START_MS + 13);
    win_at(&story, START_MS + 40);
    curve_make(&curve, story.judge);
    assert_int_equal(curve.steps, 5);
    static const uint32_t counts[] = {2, 0, 1, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) assert_int_equal(curve.counts[i], counts[i]);
    judge_free(story.judge);
}

static void any_length_fits(void **state) {
    (void)state;
    static const int64_t lengths_ms[] = {0,          10,          2399,         2400,
                                         5000,       60000,       86400000,     864000000,
                                         8640000000, 86400000000, 864000000000, 8640000000000};
    for (size_t i = 0; i < ARRAY_LEN(lengths_ms); i++) {
        struct story story = begin();
        struct curve curve;
        for (int64_t part = 0; part <= 10; part++)
            win_at(&story, START_MS + lengths_ms[i] * part / 10);
        curve_make(&curve, story.judge);
        assert_in_range(curve.steps, 1, CURVE_STEPS_MAX);
        assert_int_equal(sum(&curve), 11);
        assert_int_equal(curve.from_ms % curve.step_ms, 0);
        assert_true(curve.counts[0] > 0 && curve.counts[curve.steps - 1] > 0);
        judge_free(story.judge);
    }
}

static void a_returned_coupon_is_not_there(void **state) {
    (void)state;
    struct story story = begin();
    struct curve curve;
    win_at(&story, START_MS);
    win_at(&story, START_MS + 20);
    const struct record give_back = {.type = RECORD_RETURN,
                                     .ms = START_MS + 30,
                                     .event_id = SLICE("e"),
                                     .give_back = {.serial = 1, .user_id = SLICE("u1")}};
    assert_int_equal(judge_reserve(story.judge, &give_back), 0);
    assert_int_equal(judge_apply(story.judge, story.offset++, &give_back), VERDICT_VALID);
    curve_make(&curve, story.judge);
    assert_int_equal(curve.steps, 1);
    assert_int_equal(sum(&curve), 1);
    assert_int_equal(curve.from_ms, (START_MS + 20) / 10 * 10);
    judge_free(story.judge);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_coupon_there_is_no_step),
        cmocka_unit_test(coupons_are_in_the_step_of_their_time),
        cmocka_unit_test(any_length_fits),
        cmocka_unit_test(a_returned_coupon_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
