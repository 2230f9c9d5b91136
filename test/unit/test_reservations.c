/* SPDX-License-Identifier: Apache-2.0
 *
 * What Redis has of an event, against the log: all that is right, or on its way, is no finding;
 * each damage is found by the check that is made for it, and nothing else.
 */
#include "verify/reservations.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/decisions_fixture.h"

enum { HOLDERS_MAX = 8 };

static const struct hash_key hash_key = {{1, 2}};

/* Of EV, with 4 coupons: bob has serial 2, eve serial 1 that ada gave back, cy serial 4. Serial 3
 * is free. */
struct bench {
    struct truth truth;
    struct checks checks;
    struct err err;
    struct reserve_state state;
    struct reserve_holder holders[HOLDERS_MAX];
    size_t holders_count;
    int64_t free[HOLDERS_MAX];
    size_t free_count;
    int read_fails;
};

static struct reserve_holder holder_of(const char *user, int64_t serial) {
    return (struct reserve_holder){
        .user_id = slice_str(user), .is_readable = true, .gen = 3, .serial = serial, .ms = 1000};
}

static void make_right(struct bench *bench) {
    bench->state = (struct reserve_state){.is_there = true,
                                          .is_readable = true,
                                          .gen = 3,
                                          .ver = 4,
                                          .stock = 4,
                                          .next = 5,
                                          .status = 1,
                                          .starts_ms = DECISION_NO_TIME,
                                          .ends_ms = DECISION_NO_TIME,
                                          .is_token_now = true,
                                          .ttl_ms = {-1, -1, -1, -2},
                                          .now_ms = 100000,
                                          .policy = SLICE("noeviction")};
    bench->holders[0] = holder_of("bob", 2);
    bench->holders[1] = holder_of("eve", 1);
    bench->holders[2] = holder_of("cy", 4);
    bench->holders_count = 3;
    bench->free[0] = 3;
    bench->free_count = 1;
}

static void add(struct bench *bench, struct decision decision) {
    decision.gen = 3;
    truth_add(&bench->truth, &decision, &bench->checks);
}

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    truth_init(&bench->truth, &hash_key);
    add(bench, decision_stock(1, 1, 4));
    add(bench, decision_issued(2, 1, 1, 0, "ada"));
    add(bench, decision_issued(3, 1, 2, 0, "bob"));
    add(bench, decision_returned(5, 2, 1, "ada"));
    add(bench, decision_stock(6, 4, 4));
    add(bench, decision_issued(7, 4, 1, 1, "eve"));
    add(bench, decision_issued(8, 4, 4, 0, "cy"));
    make_right(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    truth_deinit(&bench->truth);
    checks_deinit(&bench->checks);
    free(bench);
    return 0;
}

static int read_one(void *ctx, struct slice event_id, const struct reserve_sink *sink,
                    struct err *err) {
    const struct bench *bench = ctx;
    assert_true(slice_eq(event_id, SLICE("EV")));
    if (bench->read_fails != 0) return err_set(err, bench->read_fails, "no");
    sink->on_state(sink->ctx, &bench->state);
    for (size_t i = 0; i < bench->holders_count; i++)
        sink->on_holder(sink->ctx, &bench->holders[i]);
    for (size_t i = 0; i < bench->free_count; i++) sink->on_free(sink->ctx, bench->free[i]);
    return 0;
}

static int compare(struct bench *bench) {
    const struct reserve_source source = {.ctx = bench, .name = "redis", .read = read_one};
    struct reservations reservations = {0};
    checks_deinit(&bench->checks);
    reservations_list(&reservations, &bench->truth.texts, SLICE("EV"));
    int code = reservations_read(&reservations, &source, &bench->truth.texts, &bench->err);
    if (code == 0) reservations_compare(&reservations, &bench->truth, "redis", &bench->checks);
    reservations_deinit(&reservations);
    return code;
}

static void nothing(struct bench *bench) {
    assert_int_equal(compare(bench), 0);
    if (bench->checks.count != 0) fail_msg("found: %s", bench->checks.all[0].evidence);
    make_right(bench);
}

