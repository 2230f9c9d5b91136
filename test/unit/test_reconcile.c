/* SPDX-License-Identifier: Apache-2.0
 *
 * A pass over a log, a copy and views that agree finds nothing; whatever one of them says otherwise
 * is found by the check that is made for it, and named.
 */
#include "verify/reconcile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/decisions_fixture.h"

struct bench {
    struct fixture_world world;
    struct reconcile reconcile;
    struct checks checks;
    struct reconcile_seen seen;
    struct err err;
    atomic_bool stops;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    fixture_world_init(&bench->world);
    bench->reconcile = (struct reconcile){.log = fixture_log(&bench->world),
                                          .copy = fixture_copy(&bench->world),
                                          .views = fixture_views(&bench->world)};
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    assert_int_equal(bench->world.opens, bench->world.closes);
    checks_deinit(&bench->checks);
    free(bench);
    return 0;
}

static int pass(struct bench *bench) {
    struct truth truth;
    checks_deinit(&bench->checks);
    truth_init(&truth, &bench->reconcile.hash_key);
    int code = reconcile_pass(&bench->reconcile, &truth, &bench->checks, &bench->seen, &bench->err);
    truth_deinit(&truth);
    return code;
}

/* Exactly one check has something to say, and says `words`. */
static void expect(struct bench *bench, enum check check, const char *words) {
    assert_int_equal(pass(bench), 0);
    bool is_said = false;
    for (size_t i = 0; i < bench->checks.count; i++) {
        if (bench->checks.all[i].check != check)
            fail_msg("%s: %s", check_id(bench->checks.all[i].check), bench->checks.all[i].evidence);
        is_said |= strstr(bench->checks.all[i].evidence, words) != NULL;
        if (!is_said) print_message("%s\n", bench->checks.all[i].evidence);
    }
    assert_true(is_said);
}

