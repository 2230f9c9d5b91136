/* SPDX-License-Identifier: Apache-2.0
 *
 * A view finds every event that its log has opened, and hands each record to the right judge.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "claim/view.h"
#include "fake/failing_alloc.h"

enum { EVENTS = 1000 };

static const struct hash_key keys[2] = {{{1, 2}}, {{3, 4}}};

static struct record open_of(struct slice event_id, uint64_t seq) {
    return (struct record){
        .type = RECORD_OPEN,
        .seq = seq,
        .ms = 100,
        .event_id = event_id,
        .open = {.stock = 2,
                 .starts_ms = 0,
                 .ends_ms = TIME_MS_MAX,
                 .key_id = 77,
                 .code = {.prefix = SLICE("P-"), .alphabet = SLICE("0123456789"), .length = 25}}};
}

static struct record win_of(struct slice event_id, uint64_t seq, uint32_t serial,
                            struct slice user_id) {
    return (struct record){.type = RECORD_WIN,
                           .seq = seq,
                           .ms = 200,
                           .event_id = event_id,
                           .win = {.gen = 1, .serial = serial, .user_id = user_id}};
}

static enum verdict apply(struct view *view, const struct record *record) {
    enum verdict verdict;
    assert_int_equal(view_apply(view, record, &verdict), 0);
    return verdict;
}

static void an_empty_view_has_nothing(void **state) {
    (void)state;
    struct view *view = view_new(&keys[0]);
    assert_null(view_find(view, SLICE("e")));
    assert_null(view_at(view, 0));
    assert_int_equal(view_events_count(view), 0);
    assert_int_equal(view_offset(view), 0);
    assert_int_equal(view_latest_ms(view), 0);
    view_free(view);
    view_free(NULL);
}

static void open_adds_an_event_with_its_own_words(void **state) {
    (void)state;
    struct view *view = view_new(&keys[0]);
    char id[] = "sample_event", prefix[] = "P-", alphabet[] = "0123456789";
    struct record open = open_of(slice_str(id), 1);
    open.open.code.prefix = slice_str(prefix);
    open.open.code.alphabet = slice_str(alphabet);
    assert_int_equal(apply(view, &open), VERDICT_VALID);
    memset(id, 'x', sizeof(id) - 1);
    memset(prefix, 'x', sizeof(prefix) - 1);
    memset(alphabet, 'x', sizeof(alphabet) - 1);

    struct event *event = view_find(view, SLICE("sample_event"));
    assert_non_null(event);
    assert_ptr_equal(view_at(view, 0), event);
    assert_null(view_at(view, 1));
    assert_int_equal(event->number, 0);
    assert_true(slice_eq(event->id, SLICE("sample_event")));
    assert_true(slice_eq(event->code.prefix, SLICE("P-")));
    assert_true(slice_eq(event->code.alphabet, SLICE("0123456789")));
    assert_int_equal(event->code.length, 25);
    assert_int_equal(event->key_id, 77);
    assert_int_equal(event->created_ms, 100);
    assert_int_equal(judge_state(event->judge)->stock, 2);
    assert_int_equal(judge_state(event->judge)->offset, 1);
    view_free(view);
}

static void records_go_to_their_event(void **state) {
    (void)state;
    struct view *view = view_new(&keys[0]);
    struct record a = open_of(SLICE("a"), 1), b = open_of(SLICE("b"), 2);
    b.open.code.prefix = SLICE("");
    apply(view, &a);
    apply(view, &b);
    struct record win = win_of(SLICE("b"), 3, 1, SLICE("u"));
    assert_int_equal(apply(view, &win), VERDICT_VALID);
    assert_int_equal(judge_state(view_at(view, 0)->judge)->taken, 0);
    assert_int_equal(judge_state(view_at(view, 1)->judge)->taken, 1);
    win.event_id = SLICE("a");
    win.seq = 4;
    assert_int_equal(apply(view, &win), VERDICT_VALID);
    struct record restock = {.type = RECORD_RESTOCK,
                             .seq = 5,
                             .ms = 150,
                             .event_id = SLICE("a"),
                             .restock = {.stock = 5000}};
    assert_int_equal(apply(view, &restock), VERDICT_VALID);
    win = win_of(SLICE("a"), 6, 5000, SLICE("v"));
    assert_int_equal(apply(view, &win), VERDICT_VALID);
    assert_int_equal(view_offset(view), 6);
    assert_int_equal(view_latest_ms(view), 200);
    view_free(view);
}

static void what_concerns_no_event_is_nop(void **state) {
    (void)state;
    struct view *view = view_new(&keys[0]);
    struct record win = win_of(SLICE("unknown"), 1, 1, SLICE("u"));
    assert_int_equal(apply(view, &win), VERDICT_NOP);
    struct record mark = {.type = RECORD_MARK, .seq = 2, .ms = 900};
    assert_int_equal(apply(view, &mark), VERDICT_NOP);
    assert_int_equal(view_events_count(view), 0);
    assert_int_equal(view_offset(view), 2);
    assert_int_equal(view_latest_ms(view), 900);
    assert_int_equal(view_apply(view, &mark, NULL), 0);
    view_free(view);
}

static void a_second_open_changes_nothing(void **state) {
    (void)state;
    struct view *view = view_new(&keys[0]);
    struct record open = open_of(SLICE("e"), 1);
    apply(view, &open);
    open.seq = 2;
    open.ms = 999;
    open.open.stock = 50;
    open.open.key_id = 78;
    assert_int_equal(apply(view, &open), VERDICT_NOP);
    assert_int_equal(view_events_count(view), 1);
    assert_int_equal(judge_state(view_at(view, 0)->judge)->stock, 2);
    assert_int_equal(view_at(view, 0)->key_id, 77);
    assert_int_equal(view_at(view, 0)->created_ms, 100);
    assert_int_equal(view_offset(view), 2);
    view_free(view);
}

static struct slice id_of(uint32_t number, char id[16]) {
    return slice_of(id, (size_t)snprintf(id, 16, "event-%u", number));
}

static void events_stay_where_they_are_and_agree_in_every_view(void **state) {
    (void)state;
    struct view *views[2] = {view_new(&keys[0]), view_new(&keys[1])};
    static struct event *events[EVENTS];
    char id[16];
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct record open = open_of(id_of(i, id), i + 1);
        for (int v = 0; v < 2; v++) assert_int_equal(apply(views[v], &open), VERDICT_VALID);
        events[i] = view_find(views[0], open.event_id);
    }
    assert_int_equal(view_events_count(views[0]), EVENTS);
    for (uint32_t i = 0; i < EVENTS; i++) {
        assert_ptr_equal(view_find(views[0], id_of(i, id)), events[i]);
        assert_ptr_equal(view_at(views[0], i), events[i]);
        assert_int_equal(view_find(views[1], id_of(i, id))->number, i);
        assert_true(judge_digest(events[i]->judge) == judge_digest(view_at(views[1], i)->judge));
    }
    assert_null(view_find(views[0], id_of(EVENTS, id)));
    view_free(views[0]);
    view_free(views[1]);
}

/* Applies `record` with one allocation after another failing, until none does. */
static int count_failures(struct view *view, const struct record *record) {
    uint32_t events = view_events_count(view);
    uint64_t offset = view_offset(view);
    for (int failing = 0;; failing++) {
        allocations_left = failing;
        int result = view_apply(view, record, NULL);
        bool is_spent = allocations_left < 0;
        allocations_left = -1;
        if (!is_spent) {
            assert_int_equal(result, 0);
            return failing;
        }
        assert_int_equal(result, -ENOMEM);
        assert_int_equal(view_events_count(view), events);
        assert_int_equal(view_offset(view), offset);
    }
}

