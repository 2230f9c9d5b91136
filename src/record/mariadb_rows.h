/* SPDX-License-Identifier: Apache-2.0
 *
 * What a batch does to the tables of deploy/mariadb/: plain INSERT, UPDATE and DELETE, each of
 * which must hit exactly what it is meant for. INSERT IGNORE, REPLACE and ON DUPLICATE KEY UPDATE
 * hide a disagreement or damage other rows, and so are not used anywhere.
 *
 * Only mariadb_recording.c calls it, inside a transaction of its own.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "record/mariadb.h"
#include "record/recording.h"

struct maria_rows {
    struct maria *db;
    struct buf sql; /* the statement in the making */
};

void maria_rows_init(struct maria_rows *rows, struct maria *db);
void maria_rows_deinit(struct maria_rows *rows);

/* An empty statement to be filled, and its running: `*hit` rows, or one and nothing else (any other
 * number is a conflict). */
struct buf *maria_rows_statement(struct maria_rows *rows);
enum maria_class maria_rows_run(struct maria_rows *rows, uint64_t *hit, struct err *err) MUST_CHECK;
enum maria_class maria_rows_run_one(struct maria_rows *rows, struct err *err) MUST_CHECK;

/* Locks the rows of all events of the batch, in the order of their ids, so that no two who do so
 * wait for each other. */
enum maria_class maria_rows_lock_events(struct maria_rows *rows,
                                        const struct recording_batch *batch,
                                        struct err *err) MUST_CHECK;
/* A CONFLICT's `err` names the record when the batch goes row by row. */
enum maria_class maria_rows_changes(struct maria_rows *rows, const struct recording_batch *batch,
                                    struct err *err) MUST_CHECK;
enum maria_class maria_rows_rejects(struct maria_rows *rows, const struct recording_batch *batch,
                                    int64_t now_ms, struct err *err) MUST_CHECK;
