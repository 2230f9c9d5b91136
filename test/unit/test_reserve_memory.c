/* SPDX-License-Identifier: Apache-2.0
 *
 * The reserve in memory: serials in order of arrival, one for a user, never more than the stock;
 * what comes back goes out again, lowest first; the event's state as installed.
 */
#include "claim/reserve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "claim/view.h"

struct bench {
    struct view *view;
    struct reserve *reserve;
    struct reserve_reply reply; /* the last one */
    const struct claim *replied;
    uint64_t seq;
};

static void on_reply(void *ctx, const struct claim *claim, const struct reserve_reply *reply) {
    struct bench *bench = ctx;
    bench->reply = *reply;
    bench->replied = claim;
}

static void apply(struct bench *bench, struct record record) {
    record.seq = ++bench->seq;
    if (record.event_id.n == 0) record.event_id = SLICE("e0");
    assert_int_equal(view_apply(bench->view, &record, NULL), 0);
}

static void install(struct bench *bench, uint32_t event) {
    struct judge *judge = view_at(bench->view, event)->judge;
    assert_int_equal(bench->reserve->ops->install(bench->reserve, event, judge), 0);
}

static void open_event(struct bench *bench, const char *id, uint32_t stock) {
    apply(bench, (struct record){.type = RECORD_OPEN,
                                 .event_id = slice_str(id),
                                 .open = {.stock = stock, .starts_ms = 1000, .ends_ms = 2000}});
    install(bench, view_events_count(bench->view) - 1);
}

static int set_up(void **state) {
    static const struct hash_key key = {{1, 2}};
    struct bench *bench = calloc(1, sizeof *bench);
    bench->view = view_new(&key);
    bench->reserve = reserve_memory_new(&key);
    bench->reserve->on_reply = on_reply;
    bench->reserve->ctx = bench;
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    bench->reserve->ops->free(bench->reserve);
    view_free(bench->view);
    free(bench);
    return 0;
}

static struct claim claim_of(uint32_t event, const char *user, enum claim_kind kind) {
    struct claim claim = {.event = event, .kind = (uint8_t)kind};
    claim.user_id_bytes = (uint8_t)strlen(user);
    memcpy(claim.user_id, user, claim.user_id_bytes);
    return claim;
}

static enum reserve_code ask(struct bench *bench, uint32_t event, const char *user,
                             enum claim_kind kind, int64_t now_ms) {
    struct claim claim = claim_of(event, user, kind);
    bench->replied = NULL;
    bench->reserve->ops->claim(bench->reserve, &claim, now_ms);
    assert_ptr_equal(bench->replied, &claim);
    return bench->reply.code;
}

static enum reserve_code claim(struct bench *bench, const char *user) {
    return ask(bench, 0, user, CLAIM_KIND_CLAIM, 1500);
}

/* The log has accepted the reservation of `user`. */
static void settle(struct bench *bench, const char *user, uint32_t serial) {
    apply(bench, (struct record){.type = RECORD_WIN,
                                 .ms = 1500,
                                 .win = {.gen = 1, .serial = serial, .user_id = slice_str(user)}});
    bench->reserve->ops->settled(bench->reserve, 0, slice_str(user));
}

static void serials_in_order_of_arrival_up_to_the_stock(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 130);
    for (uint32_t serial = 1; serial <= 130; serial++) {
        char user[16];
        snprintf(user, sizeof user, "u%u", serial);
        assert_int_equal(claim(bench, user), RESERVE_WIN);
        assert_int_equal(bench->reply.serial, serial);
        assert_int_equal(bench->reply.reserve_seq, serial);
        assert_int_equal(bench->reply.gen, 1);
        assert_int_equal(bench->reply.ms, 1500);
    }
    assert_int_equal(claim(bench, "late"), RESERVE_SOLD_OUT);
    assert_int_equal(claim(bench, "u77"), RESERVE_HAVE);
    assert_int_equal(bench->reply.serial, 77);
}

