/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of a copy as they were at one moment, whatever the writer does meanwhile; nothing of the
 * file is changed.
 */
#include "record/sqlite_read.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/store_fixture.h"
#include "record/sqlite.h"

struct bench {
    char folder[64], path[96];
    struct store *store;
    struct store_position at;
    struct sqlite_reader reader;
    struct log_place place;
    uint64_t file;
    struct err err;
    char rows[4096]; /* in words */
};

static void commit(struct bench *bench, const struct store_change *changes, size_t count) {
    struct store_position to = position_of(changes[count - 1].seq);
    if (bench->store->ops->apply(bench->store, changes, count, &bench->at, &to, &bench->err) !=
        STORE_OK)
        fail_msg("%s", bench->err.text);
    bench->at = to;
}

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    strcpy(bench->folder, "/tmp/coupond-read-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/copy.sqlite", bench->folder);
    bench->reader.path = bench->path;
    bench->store = sqlite_store_new(bench->path, &clock_system);
    assert_int_equal(bench->store->ops->open(bench->store, &bench->at, &bench->err), STORE_OK);
    struct store_change changes[] = {opened(1, "EV", 2), issued(2, "EV", 1, 0, "ada"),
                                     returned(3, "EV", 1, "ada", 2), issued(4, "EV", 1, 1, "bob")};
    changes[0].ends_ms = 77;
    changes[1].claim_id = store_id_of("key");
    commit(bench, changes, ARRAY_LEN(changes));
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[128];
    sqlite_reader_close(&bench->reader);
    bench->store->ops->free(bench->store);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        snprintf(path, sizeof path, "%s%s", bench->path, suffixes[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(bench->folder), 0);
    free(bench);
    return 0;
}

static void on_row(void *ctx, const struct copy_row *row) {
    struct bench *bench = ctx;
    size_t n = strlen(bench->rows);
    char *to = bench->rows + n;
    size_t room = sizeof bench->rows - n;
    if (row->kind == ROW_EVENT)
        snprintf(to, room, "event %.*s %ld/%ld %.*s gen %ld ver %ld %ld..%ld open %ld\n",
                 (int)row->event_id.n, row->event_id.p, row->taken, row->total, (int)row->state.n,
                 row->state.p, row->gen, row->ver, row->start_ms, row->end_ms, row->open_seq);
    if (row->kind == ROW_COUPON) snprintf(to, room, "coupon %ld.%ld\n", row->serial, row->round);
    if (row->kind == ROW_HOLDER || row->kind == ROW_RETURNED)
        snprintf(to, room, "%ld.%ld of %.*s claim '%.*s' code %.*s gen %ld at %ld seq %ld",
                 row->serial, row->round, (int)row->user_id.n, row->user_id.p, (int)row->claim_id.n,
                 row->claim_id.p, (int)row->code.n, row->code.p, row->gen, row->claimed_ms,
                 row->log_seq);
    n = strlen(bench->rows);
    to = bench->rows + n;
    room = sizeof bench->rows - n;
    if (row->kind == ROW_HOLDER) snprintf(to, room, "\n");
    if (row->kind == ROW_RETURNED)
        snprintf(to, room, " back %ld seq %ld by %.*s: %.*s\n", row->returned_ms, row->returned_seq,
                 (int)row->operator.n, row->operator.p, (int)row->reason.n, row->reason.p);
}

static const char *rows_of(struct bench *bench) {
    bench->rows[0] = '\0';
    if (sqlite_reader_rows(&bench->reader, on_row, bench, &bench->err) != 0)
        fail_msg("%s", bench->err.text);
    return bench->rows;
}

static void open_reader(struct bench *bench) {
    if (sqlite_reader_open(&bench->reader, &bench->place, &bench->file, &bench->err) != 0)
        fail_msg("%s", bench->err.text);
}

static const char whole[] =
    "event EV 1/2 open gen 1 ver 2 -1..77 open 1\n"
    "coupon 1.1\n"
    "coupon 2.0\n"
    "1.1 of bob claim '' code bob gen 1 at 1004 seq 4\n"
    "1.0 of ada claim 'key' code ada gen 1 at 1002 seq 2 back 1003 seq 3 by "
    "ops: lost\n";

static void every_row_and_column(void **state) {
    struct bench *bench = *state;
    open_reader(bench);
    struct store_position at = position_of(4);
    assert_true(bench->place.seq == at.seq && bench->place.segment == at.segment &&
                bench->place.crc == at.crc);
    assert_true(bench->file != 0);
    assert_string_equal(rows_of(bench), whole);
}

/* What is committed after the opening is not seen, and the writer is not held up. */
static void the_moment_is_that_of_the_opening(void **state) {
    struct bench *bench = *state;
    open_reader(bench);
    const struct store_change more[] = {issued(5, "EV", 2, 0, "eve")};
    commit(bench, more, 1);
    assert_string_equal(rows_of(bench), whole);
    sqlite_reader_close(&bench->reader);
    sqlite_reader_close(&bench->reader);
    open_reader(bench);
    assert_int_equal(bench->place.seq, 5);
    assert_non_null(strstr(rows_of(bench), "2.0 of eve"));
}

static void expect_refusal(struct bench *bench, int code, const char *words) {
    assert_int_equal(sqlite_reader_open(&bench->reader, &bench->place, &bench->file, &bench->err),
                     code);
    assert_non_null(strstr(bench->err.text, words));
    assert_null(bench->reader.db);
}

static void files_that_are_no_copy(void **state) {
    struct bench *bench = *state;
    char other[128];
    snprintf(other, sizeof other, "%s/other", bench->folder);
    bench->reader.path = other;
    expect_refusal(bench, -ENOENT, other);
    FILE *file = fopen(other, "w");
    fclose(file);
    expect_refusal(bench, -EEXIST, "is not a copy that this program has made");
    file = fopen(other, "w");
    for (int i = 0; i < 1000; i++) fputs("no database\n", file);
    fclose(file);
    expect_refusal(bench, -EIO, "not a database");
    unlink(other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_row_and_column),
        TEST(the_moment_is_that_of_the_opening),
        TEST(files_that_are_no_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