static void all_agree(void **state) {
    struct bench *bench = *state;
    assert_int_equal(pass(bench), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
    assert_int_equal(bench->seen.records, 6);
    assert_int_equal(bench->seen.last_seq, 8);
    assert_int_equal(bench->seen.events, 1);
    assert_int_equal(bench->seen.coupons, 3);
    assert_int_equal(bench->seen.copy_seq, 8);
    assert_true(bench->seen.has_copy);
    assert_int_equal(bench->seen.views, 2);
}

/* A copy that is behind is compared with what the log was then. */
static void a_copy_may_be_late(void **state) {
    struct bench *bench = *state;
    bench->world.copy_place = bench->world.decisions[4].place;
    bench->world.rows[0].total = 3;
    bench->world.rows[0].ver = 2;
    memmove(&bench->world.rows[4], &bench->world.rows[5],
            3 * sizeof bench->world.rows[0]); /* without coupon 4 */
    bench->world.rows_count = 7;
    assert_int_equal(pass(bench), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
    bench->world.copy_place = (struct log_place){0};
    bench->world.rows_count = 0;
    assert_int_equal(pass(bench), 0); /* the same file went back */
    assert_int_equal(bench->checks.counts[CHECK_R9], 1);
    assert_int_equal(checks_sum(&bench->checks), 1);
    bench->world.file++; /* another file may begin anew */
    assert_int_equal(pass(bench), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
}

static void every_column_counts(void **state) {
    struct bench *bench = *state;
    struct copy_row *event = &bench->world.rows[0], *coupon = &bench->world.rows[1];
    struct copy_row *holder = &bench->world.rows[5], *returned = &bench->world.rows[7];
    struct {
        int64_t *number;
        const char *words;
    } numbers[] = {
        {&event->gen, "events, event EV, serial 0: gen is 9, by the log 1"},
        {&event->ver, "ver is 9"},
        {&event->start_ms, "start_ms is 9, by the log -1"},
        {&event->end_ms, "end_ms is 9"},
        {&event->open_seq, "open_seq is 9"},
        {&coupon->round, "coupons, event EV, serial 1: round is 9, by the log 1"},
        {&holder->round, "user_coupons, event EV, serial 1: round is 9, by the log 1"},
        {&holder->gen, "gen is 9"},
        {&holder->claimed_ms, "claimed_ms is 9, by the log 1006"},
        {&holder->log_seq, "log_seq is 9, by the log 6"},
        {&returned->round, "user_coupons_history, event EV, serial 1: round is 9, by the log 0"},
        {&returned->serial, "serial is 9"},
        {&returned->returned_ms, "returned_ms is 9, by the log 1005"},
        {&returned->returned_seq, "returned_seq 9 returns nothing"},
        {&returned->log_seq, "log_seq is 9, by the log 2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int64_t was = *numbers[i].number;
        *numbers[i].number = 9;
        expect(bench, CHECK_R1, numbers[i].words);
        *numbers[i].number = was;
    }
    struct {
        struct slice *text;
        const char *words;
    } texts[] = {{&event->state, "state is \"x\", by the log \"open\""},
                 {&holder->user_id, "user_id is \"x\", by the log \"eve\""},
                 {&holder->claim_id, "claim_id is \"x\", by the log \"key\""},
                 {&holder->code, "code is \"x\", by the log \"eve\""},
                 {
                     &returned->operator,
                     "operator is \"x\", by the log \"ops\"" },
                     {&returned->reason, "reason is \"x\", by the log \"lost\""},
                     {&event->event_id, "events, event x, serial 0: the log has no such event"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct slice was = *texts[i].text;
        *texts[i].text = SLICE("x");
        expect(bench, CHECK_R1, texts[i].words);
        *texts[i].text = was;
    }
}

/* Without the key of an event its codes are not known, and so not compared. */
static void a_code_that_nobody_can_derive(void **state) {
    struct bench *bench = *state;
    for (size_t i = 0; i < bench->world.decisions_count; i++)
        bench->world.decisions[i].code = SLICE("");
    assert_int_equal(pass(bench), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
}

static void every_row_must_be_there(void **state) {
    static const char *const words[] = {
        "events, event EV, serial 0: the row is missing",
        "coupons, event EV, serial 1: the row is missing",
        "coupons, event EV, serial 2: the row is missing",
        "coupons, event EV, serial 3: the row is missing",
        "coupons, event EV, serial 4: the row is missing",
        "user_coupons, event EV, serial 1: the row of user eve (log seq 6) is missing",
        "user_coupons, event EV, serial 2: the row of user bob (log seq 3) is missing",
        "user_coupons_history, event EV, serial 1: the row of user ada (log seq 5) is missing",
    };
    struct bench *bench = *state;
    const struct fixture_world whole = bench->world;
    for (size_t i = 0; i < whole.rows_count; i++) {
        bench->world.rows_count--;
        memmove(&bench->world.rows[i], &bench->world.rows[i + 1],
                (whole.rows_count - i - 1) * sizeof whole.rows[0]);
        assert_int_equal(pass(bench), 0);
        assert_int_equal(bench->checks.counts[CHECK_R1], 1);
        assert_non_null(strstr(bench->checks.all[0].evidence, words[i]));
        memcpy(bench->world.rows, whole.rows, sizeof whole.rows);
        bench->world.rows_count = whole.rows_count;
    }
}

static void no_row_may_be_too_many(void **state) {
    struct bench *bench = *state;
    fixture_row(&bench->world, ROW_COUPON, 5);
    assert_int_equal(pass(bench), 0);
    assert_int_equal(bench->checks.counts[CHECK_R1], 1);
    assert_int_equal(bench->checks.counts[CHECK_R6], 1);
    bench->world.rows[bench->world.rows_count - 1] = (struct copy_row){
        .kind = ROW_HOLDER, .event_id = SLICE("EV"), .serial = 3, .user_id = SLICE("joe")};
    assert_int_equal(pass(bench), 0);
    assert_non_null(strstr(bench->checks.all[0].evidence, "user joe holds it, by the log nobody"));
    assert_int_equal(bench->checks.counts[CHECK_R6], 1); /* taken is not the number of rows */
    bench->world.rows[0].taken = 3;
    expect(bench, CHECK_R1, "taken is 3, by the log 2");
}

static void a_copy_that_is_not_where_it_says(void **state) {
    struct bench *bench = *state;
    struct log_place *place = &bench->world.copy_place, was = *place;
    place->crc++;
    expect(bench, CHECK_R9, "applied_seq 8 is not the place of a record of data");
    *place = was;
    place->segment++;
    expect(bench, CHECK_R9, "is not the place of a record of data");
    *place = was;
    place->seq = 4000;
    expect(bench, CHECK_R9, "applied_seq 4000 is beyond the end of data (its last record is 8)");
    *place = was;
    place->seq = 7; /* between two records */
    assert_int_equal(pass(bench), 0);
    assert_true(bench->checks.counts[CHECK_R9] > 0);
}

static void a_copy_that_is_not_there(void **state) {
    struct bench *bench = *state;
    bench->world.copy_fails = -ENOENT;
    expect(bench, CHECK_R9, "copy: the copy is missing");
    assert_false(bench->seen.has_copy);
    bench->reconcile.is_copy_optional = true;
    assert_int_equal(pass(bench), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
    bench->world.copy_fails = -EIO;
    expect(bench, CHECK_R9, "cannot open it");
    bench->reconcile.copy.open = NULL;
    assert_int_equal(pass(bench), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
}

static void views_that_differ(void **state) {
    struct bench *bench = *state;
    struct view_point *point = &bench->world.points[1];
    point->digest++;
    expect(bench, CHECK_R11, "view of thread 0 at seq 6: digest ");
    point->digest--;
    point->seq = 7; /* no record */
    expect(bench, CHECK_R11, "view of thread 0 is at seq 7, which is no record of data");
    point->seq = 900;
    expect(bench, CHECK_R11, "(its last is 8)");
    point->seq = 0; /* has seen nothing yet */
    assert_int_equal(pass(bench), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
}

static void what_cannot_be_read_is_no_finding(void **state) {
    struct bench *bench = *state;
    bench->world.views_fail = -ECONNREFUSED;
    assert_int_equal(pass(bench), -ECONNREFUSED);
    bench->world.views_fail = 0;
    bench->world.rows_fail = -EIO;
    assert_int_equal(pass(bench), -EIO);
    assert_string_equal(bench->err.text, "cannot read it");
    bench->world.rows_fail = 0;
    bench->world.log_fails = -EBADMSG;
    assert_int_equal(pass(bench), -EBADMSG);
    assert_int_equal(checks_sum(&bench->checks), 0);
}

static void a_pass_can_be_ended_early(void **state) {
    struct bench *bench = *state;
    bench->reconcile.stops = &bench->stops;
    assert_int_equal(pass(bench), 0);
    atomic_store(&bench->stops, true);
    assert_int_equal(pass(bench), -ECANCELED);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_agree),
        TEST(a_copy_may_be_late),
        TEST(every_column_counts),
        TEST(a_code_that_nobody_can_derive),
        TEST(every_row_must_be_there),
        TEST(no_row_may_be_too_many),
        TEST(a_copy_that_is_not_where_it_says),
        TEST(a_copy_that_is_not_there),
        TEST(views_that_differ),
        TEST(what_cannot_be_read_is_no_finding),
        TEST(a_pass_can_be_ended_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