static void a_user_reserves_once(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 3);
    assert_int_equal(claim(bench, "a"), RESERVE_WIN);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 1700), RESERVE_HAVE);
    assert_int_equal(bench->reply.serial, 1);
    assert_int_equal(bench->reply.ms, 1500);
    assert_int_equal(claim(bench, "b"), RESERVE_WIN);
    assert_int_equal(bench->reply.serial, 2);
}

static void a_query_reserves_nothing(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_QUERY, 1500), RESERVE_NONE);
    assert_int_equal(claim(bench, "b"), RESERVE_WIN);
    assert_int_equal(ask(bench, 0, "b", CLAIM_KIND_QUERY, 1500), RESERVE_HAVE);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_QUERY, 1500), RESERVE_NONE);
}

static void events_are_independent(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 1);
    open_event(bench, "e1", 1);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 1500), RESERVE_WIN);
    assert_int_equal(ask(bench, 1, "a", CLAIM_KIND_CLAIM, 1500), RESERVE_WIN);
    assert_int_equal(bench->reply.serial, 1);
    install(bench, 1);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 1500), RESERVE_HAVE);
    assert_int_equal(ask(bench, 1, "b", CLAIM_KIND_CLAIM, 1500), RESERVE_WIN);
}

static void start_and_end_are_instants_of_the_event(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 9);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 999), RESERVE_NOT_STARTED);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 1000), RESERVE_WIN);
    assert_int_equal(ask(bench, 0, "b", CLAIM_KIND_CLAIM, 1999), RESERVE_WIN);
    assert_int_equal(ask(bench, 0, "c", CLAIM_KIND_CLAIM, 2000), RESERVE_ENDED);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 2000), RESERVE_HAVE);
}

static void pause_and_close_take_effect_by_install(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 9);
    apply(bench, (struct record){.type = RECORD_PAUSE});
    assert_int_equal(claim(bench, "a"), RESERVE_WIN);
    install(bench, 0);
    assert_int_equal(claim(bench, "b"), RESERVE_PAUSED);
    assert_int_equal(ask(bench, 0, "b", CLAIM_KIND_CLAIM, 2000), RESERVE_ENDED);
    apply(bench, (struct record){.type = RECORD_CLOSE, .ms = 500});
    install(bench, 0);
    assert_int_equal(ask(bench, 0, "b", CLAIM_KIND_CLAIM, 600), RESERVE_ENDED);
}

static void install_forgets_reservations_and_keeps_what_the_judge_holds(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 4);
    assert_int_equal(claim(bench, "a"), RESERVE_WIN);
    assert_int_equal(claim(bench, "b"), RESERVE_WIN);
    settle(bench, "b", 2);
    install(bench, 0);
    assert_int_equal(claim(bench, "c"), RESERVE_WIN); /* the serial that `a` had only reserved */
    assert_int_equal(bench->reply.serial, 1);
    assert_int_equal(claim(bench, "a"), RESERVE_WIN);
    assert_int_equal(bench->reply.serial, 3);
}

static void a_returned_serial_goes_out_again_lowest_first(void **state) {
    struct bench *bench = *state;
    static const char *const users[] = {"a", "b", "c", "d"};
    open_event(bench, "e0", 5);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(claim(bench, users[i]), RESERVE_WIN);
        settle(bench, users[i], i + 1);
    }
    apply(bench, (struct record){.type = RECORD_RETURN,
                                 .give_back = {.serial = 3, .user_id = SLICE("c")}});
    apply(bench, (struct record){.type = RECORD_RETURN,
                                 .give_back = {.serial = 2, .user_id = SLICE("b")}});
    install(bench, 0);
    static const uint32_t expected[] = {2, 3, 5};
    static const char *const later[] = {"x", "y", "z"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(claim(bench, later[i]), RESERVE_WIN);
        assert_int_equal(bench->reply.serial, expected[i]);
    }
    assert_int_equal(claim(bench, "late"), RESERVE_SOLD_OUT);
}

