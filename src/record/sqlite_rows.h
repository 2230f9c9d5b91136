/* SPDX-License-Identifier: Apache-2.0
 *
 * What a change does to the tables of sqlite_schema.h: plain INSERT, UPDATE and DELETE, each of
 * which must hit exactly what it is meant for. INSERT OR IGNORE, OR REPLACE and ON CONFLICT hide a
 * disagreement, and so are not used anywhere.
 *
 * Only sqlite.c calls it, inside a transaction of its own.
 */
#pragma once

#include <sqlite3.h>

#include "lib/base.h"
#include "record/store.h"

enum rows_statement {
    ROWS_POSITION,
    ROWS_MOVE,
    ROWS_OPEN_EVENT,
    ROWS_CHANGE_EVENT,
    ROWS_ADD_COUPONS,
    ROWS_DROP_COUPONS,
    ROWS_ISSUE,
    ROWS_COUNT_ISSUED,
    ROWS_KEEP_RETURNED,
    ROWS_RETURN,
    ROWS_RAISE_ROUND,
    ROWS_COUNT_RETURNED,
    ROWS_STATEMENTS,
};

struct sqlite_rows {
    sqlite3 *db;
    sqlite3_stmt *statements[ROWS_STATEMENTS];
};

/* Prepares the statements. SQLITE_OK, or the code of the first that fails: tables of another shape.
 */
int sqlite_rows_init(struct sqlite_rows *rows, sqlite3 *db) MUST_CHECK;
void sqlite_rows_deinit(struct sqlite_rows *rows);

/* Makes one change. SQLITE_OK; SQLITE_CONSTRAINT also when a row that must be there is not; or
 * another code of SQLite. After anything but SQLITE_OK the transaction is to be rolled back. */
int sqlite_rows_apply(struct sqlite_rows *rows, const struct store_change *change) MUST_CHECK;

int sqlite_rows_position(struct sqlite_rows *rows, struct store_position *position) MUST_CHECK;
int sqlite_rows_move(struct sqlite_rows *rows, const struct store_position *from,
                     const struct store_position *to) MUST_CHECK;
