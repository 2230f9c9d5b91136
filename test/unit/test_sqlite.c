/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite file: rows and position in one transaction whatever fails, and each state in which a
 * file can be found is told from the others.
 */
#include "record/sqlite.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "fake/failing_vfs.h"
#include "fake/store_fixture.h"

enum { PATH_BYTES = 128 };

struct bench {
    char folder[64], path[PATH_BYTES];
    struct store *store;
    struct store_position at;
    struct err err;
};

static int64_t wall_ms(const struct clock *clock) {
    (void)clock;
    return 1234567;
}
static const struct clock fixed_clock = {wall_ms, NULL};

static void reopen(struct bench *bench) {
    if (bench->store != NULL) bench->store->ops->free(bench->store);
    bench->store = sqlite_store_new(bench->path, &fixed_clock);
    assert_non_null(bench->store);
}

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    strcpy(bench->folder, "/tmp/coupond-sqlite-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/copy.sqlite", bench->folder);
    reopen(bench);
    *state = bench;
    return 0;
}

static glob_t files_like(const struct bench *bench, const char *pattern) {
    char all[PATH_BYTES];
    glob_t found;
    snprintf(all, sizeof all, "%s/%s", bench->folder, pattern);
    int code = glob(all, 0, NULL, &found);
    assert_true(code == 0 || code == GLOB_NOMATCH);
    return found;
}