/* Every view that has applied the same has the same digest, whatever its key; any difference, in any
 * event or none, makes another one. */
static void the_digest_is_that_of_what_was_applied(void **state) {
    (void)state;
    struct view *views[2] = {view_new(&keys[0]), view_new(&keys[1])};
    assert_true(view_digest(views[0]) == view_digest(views[1]));
    for (size_t i = 0; i < 2; i++) {
        struct record record = open_of(SLICE("a"), 1);
        apply(views[i], &record);
        record = open_of(SLICE("b"), 2);
        apply(views[i], &record);
        record = win_of(SLICE("nobody"), 3, 1, SLICE("ada"));
        apply(views[i], &record);
    }
    struct view *clone = view_clone(views[1]);
    assert_true(view_digest(views[0]) == view_digest(views[1]));
    assert_true(view_digest(views[0]) == view_digest(clone));
    struct record record = win_of(SLICE("a"), 4, 1, SLICE("ada"));
    apply(views[0], &record);
    record.event_id = SLICE("b");
    apply(views[1], &record);
    record.event_id = SLICE("nobody");
    apply(clone, &record);
    assert_true(view_digest(views[0]) != view_digest(views[1]));
    assert_true(view_digest(views[0]) != view_digest(clone));
    view_free(clone);
    view_free(views[0]);
    view_free(views[1]);
}

