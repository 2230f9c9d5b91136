/* SPDX-License-Identifier: Apache-2.0 */
#include "record/sqlite_read.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "record/sqlite_schema.h"

enum { BUSY_TIMEOUT_MS = 5000 };

static int fail(struct sqlite_reader *reader, int code, struct err *err) {
    const char *more = reader->db != NULL && sqlite3_errcode(reader->db) != SQLITE_OK
                           ? sqlite3_errmsg(reader->db)
                           : sqlite3_errstr(code);
    return err_set(err, -EIO, "%s: cannot be read: %s", reader->path, more);
}

void sqlite_reader_close(void *ctx) {
    struct sqlite_reader *reader = ctx;
    (void)sqlite3_close(reader->db); /* has no statement left, so cannot fail */
    reader->db = NULL;
}

static int number_of(struct sqlite_reader *reader, const char *sql, int64_t *number) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(reader->db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) *number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_ERROR : code;
}

/* The first read is what fixes the moment. */
static int read_place(struct sqlite_reader *reader, struct log_place *place) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        reader->db, "SELECT applied_seq, applied_segment, applied_crc FROM meta WHERE id = 1", -1,
        &statement, NULL);
    if (code != SQLITE_OK) return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *place = (struct log_place){.seq = (uint64_t)sqlite3_column_int64(statement, 0),
                                    .segment = (uint64_t)sqlite3_column_int64(statement, 1),
                                    .crc = (uint32_t)sqlite3_column_int64(statement, 2)};
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_ERROR : code;
}

static int open_and_check(struct sqlite_reader *reader, struct log_place *place, struct err *err) {
    int64_t application = 0, version = 0;
    int code = sqlite3_open_v2(reader->path, &reader->db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) code = sqlite3_busy_timeout(reader->db, BUSY_TIMEOUT_MS);
    if (code == SQLITE_OK) code = sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL);
    if (code == SQLITE_OK) code = number_of(reader, "PRAGMA application_id", &application);
    if (code == SQLITE_OK) code = number_of(reader, "PRAGMA user_version", &version);
    if (code != SQLITE_OK) return fail(reader, code, err);
    if (application != SCHEMA_APPLICATION_ID || version != SCHEMA_VERSION)
        return err_set(err, -EEXIST, "%s: is not a copy that this program has made", reader->path);
    code = read_place(reader, place);
    return code == SQLITE_OK ? 0 : fail(reader, code, err);
}

int sqlite_reader_open(void *ctx, struct log_place *place, uint64_t *file, struct err *err) {
    struct sqlite_reader *reader = ctx;
    struct stat found;
    if (stat(reader->path, &found) != 0) {
        int code = -errno;
        return err_set(err, code, "%s: cannot be opened: %s", reader->path, strerror(-code));
    }
    *file = (uint64_t)found.st_ino;
    int code = open_and_check(reader, place, err);
    if (code != 0) sqlite_reader_close(reader);
    return code;
}

/* ---- Rows ---- */

static struct slice text_at(sqlite3_stmt *statement, int column) {
    const void *text = sqlite3_column_text(statement, column);
    return text == NULL ? slice_of("", 0)
                        : slice_of(text, (size_t)sqlite3_column_bytes(statement, column));
}

static int64_t time_at(sqlite3_stmt *statement, int column) {
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? DECISION_NO_TIME
               : sqlite3_column_int64(statement, column);
}

static void fill_event(sqlite3_stmt *statement, struct copy_row *row) {
    row->total = sqlite3_column_int64(statement, 1);
    row->taken = sqlite3_column_int64(statement, 2);
    row->state = text_at(statement, 3);
    row->gen = sqlite3_column_int64(statement, 4);
    row->ver = sqlite3_column_int64(statement, 5);
    row->start_ms = time_at(statement, 6);
    row->end_ms = time_at(statement, 7);
    row->open_seq = sqlite3_column_int64(statement, 8);
}

static void fill_coupon(sqlite3_stmt *statement, struct copy_row *row) {
    row->serial = sqlite3_column_int64(statement, 1);
    row->round = sqlite3_column_int64(statement, 2);
}

static void fill_issued(sqlite3_stmt *statement, struct copy_row *row) {
    fill_coupon(statement, row);
    row->user_id = text_at(statement, 3);
    row->claim_id = text_at(statement, 4);
    row->code = text_at(statement, 5);
    row->gen = sqlite3_column_int64(statement, 6);
    row->claimed_ms = sqlite3_column_int64(statement, 7);
    row->log_seq = sqlite3_column_int64(statement, 8);
}

static void fill_returned(sqlite3_stmt *statement, struct copy_row *row) {
    fill_issued(statement, row);
    row->returned_ms = sqlite3_column_int64(statement, 9);
    row->returned_seq = sqlite3_column_int64(statement, 10);
    row->operator= text_at(statement, 11);
    row->reason = text_at(statement, 12);
}

static const struct table {
    enum copy_row_kind kind;
    const char *sql;
    void (*fill)(sqlite3_stmt *statement, struct copy_row *row);
} tables[] = {
    {ROW_EVENT,
     "SELECT event_id, total, taken, state, gen, ver, start_ms, end_ms, open_seq FROM events",
     fill_event},
    {ROW_COUPON, "SELECT event_id, serial, round FROM coupons", fill_coupon},
    {ROW_HOLDER,
     "SELECT event_id, serial, round, user_id, claim_id, code, gen, claimed_ms, log_seq "
     "FROM user_coupons",
     fill_issued},
    {ROW_RETURNED,
     "SELECT event_id, serial, round, user_id, claim_id, code, gen, claimed_ms, log_seq, "
     "returned_ms, returned_seq, operator, reason FROM user_coupons_history",
     fill_returned},
};

static int read_table(struct sqlite_reader *reader, const struct table *table, copy_row_fn on_row,
                      void *ctx) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(reader->db, table->sql, -1, &statement, NULL);
    if (code != SQLITE_OK) return code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct copy_row row = {.kind = table->kind, .event_id = text_at(statement, 0)};
        table->fill(statement, &row);
        on_row(ctx, &row);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int sqlite_reader_rows(void *ctx, copy_row_fn on_row, void *on_row_ctx, struct err *err) {
    struct sqlite_reader *reader = ctx;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        int code = read_table(reader, &tables[i], on_row, on_row_ctx);
        if (code != SQLITE_OK) return fail(reader, code, err);
    }
    return 0;
}