static size_t files_count(const struct bench *bench, const char *pattern) {
    glob_t found = files_like(bench, pattern);
    size_t count = found.gl_pathc;
    globfree(&found);
    return count;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    for (enum failing_call call = FAILING_WRITE; call < FAILING_CALLS; call++)
        failing_vfs_set(call, 0, 0, 0);
    bench->store->ops->free(bench->store);
    glob_t found = files_like(bench, "*");
    for (size_t i = 0; i < found.gl_pathc; i++) unlink(found.gl_pathv[i]);
    globfree(&found);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static enum store_status open_store(struct bench *bench) {
    return bench->store->ops->open(bench->store, &bench->at, &bench->err);
}

static enum store_status apply(struct bench *bench, const struct store_change *changes,
                               size_t count, uint64_t to_seq) {
    struct store_position to = position_of(to_seq);
    enum store_status status =
        bench->store->ops->apply(bench->store, changes, count, &bench->at, &to, &bench->err);
    if (status == STORE_OK) bench->at = to;
    return status;
}

/* A store with an event of three coupons, one of which ada holds; at seq 2. */
static void begin(struct bench *bench) {
    const struct store_change changes[] = {opened(1, "EV", 3), issued(2, "EV", 1, 0, "ada")};
    assert_int_equal(open_store(bench), STORE_OK);
    assert_int_equal(bench->at.seq, 0);
    assert_int_equal(apply(bench, changes, 2, 2), STORE_OK);
}

/* As somebody else sees it, who opens the file beside the store. */
static int64_t see(const struct bench *bench, const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(bench->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
}

static void meddle(const struct bench *bench, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

#define SEE_ROWS "SELECT count(*) FROM user_coupons"
#define SEE_SEQ "SELECT applied_seq FROM meta"

static void what_was_applied_is_there_for_others_and_after_a_restart(void **state) {
    struct bench *bench = *state;
    begin(bench);
    assert_int_equal(see(bench, SEE_ROWS), 1);
    struct store_position two = position_of(2);
    reopen(bench);
    assert_int_equal(open_store(bench), STORE_OK);
    assert_true(store_position_eq(&bench->at, &two));
    struct stat found;
    assert_int_equal(stat(bench->path, &found), 0);
    assert_int_equal(see(bench, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
}

static void a_conflict_changes_nothing_and_names_its_record(void **state) {
    struct bench *bench = *state;
    begin(bench);
    const struct store_change changes[] = {issued(3, "EV", 2, 0, "bob"),
                                           issued(4, "EV", 1, 0, "eve")};
    assert_int_equal(apply(bench, changes, 2, 4), STORE_CONFLICT);
    assert_non_null(strstr(bench->err.text, "seq 4 event EV serial 1"));
    assert_int_equal(see(bench, SEE_ROWS), 1);
    assert_int_equal(see(bench, SEE_SEQ), 2);
    const struct store_change none_such = issued(3, "EV", 4, 0, "bob");
    assert_int_equal(apply(bench, &none_such, 1, 3), STORE_CONFLICT); /* foreign keys are on */
    assert_int_equal(apply(bench, changes, 1, 3), STORE_OK);
}

static void a_commit_that_was_not_heard_of_is_not_made_twice(void **state) {
    struct bench *bench = *state;
    begin(bench);
    const struct store_change change = issued(3, "EV", 2, 0, "bob");
    struct store_position two = bench->at;
    assert_int_equal(apply(bench, &change, 1, 3), STORE_OK);
    bench->at = two;
    assert_int_equal(apply(bench, &change, 1, 3), STORE_OK);
    assert_int_equal(see(bench, SEE_ROWS), 2);
}

static void a_second_writer_is_noticed(void **state) {
    struct bench *bench = *state;
    begin(bench);
    meddle(bench, "UPDATE meta SET applied_seq = 7");
    const struct store_change change = issued(3, "EV", 2, 0, "bob");
    assert_int_equal(apply(bench, &change, 1, 3), STORE_CONFLICT);
    assert_non_null(strstr(bench->err.text, "at seq 7, not 2"));
    assert_int_equal(see(bench, SEE_ROWS), 1);
}

/* Every write and every sync of a transaction fails in turn: it is made whole later, or was. */
static void all_or_nothing_wherever_the_disk_fails(void **state) {
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
    struct bench *bench = *state;
    begin(bench);
    uint64_t seq = bench->at.seq;
    uint32_t failures = 0;
    for (size_t k = 0; k < ARRAY_LEN(codes); k++)
        for (enum failing_call call = FAILING_WRITE; call <= FAILING_SYNC; call++)
            for (int nth = 1;; nth++) {
                char event[16], user[16];
                snprintf(event, sizeof event, "E%llu", (unsigned long long)seq);
                snprintf(user, sizeof user, "u%llu", (unsigned long long)seq);
                const struct store_change changes[] = {opened(seq + 1, event, 50),
                                                       issued(seq + 2, event, 1, 0, user)};
                int64_t rows = see(bench, SEE_ROWS);
                failing_vfs_set(call, nth, 1, codes[k]);
                enum store_status status = apply(bench, changes, 2, seq + 2);
                failing_vfs_set(call, 0, 0, 0);
                /* Rows and position are never parted. */
                bool is_there = see(bench, SEE_SEQ) == (int64_t)seq + 2;
                assert_int_equal(see(bench, SEE_ROWS), rows + is_there);
                if (status == STORE_OK) {
                    assert_true(is_there);
                } else {
                    failures++;
                    assert_int_equal(status, STORE_LATER);
                    assert_int_equal(apply(bench, changes, 2, seq + 2), STORE_OK);
                }
                assert_int_equal(see(bench, SEE_ROWS), rows + 1);
                seq += 2;
                if (status == STORE_OK) break;
            }
    assert_true(failures >= 8);
    reopen(bench);
    assert_int_equal(open_store(bench), STORE_OK);
    assert_int_equal(bench->at.seq, seq);
}

static void a_disk_that_fails_at_the_first_start(void **state) {
    struct bench *bench = *state;
    for (int nth = 1;; nth++) {
        failing_vfs_set(FAILING_WRITE, nth, 1000000, SQLITE_FULL);
        enum store_status status = open_store(bench);
        failing_vfs_set(FAILING_WRITE, 0, 0, 0);
        if (status == STORE_OK) break;
        assert_int_equal(status, STORE_LATER);
        assert_true(nth < 100);
    }
    reopen(bench);
    begin(bench);
}

static void a_lock_is_waited_for(void **state) {
    struct bench *bench = *state;
    begin(bench);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(bench->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    const struct store_change change = issued(3, "EV", 2, 0, "bob");
    assert_int_equal(apply(bench, &change, 1, 3), STORE_LATER);
    assert_non_null(strstr(bench->err.text, "locked"));
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    /* A reader holds nobody up. */
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT * FROM meta", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(apply(bench, &change, 1, 3), STORE_OK);
    sqlite3_close(other);
}

static void a_lock_at_the_start_is_waited_for(void **state) {
    struct bench *bench = *state;
    begin(bench);
    reopen(bench);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(bench->path, &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(open_store(bench), STORE_LATER);
    sqlite3_close(other);
    assert_int_equal(open_store(bench), STORE_OK);
}

/* ---- Files of all kinds ---- */

static void expect_damaged(struct bench *bench, const char *text) {
    assert_int_equal(open_store(bench), STORE_DAMAGED);
    assert_non_null(strstr(bench->err.text, text));
    assert_int_equal(bench->store->ops->reset(bench->store, &bench->err), STORE_OK);
    assert_int_equal(access(bench->path, F_OK), -1);
    assert_int_equal(files_count(bench, "copy.sqlite-*"), 0); /* no log that another would find */
    assert_int_equal(open_store(bench), STORE_OK);
    assert_int_equal(bench->at.seq, 0);
}

/* A file with rows, closed. */
static void make_closed(struct bench *bench) {
    begin(bench);
    bench->store->ops->free(bench->store);
    bench->store = NULL;
    reopen(bench);
}

static void damage_is_found_and_put_aside(void **state) {
    struct bench *bench = *state;
    make_closed(bench);
    int fd = open(bench->path, O_RDWR);
    char page[4096];
    memset(page, 0xa5, sizeof page);
    for (off_t at = 4096; pwrite(fd, page, sizeof page, at) > 0 && at < 4096 * 12;) at += 4096;
    close(fd);
    expect_damaged(bench, "copy.sqlite");
    assert_int_equal(files_count(bench, "copy.sqlite.aside-1234"), 1);
}

/* Killed, a server leaves the write-ahead log, which another file must never meet. */
static void the_write_ahead_log_goes_with_its_file(void **state) {
    struct bench *bench = *state;
    char wal[PATH_BYTES + 8];
    make_closed(bench);
    snprintf(wal, sizeof wal, "%s-wal", bench->path);
    close(open(wal, O_RDWR | O_CREAT, 0600));
    assert_int_equal(bench->store->ops->reset(bench->store, &bench->err), STORE_OK);
    assert_int_equal(files_count(bench, "copy.sqlite"), 0);
    assert_int_equal(files_count(bench, "copy.sqlite-*"), 0);
    assert_int_equal(files_count(bench, "copy.sqlite.aside-1234"), 1);
    assert_int_equal(files_count(bench, "copy.sqlite.aside-1234-wal"), 1);
    assert_int_equal(open_store(bench), STORE_OK);
    assert_int_equal(bench->at.seq, 0);
}

static void what_is_no_database_is_put_aside(void **state) {
    struct bench *bench = *state;
    for (int n = 0; n < 3; n++) {
        reopen(bench);
        unlink(bench->path);
        int fd = open(bench->path, O_RDWR | O_CREAT, 0600);
        for (int i = 0; i < 100; i++) assert_int_equal(write(fd, "these are my letters\n", 21), 21);
        close(fd);
        expect_damaged(bench, "not a database");
        assert_int_equal(files_count(bench, "copy.sqlite.aside-*"), n + 1); /* all are kept */
    }
}

static void an_index_that_lies_is_found(void **state) {
    struct bench *bench = *state;
    make_closed(bench);
    meddle(bench, "PRAGMA writable_schema = ON;"
                  "UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (user_id <> '''')', "
                  "'CHECK (user_id = ''x'')') WHERE name = 'user_coupons'");
    expect_damaged(bench, "CHECK constraint failed");
}

static void rows_that_were_taken_away_are_missed(void **state) {
    struct bench *bench = *state;
    make_closed(bench);
    meddle(bench, "DELETE FROM user_coupons");
    expect_damaged(bench, "counts disagree");
    make_closed(bench);
    meddle(bench, "PRAGMA foreign_keys = OFF; DELETE FROM coupons WHERE serial = 3");
    expect_damaged(bench, "counts disagree");
}

static void tables_of_another_version_or_shape_are_made_again(void **state) {
    struct bench *bench = *state;
    make_closed(bench);
    meddle(bench, "PRAGMA user_version = 2");
    expect_damaged(bench, "another version");
    make_closed(bench);
    meddle(bench, "DROP TABLE user_coupons_history");
    expect_damaged(bench, "another shape");
}

static void an_empty_file_is_taken(void **state) {
    struct bench *bench = *state;
    close(open(bench->path, O_RDWR | O_CREAT, 0600));
    begin(bench);
}

static void the_database_of_another_program_is_left_alone(void **state) {
    struct bench *bench = *state;
    meddle(bench, "CREATE TABLE friends(name); INSERT INTO friends VALUES ('ada')");
    assert_int_equal(open_store(bench), STORE_CONFLICT);
    assert_non_null(strstr(bench->err.text, "another program"));
    assert_int_equal(see(bench, "SELECT count(*) FROM friends"), 1);
}

static void a_file_that_lost_its_name_is_noticed(void **state) {
    struct bench *bench = *state;
    begin(bench);
    const struct store_change change = issued(3, "EV", 2, 0, "bob");
    unlink(bench->path);
    assert_int_equal(apply(bench, &change, 1, 3), STORE_DAMAGED);
    assert_int_equal(bench->store->ops->reset(bench->store, &bench->err), STORE_OK);
    assert_int_equal(open_store(bench), STORE_OK);
    assert_int_equal(bench->at.seq, 0);
}

static void what_cannot_be_opened_or_put_aside_is_tried_later(void **state) {
    struct bench *bench = *state;
    assert_int_equal(mkdir(bench->path, 0700), 0);
    assert_int_equal(open_store(bench), STORE_LATER);
    rmdir(bench->path);
    begin(bench);
    struct store *nowhere = sqlite_store_new("/nowhere/at/all.sqlite", &fixed_clock);
    assert_int_equal(nowhere->ops->open(nowhere, &bench->at, &bench->err), STORE_LATER);
    assert_non_null(strstr(bench->err.text, "/nowhere/at/all.sqlite"));
    nowhere->ops->free(nowhere);
}

int main(void) {
    failing_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_applied_is_there_for_others_and_after_a_restart),
        TEST(a_conflict_changes_nothing_and_names_its_record),
        TEST(a_commit_that_was_not_heard_of_is_not_made_twice),
        TEST(a_second_writer_is_noticed),
        TEST(all_or_nothing_wherever_the_disk_fails),
        TEST(a_disk_that_fails_at_the_first_start),
        TEST(a_lock_is_waited_for),
        TEST(a_lock_at_the_start_is_waited_for),
        TEST(damage_is_found_and_put_aside),
        TEST(the_write_ahead_log_goes_with_its_file),
        TEST(what_is_no_database_is_put_aside),
        TEST(an_index_that_lies_is_found),
        TEST(rows_that_were_taken_away_are_missed),
        TEST(tables_of_another_version_or_shape_are_made_again),
        TEST(an_empty_file_is_taken),
        TEST(the_database_of_another_program_is_left_alone),
        TEST(a_file_that_lost_its_name_is_noticed),
        TEST(what_cannot_be_opened_or_put_aside_is_tried_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