static void restock_up_and_down(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2);
    assert_int_equal(claim(bench, "a"), RESERVE_WIN);
    settle(bench, "a", 1);
    apply(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 1}});
    install(bench, 0);
    assert_int_equal(claim(bench, "b"), RESERVE_SOLD_OUT);
    apply(bench, (struct record){.type = RECORD_RESTOCK, .restock = {.stock = 200}});
    install(bench, 0);
    assert_int_equal(claim(bench, "b"), RESERVE_WIN);
    assert_int_equal(bench->reply.serial, 2);
}

static void a_void_reservation_gives_its_serial_back(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 2);
    assert_int_equal(claim(bench, "a"), RESERVE_WIN);
    assert_int_equal(claim(bench, "b"), RESERVE_WIN);
    assert_int_equal(claim(bench, "c"), RESERVE_SOLD_OUT);
    bench->reserve->ops->settled(bench->reserve, 0, SLICE("a")); /* the judge never held it */
    assert_int_equal(claim(bench, "c"), RESERVE_WIN);
    assert_int_equal(bench->reply.serial, 1);
    bench->reserve->ops->settled(bench->reserve, 0, SLICE("nobody"));
    assert_int_equal(claim(bench, "d"), RESERVE_SOLD_OUT);
}

static void a_low_serial_that_comes_back_late_goes_out_next(void **state) {
    struct bench *bench = *state;
    open_event(bench, "e0", 130);
    char user[16];
    for (uint32_t i = 1; i <= 100; i++) {
        snprintf(user, sizeof user, "u%u", i);
        assert_int_equal(claim(bench, user), RESERVE_WIN);
    }
    bench->reserve->ops->settled(bench->reserve, 0, SLICE("u3")); /* void */
    assert_int_equal(claim(bench, "x"), RESERVE_WIN);
    assert_int_equal(bench->reply.serial, 3);
    assert_int_equal(claim(bench, "y"), RESERVE_WIN);
    assert_int_equal(bench->reply.serial, 101);
}

/* Twice the table's first size, so that it grows, and every one is still found. */
static void many_reservations_outstanding(void **state) {
    struct bench *bench = *state;
    enum { COUNT = 5000 };
    open_event(bench, "e0", COUNT);
    char user[16];
    for (uint32_t i = 1; i <= COUNT; i++) {
        snprintf(user, sizeof user, "u%u", i);
        assert_int_equal(claim(bench, user), RESERVE_WIN);
    }
    for (uint32_t i = 1; i <= COUNT; i++) {
        snprintf(user, sizeof user, "u%u", i);
        assert_int_equal(claim(bench, user), RESERVE_HAVE);
        assert_int_equal(bench->reply.serial, i);
        settle(bench, user, i);
        assert_int_equal(ask(bench, 0, user, CLAIM_KIND_QUERY, 1500), RESERVE_NONE);
    }
    assert_int_equal(claim(bench, "late"), RESERVE_SOLD_OUT);
}

static void an_event_that_is_not_installed_is_unavailable(void **state) {
    struct bench *bench = *state;
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 1500), RESERVE_UNAVAILABLE);
    apply(bench, (struct record){.type = RECORD_OPEN,
                                 .open = {.stock = 1, .starts_ms = 1000, .ends_ms = 2000}});
    open_event(bench, "e1", 1);
    assert_int_equal(ask(bench, 0, "a", CLAIM_KIND_CLAIM, 1500), RESERVE_UNAVAILABLE);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(serials_in_order_of_arrival_up_to_the_stock),
        TEST(a_user_reserves_once),
        TEST(a_query_reserves_nothing),
        TEST(events_are_independent),
        TEST(start_and_end_are_instants_of_the_event),
        TEST(pause_and_close_take_effect_by_install),
        TEST(install_forgets_reservations_and_keeps_what_the_judge_holds),
        TEST(a_returned_serial_goes_out_again_lowest_first),
        TEST(restock_up_and_down),
        TEST(a_void_reservation_gives_its_serial_back),
        TEST(a_low_serial_that_comes_back_late_goes_out_next),
        TEST(many_reservations_outstanding),
        TEST(an_event_that_is_not_installed_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