/* `count` findings, all of `check`, the first with these words; then all is right again. */
static void found(struct bench *bench, enum check check, size_t count, const char *words) {
    assert_int_equal(compare(bench), 0);
    for (size_t i = 0; i < bench->checks.count; i++) {
        const struct check_finding *finding = &bench->checks.all[i];
        if (finding->check != check)
            fail_msg("%s: %s", check_id(finding->check), finding->evidence);
        assert_int_equal(finding->event, 1);
    }
    assert_int_equal(bench->checks.count, count);
    if (strstr(bench->checks.all[0].evidence, words) == NULL)
        fail_msg("found: %s", bench->checks.all[0].evidence);
    make_right(bench);
}

static void what_is_right_is_no_finding(void **state) {
    struct bench *bench = *state;
    nothing(bench);
    bench->holders[bench->holders_count++] = holder_of("ada", 0); /* gave it back */
    nothing(bench);
    bench->holders[bench->holders_count++] = holder_of("new", 3); /* on its way */
    bench->holders[3].ms = bench->state.now_ms - 29999;
    bench->free_count = 0;
    nothing(bench);
}

static void a_holder_who_is_missing(void **state) {
    struct bench *bench = *state;
    bench->holders[0] = holder_of("eve", 1);
    bench->holders[1] = holder_of("cy", 4);
    bench->holders_count = 2;
    bench->free[bench->free_count++] = 2;
    found(bench, CHECK_R2, 1,
          "event EV: user bob has serial 2 by the log (seq 3), and nothing here");
    bench->holders[0].serial = 1;
    bench->holders[1].serial = 2;
    found(bench, CHECK_R2, 2, "and here ");
}

static void a_reservation_that_nobody_wrote(void **state) {
    struct bench *bench = *state;
    bench->holders[bench->holders_count++] = holder_of("new", 3);
    bench->holders[3].ms = bench->state.now_ms - 30000;
    bench->free_count = 0;
    found(bench, CHECK_R3, 1, "user new has reserved serial 3 since 30 s");
}

static void sums_and_serials(void **state) {
    struct bench *bench = *state;
    bench->state.next = 4;
    found(bench, CHECK_R4, 1, "3 hold a serial, but next is 4 and 1 are free");
    bench->free_count = 0;
    found(bench, CHECK_R4, 1, "3 hold a serial, but next is 5 and 0 are free");
    bench->free[0] = 1;
    found(bench, CHECK_R4, 1, "serial 1 is free, and held");
    bench->free[0] = -1;
    found(bench, CHECK_R4, 1, "serial -1 is free");
    bench->free[0] = 5;
    found(bench, CHECK_R4, 1, "serial 5 is free");
    bench->free[1] = 3;
    bench->free_count = 2;
    bench->state.next = 6;
    found(bench, CHECK_R4, 1, "serial 3 is free, and held, free twice");
    bench->holders[3] = holder_of("mallory", 2);
    bench->holders[3].ms = bench->state.now_ms;
    bench->holders_count = 4;
    bench->free_count = 0;
    found(bench, CHECK_R4, 1, "user mallory has serial 2 of 4");
    bench->holders[3] = holder_of("mallory", 5);
    bench->holders[3].ms = bench->state.now_ms;
    bench->holders_count = 4;
    bench->state.next = 6;
    found(bench, CHECK_R4, 1, "user mallory has serial 5 of 4");
    bench->holders[0].is_readable = false;
    found(bench, CHECK_R4, 1, "what user bob has is no record");
    bench->state.is_wrong[2] = true;
    bench->holders_count = 0;
    found(bench, CHECK_R4, 1, "key f is of a wrong type");
}