static void short_memory_is_told(void **state) {
    (void)state;
    allocations_left = 0;
    assert_null(view_new(&keys[0]));
    allocations_left = -1;
    struct view *view = view_new(&keys[0]);
    struct record open = open_of(SLICE("e"), 1);
    assert_true(count_failures(view, &open) >= 6);
    assert_int_equal(view_events_count(view), 1);
    struct record restock = {
        .type = RECORD_RESTOCK, .seq = 2, .event_id = SLICE("e"), .restock = {.stock = 100}};
    assert_true(count_failures(view, &restock) >= 3);
    assert_int_equal(judge_state(view_at(view, 0)->judge)->stock, 100);
    view_free(view);
}

/* Some events, winners, a return and a restock. */
static struct view *busy_view(void) {
    struct view *view = view_new(&keys[0]);
    uint64_t seq = 0;
    char id[16];
    for (uint32_t i = 0; i < 20; i++) {
        struct record open = open_of(id_of(i, id), ++seq);
        assert_int_equal(apply(view, &open), VERDICT_VALID);
        struct record a = win_of(id_of(i, id), ++seq, 1, SLICE("ann"));
        assert_int_equal(apply(view, &a), VERDICT_VALID);
        struct record b = win_of(id_of(i, id), ++seq, 2, SLICE("bob"));
        assert_int_equal(apply(view, &b), VERDICT_VALID);
        struct record returned = {.type = RECORD_RETURN,
                                  .seq = ++seq,
                                  .ms = 300,
                                  .event_id = id_of(i, id),
                                  .give_back = {.serial = 1, .user_id = SLICE("ann")}};
        assert_int_equal(apply(view, &returned), VERDICT_VALID);
    }
    return view;
}

static void a_clone_knows_the_same_and_goes_on_alone(void **state) {
    (void)state;
    struct view *view = busy_view(), *clone = view_clone(view);
    assert_non_null(clone);
    assert_int_equal(view_offset(clone), view_offset(view));
    assert_int_equal(view_latest_ms(clone), view_latest_ms(view));
    assert_int_equal(view_events_count(clone), 20);
    uint64_t seq = view_offset(view);
    struct record win = win_of(SLICE("event-7"), seq + 1, 1, SLICE("cid"));
    assert_int_equal(apply(clone, &win), VERDICT_VALID);
    assert_int_equal(apply(view, &win), VERDICT_VALID);
    view_free(view);

    struct coupon coupon;
    for (uint32_t i = 0; i < 20; i++) {
        const struct judge *judge = view_at(clone, i)->judge;
        assert_int_equal(judge_lookup(judge, SLICE("ann"), &coupon), HOLDING_RETURNED);
        assert_int_equal(judge_lookup(judge, SLICE("bob"), &coupon), HOLDING_COUPON);
        assert_int_equal(coupon.serial, 2);
        assert_true(slice_eq(coupon.user_id, SLICE("bob")));
        assert_int_equal(judge_lookup(judge, SLICE("dan"), &coupon), HOLDING_NONE);
    }
    const struct event *event = view_find(clone, SLICE("event-7"));
    assert_int_equal(event->number, 7);
    assert_true(slice_eq(event->code.alphabet, SLICE("0123456789")));
    assert_true(judge_holder(event->judge, 1, &coupon));
    assert_true(slice_eq(coupon.user_id, SLICE("cid")));
    assert_int_equal(coupon.round, 1);
    view_free(clone);
}

static void a_clone_needs_all_its_memory(void **state) {
    (void)state;
    struct view *view = busy_view(), *clone = NULL;
    int failing = 0;
    for (; clone == NULL; failing++) {
        allocations_left = failing;
        clone = view_clone(view);
    }
    allocations_left = -1;
    assert_true(failing > 100);
    assert_true(judge_digest(view_at(clone, 19)->judge) == judge_digest(view_at(view, 19)->judge));
    view_free(clone);
    view_free(view);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_view_has_nothing),
        cmocka_unit_test(open_adds_an_event_with_its_own_words),
        cmocka_unit_test(records_go_to_their_event),
        cmocka_unit_test(what_concerns_no_event_is_nop),
        cmocka_unit_test(a_second_open_changes_nothing),
        cmocka_unit_test(events_stay_where_they_are_and_agree_in_every_view),
        cmocka_unit_test(the_digest_is_that_of_what_was_applied),
        cmocka_unit_test(short_memory_is_told),
        cmocka_unit_test(a_clone_knows_the_same_and_goes_on_alone),
        cmocka_unit_test(a_clone_needs_all_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
