/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables refuse whatever the judge would have refused, each on its own account, and follow what
 * it allowed.
 */
#include "record/sqlite_rows.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake/store_fixture.h"
#include "record/sqlite_schema.h"

struct bench {
    sqlite3 *db;
    struct sqlite_rows rows;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    assert_int_equal(sqlite3_open(":memory:", &bench->db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(bench->db, "PRAGMA foreign_keys = ON;" SCHEMA_SQL, NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite_rows_init(&bench->rows, bench->db), SQLITE_OK);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    sqlite_rows_deinit(&bench->rows);
    assert_int_equal(sqlite3_close(bench->db), SQLITE_OK);
    free(bench);
    return 0;
}

static void allow(struct bench *bench, struct store_change change) {
    assert_int_equal(sqlite_rows_apply(&bench->rows, &change), SQLITE_OK);
}

static void refuse(struct bench *bench, struct store_change change) {
    assert_int_equal(sqlite_rows_apply(&bench->rows, &change), SQLITE_CONSTRAINT);
}

/* The rows of a query, columns parted by | and rows by a space. */
static void expect(struct bench *bench, const char *sql, const char *wanted) {
    char found[512] = "";
    size_t n = 0;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(bench->db, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            n += (size_t)snprintf(found + n, sizeof found - n, "%s%s",
                                  i > 0   ? "|"
                                  : n > 0 ? " "
                                          : "",
                                  text == NULL ? "-" : text);
        }
    sqlite3_finalize(statement);
    assert_string_equal(found, wanted);
}

static void an_event_and_its_coupons(void **state) {
    struct bench *bench = *state;
    struct store_change open = opened(1, "EV", 3);
    open.starts_ms = 10;
    allow(bench, open);
    expect(bench,
           "SELECT event_id, total, taken, state, gen, ver, start_ms, end_ms, open_seq FROM events",
           "EV|3|0|open|1|1|10|-|1");
    expect(bench, "SELECT * FROM coupons", "EV|1|0 EV|2|0 EV|3|0");
    refuse(bench, opened(2, "EV", 3));  /* the same event again */
    refuse(bench, opened(1, "EV2", 3)); /* the same record again */
    refuse(bench, opened(3, "EV3", 0));
    struct store_change backwards = opened(4, "EV4", 1);
    backwards.starts_ms = backwards.ends_ms = 5;
    refuse(bench, backwards);
    backwards.state = STORE_CLOSED; /* closed before it began */
    allow(bench, backwards);
}

static void a_coupon_and_its_holder(void **state) {
    struct bench *bench = *state;
    allow(bench, opened(1, "EV", 2));
    struct store_change named = issued(2, "EV", 2, 0, "ada");
    named.claim_id = store_id_of("key-1");
    allow(bench, named);
    struct store_change unnamed = issued(3, "EV", 1, 0, "bob");
    unnamed.code.bytes = 0; /* the key is not here */
    allow(bench, unnamed);
    expect(bench, "SELECT * FROM user_coupons ORDER BY serial",
           "EV|1|bob|-|-|0|1|1003|3 EV|2|ada|key-1|ada|0|1|1002|2");
    expect(bench, "SELECT taken FROM events", "2");
}

static void oversell_is_impossible(void **state) {
    struct bench *bench = *state;
    allow(bench, opened(1, "EV", 2));
    refuse(bench, issued(2, "EV", 0, 0, "ada")); /* no such serial */
    refuse(bench, issued(2, "EV", 3, 0, "ada"));
    refuse(bench, issued(2, "other", 1, 0, "ada")); /* no such event */
    allow(bench, issued(2, "EV", 1, 0, "ada"));
    refuse(bench, issued(3, "EV", 1, 0, "bob"));               /* somebody has it */
    struct store_change second = issued(3, "EV", 2, 0, "ada"); /* has one */
    second.code.bytes = 0;
    refuse(bench, second);
    refuse(bench, issued(2, "EV", 2, 0, "bob")); /* the same record */
    struct store_change copied = issued(3, "EV", 2, 0, "bob");
    copied.code = issued(0, "", 0, 0, "ada").code; /* another's code */
    refuse(bench, copied);
    refuse(bench, issued(3, "EV", 2, 1, "bob")); /* another round */
    refuse(bench, issued(3, "EV", 2, 0, ""));
    allow(bench, issued(3, "EV", 2, 0, "bob"));
    expect(bench, "SELECT taken FROM events", "2");
    assert_int_equal(sqlite3_exec(bench->db, "UPDATE events SET taken = 3", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(bench->db, "UPDATE events SET total = 'x'", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT); /* STRICT */
}

static void a_return_is_kept_and_frees_its_coupon(void **state) {
    struct bench *bench = *state;
    allow(bench, opened(1, "EV", 1));
    allow(bench, issued(2, "EV", 1, 0, "ada"));
    refuse(bench, returned(3, "EV", 1, "bob", 2)); /* has none */
    allow(bench, returned(3, "EV", 1, "ada", 2));
    expect(bench, "SELECT * FROM user_coupons_history",
           "EV|1|0|ada|-|ada|1|1002|2|1003|3|ops|lost");
    expect(bench, "SELECT count(*) FROM user_coupons", "0");
    expect(bench, "SELECT taken, ver FROM events", "0|2");
    refuse(bench, issued(4, "EV", 1, 1, "ada")); /* who returned may not claim again */
    refuse(bench, issued(4, "EV", 1, 0, "bob")); /* the round that is over */
    refuse(bench, returned(4, "EV", 1, "ada", 3));
    allow(bench, issued(4, "EV", 1, 1, "bob"));
    allow(bench, returned(5, "EV", 1, "bob", 3));
    expect(bench, "SELECT round, user_id FROM user_coupons_history", "0|ada 1|bob");
}

static void coupons_follow_the_stock(void **state) {
    struct bench *bench = *state;
    allow(bench, opened(1, "EV", 3));
    allow(bench, issued(2, "EV", 3, 0, "ada"));
    refuse(bench, restocked(3, "EV", 2, 2)); /* would drop a coupon that is held */
    refuse(bench, restocked(3, "other", 2, 2));
}

/* A statement that is refused leaves what the one before it did: sqlite.c rolls back. */
static void a_coupon_comes_back_in_its_round(void **state) {
    struct bench *bench = *state;
    allow(bench, opened(1, "EV", 3));
    allow(bench, issued(2, "EV", 3, 0, "ada"));
    allow(bench, returned(3, "EV", 3, "ada", 2));
    allow(bench, restocked(4, "EV", 1, 3));
    expect(bench, "SELECT * FROM coupons", "EV|1|0");
    expect(bench, "SELECT total, ver FROM events", "1|3");
    allow(bench, restocked(5, "EV", 4, 4));
    expect(bench, "SELECT * FROM coupons", "EV|1|0 EV|2|0 EV|3|1 EV|4|0");
    struct store_change paused = restocked(6, "EV", 4, 5);
    paused.state = STORE_PAUSED;
    paused.ends_ms = 99;
    allow(bench, paused);
    expect(bench, "SELECT state, end_ms, ver FROM events", "paused|99|5");
    expect(bench, "SELECT count(*) FROM coupons", "4");
}

static void the_position_moves_from_where_it_was(void **state) {
    struct bench *bench = *state;
    struct store_position found, at = {.seq = 0}, one = position_of(1), two = position_of(2);
    assert_int_equal(sqlite_rows_position(&bench->rows, &found), SQLITE_OK);
    assert_true(store_position_eq(&found, &at));
    assert_int_equal(sqlite_rows_move(&bench->rows, &at, &one), SQLITE_OK);
    assert_int_equal(sqlite_rows_move(&bench->rows, &at, &two), SQLITE_CONSTRAINT);
    assert_int_equal(sqlite_rows_position(&bench->rows, &found), SQLITE_OK);
    assert_true(store_position_eq(&found, &one));
    assert_int_equal(sqlite3_exec(bench->db, "DELETE FROM meta", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite_rows_position(&bench->rows, &found), SQLITE_CORRUPT);
}

static void tables_of_another_shape_are_noticed(void **state) {
    struct bench *bench = *state;
    struct sqlite_rows rows;
    assert_int_equal(
        sqlite3_exec(bench->db, "ALTER TABLE coupons RENAME round TO turn", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite_rows_init(&rows, bench->db), SQLITE_ERROR);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_and_its_coupons),
        TEST(a_coupon_and_its_holder),
        TEST(oversell_is_impossible),
        TEST(a_return_is_kept_and_frees_its_coupon),
        TEST(coupons_follow_the_stock),
        TEST(a_coupon_comes_back_in_its_round),
        TEST(the_position_moves_from_where_it_was),
        TEST(tables_of_another_shape_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