static void where_redis_is(void **state) {
    struct bench *bench = *state;
    bench->state.gen = 4;
    found(bench, CHECK_R5, 1, "is of gen 4 ver 4, the log of gen 3 ver 4");
    bench->state.gen = 2;
    bench->holders[0] = holder_of("bob", 4); /* of an older state nobody is asked for */
    bench->holders[2] = holder_of("ada", 2);
    found(bench, CHECK_R5, 1, "is of gen 2 ver 4");
    bench->state.ver = 5;
    found(bench, CHECK_R5, 1, "is of gen 3 ver 5");
    bench->state.stock = 6;
    found(bench, CHECK_R5, 1, "n is 6, by the log 4");
    bench->state.status = 2;
    found(bench, CHECK_R5, 1, "st is 2, by the log 1");
    bench->state.starts_ms = 9;
    found(bench, CHECK_R5, 1, "t0 is 9, by the log -1");
    bench->state.ends_ms = 999999;
    found(bench, CHECK_R5, 1, "t1 is 999999");
    bench->state.is_readable = false;
    found(bench, CHECK_R5, 1, "key m lacks");
    bench->state.is_there = false;
    bench->holders_count = bench->free_count = 0;
    found(bench, CHECK_R5, 1, "nothing is here; the log is at gen 3 ver 4");
}

static void another_process_matters_while_something_is_left(void **state) {
    struct bench *bench = *state;
    bench->state.is_token_now = false;
    found(bench, CHECK_R5, 1, "was installed into another process");
    bench->state.is_token_now = false;
    bench->holders[3] = holder_of("new", 3);
    bench->holders[3].ms = bench->state.now_ms;
    bench->holders_count = 4;
    bench->free_count = 0;
    nothing(bench);
}

static void nobody_asks_for_a_closed_event(void **state) {
    struct bench *bench = *state;
    struct decision closed = decision_stock(9, 5, 4);
    closed.state = DECIDED_CLOSED;
    add(bench, closed);
    nothing(bench); /* Redis is at ver 4 */
    bench->state.ttl_ms[1] = 5000;
    nothing(bench);
    bench->state.is_there = false;
    bench->holders_count = bench->free_count = 0;
    nothing(bench);
    bench->state.gen = 4;
    found(bench, CHECK_R5, 1, "is of gen 4 ver 4");
    bench->state.ver = 5;
    bench->state.status = 3;
    bench->state.is_token_now = false;
    nothing(bench);
}

static void nor_for_one_that_has_ended(void **state) {
    struct bench *bench = *state;
    struct decision ended = decision_stock(9, 4, 4);
    ended.ends_ms = bench->state.now_ms + 1;
    add(bench, ended);
    bench->state.ends_ms = ended.ends_ms;
    bench->state.ttl_ms[1] = 5000;
    found(bench, CHECK_R7, 1, "key u has an end, in 5000 ms");
    bench->state.now_ms++;
    bench->state.ends_ms = ended.ends_ms;
    bench->state.ttl_ms[1] = 5000;
    nothing(bench);
    bench->state.now_ms++;
    bench->state.is_there = false;
    bench->holders_count = bench->free_count = 0;
    nothing(bench);
}

static void keys_that_end_and_nodes_that_evict(void **state) {
    struct bench *bench = *state;
    bench->state.ttl_ms[1] = 5000;
    found(bench, CHECK_R7, 1, "key u has an end, in 5000 ms");
    bench->state.policy = SLICE("allkeys-lru");
    found(bench, CHECK_R7, 1, "maxmemory-policy of its node is allkeys-lru");
}

/* The same user, missing at another version, is another item: something has moved in between. */
static void an_item_is_of_its_gen_and_ver(void **state) {
    struct bench *bench = *state;
    bench->state.next = 4;
    assert_int_equal(compare(bench), 0);
    uint64_t item = bench->checks.all[0].item;
    assert_int_equal(compare(bench), 0);
    assert_int_equal(bench->checks.all[0].item, item);
    bench->state.gen = 2;
    assert_int_equal(compare(bench), 0);
    for (size_t i = 0; i < bench->checks.count; i++)
        assert_int_not_equal(bench->checks.all[i].item, item);
}

static void a_source_that_fails(void **state) {
    struct bench *bench = *state;
    bench->read_fails = -EAGAIN;
    assert_int_equal(compare(bench), -EAGAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_right_is_no_finding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_holder_who_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reservation_that_nobody_wrote, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sums_and_serials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_redis_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_process_matters_while_something_is_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_asks_for_a_closed_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nor_for_one_that_has_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_end_and_nodes_that_evict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_item_is_of_its_gen_and_ver, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_fails, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
