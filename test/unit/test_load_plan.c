/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan: every user once, extras by their shares, one seed one sequence, later in order.
 */
#include "verify/load_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "verify/load_request.h"

#include <cmocka.h>

static void every_user_claims_once_and_in_turn(void **state) {
    (void)state;
    struct load_plan plan;
    plan_init(&plan, &(struct load_plan_setup){.first_user = 100, .users = 50, .claims = 120});
    struct load_job job;
    for (uint32_t i = 0; i < 120; i++) {
        assert_int_equal(plan_claims_left(&plan), 120 - i);
        assert_true(plan_has_new(&plan));
        assert_true(plan_next(&plan, 0, &job));
        assert_int_equal(job.kind, REQUEST_CLAIM);
        assert_int_equal(job.user, 100 + i % 50);
    }
    assert_false(plan_next(&plan, 0, &job));
    assert_true(plan_is_done(&plan));
    plan_deinit(&plan);
}

static const struct load_plan_setup mixed = {.first_user = 7,
                                             .users = 20000,
                                             .claims = 20000,
                                             .retries = 0.3,
                                             .duplicates = 0.2,
                                             .bad = 0.1,
                                             .seed = 42};

static void extras_come_by_their_shares(void **state) {
    (void)state;
    struct load_plan plan;
    plan_init(&plan, &mixed);
    uint8_t *times = calloc(mixed.users, 1);
    struct load_job job;
    uint32_t all = 0, bad = 0, kinds = 0, highest = 0;
    for (uint32_t connection = 0; plan_next(&plan, connection, &job);
         connection = (connection + 1) % 3) {
        all++;
        assert_in_range(job.user, mixed.first_user, mixed.first_user + mixed.users - 1);
        uint32_t user = job.user - mixed.first_user;
        if (job.kind != REQUEST_CLAIM) {
            assert_in_range(job.kind, REQUEST_BAD, REQUEST_KINDS - 1);
            kinds |= 1u << (job.kind - REQUEST_BAD);
            bad++;
            continue;
        }
        if (times[user]++ == 0) {
            assert_int_equal(user,
                             highest); /* in turn; nobody is repeated before the first claim */
            highest++;
        }
    }
    assert_int_equal(highest, mixed.users);
    assert_in_range(bad, 1800, 2200);
    assert_in_range(all - bad, 29400, 30600);
    assert_int_equal(kinds, (1u << REQUEST_BAD_KINDS) - 1);
    free(times);
    plan_deinit(&plan);
}

static void a_double_goes_to_another_connection(void **state) {
    (void)state;
    struct load_plan plan;
    plan_init(&plan, &(struct load_plan_setup){.users = 100, .claims = 100, .duplicates = 1});
    struct load_job first, other;
    assert_true(plan_next(&plan, 4, &first));
    assert_true(plan_next(&plan, 4, &other));
    assert_int_not_equal(other.user, first.user);
    assert_true(plan_next(&plan, 5, &other));
    assert_int_equal(other.user, first.user);
    plan_deinit(&plan);

    plan_init(&plan,
              &(struct load_plan_setup){
                  .users = 100, .claims = 100, .duplicates = 1, .is_single_connection = true});
    assert_true(plan_next(&plan, 0, &first) && plan_next(&plan, 0, &other));
    assert_int_equal(other.user, first.user);
    plan_deinit(&plan);
}

static void doubles_are_never_forgotten(void **state) {
    (void)state;
    struct load_plan plan;
    plan_init(&plan, &(struct load_plan_setup){.users = 1000, .claims = 1000, .duplicates = 1});
    struct load_job job;
    uint32_t all = 0;
    while (plan_next(&plan, 0, &job)) all++; /* one connection takes all */
    assert_int_equal(all, 2000);
    plan_deinit(&plan);
}

static void one_seed_is_one_sequence(void **state) {
    (void)state;
    struct load_plan a, b, c;
    struct load_plan_setup other = mixed;
    other.seed = 43;
    plan_init(&a, &mixed);
    plan_init(&b, &mixed);
    plan_init(&c, &other);
    uint32_t differs = 0;
    for (int i = 0; i < 5000; i++) {
        struct load_job x, y, z;
        assert_true(plan_next(&a, 1, &x) && plan_next(&b, 1, &y) && plan_next(&c, 1, &z));
        assert_true(x.user == y.user && x.kind == y.kind);
        differs += x.user != z.user || x.kind != z.kind;
    }
    assert_true(differs > 1000);
    plan_deinit(&a);
    plan_deinit(&b);
    plan_deinit(&c);
}

static void what_is_put_off_comes_back_in_order(void **state) {
    (void)state;
    struct load_plan plan;
    plan_init(&plan, &(struct load_plan_setup){.users = 1, .claims = 0});
    assert_true(plan_is_done(&plan));
    assert_int_equal(plan_due_ns(&plan), UINT64_MAX);
    for (uint32_t i = 0; i < 1000; i++) {
        struct load_job job = {.due_ns = (i * 7919) % 1000 + 1, .user = i, .rounds = 3};
        assert_true(plan_later(&plan, &job));
    }
    assert_false(plan_is_done(&plan));
    assert_false(plan_has_new(&plan));
    struct load_job job;
    assert_false(plan_due(&plan, 0, &job));
    for (uint64_t ns = 1; ns <= 1000; ns++) {
        assert_int_equal(plan_due_ns(&plan), ns);
        assert_false(plan_due(&plan, ns - 1, &job));
        assert_true(plan_due(&plan, 5000, &job));
        assert_int_equal(job.due_ns, ns);
        assert_int_equal(job.rounds, 3);
    }
    assert_true(plan_is_done(&plan));
    assert_true(plan_later(&plan, &job));
    plan_forget_later(&plan);
    assert_true(plan_is_done(&plan));
    plan_deinit(&plan);
}

static void stopping_leaves_only_doubles(void **state) {
    (void)state;
    struct load_plan plan;
    plan_init(&plan,
              &(struct load_plan_setup){
                  .users = 9, .claims = UINT64_MAX, .retries = 1, .duplicates = 1, .bad = 1});
    struct load_job job;
    assert_true(plan_next(&plan, 0, &job));
    plan_stop(&plan);
    assert_int_equal(plan_claims_left(&plan), 0);
    assert_true(plan_next(&plan, 0, &job));
    assert_int_equal(job.user, 0);
    assert_false(plan_next(&plan, 0, &job));
    plan_deinit(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_user_claims_once_and_in_turn),
        cmocka_unit_test(extras_come_by_their_shares),
        cmocka_unit_test(a_double_goes_to_another_connection),
        cmocka_unit_test(doubles_are_never_forgotten),
        cmocka_unit_test(one_seed_is_one_sequence),
        cmocka_unit_test(what_is_put_off_comes_back_in_order),
        cmocka_unit_test(stopping_leaves_only_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
