/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection to MariaDB (or MySQL) for one thread that may wait: statements as text, answers row
 * by row, and each failure with its class (mariadb_error.h) and a sentence.
 *
 * Every session is strict (no value is bent to fit), READ COMMITTED, in UTC, and gives up waiting
 * for locks after seconds. Values go into statements by maria_add_… alone, which quote and escape
 * them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "record/mariadb_error.h"

struct maria;

enum { MARIA_SERVERS_MAX = 8, MARIA_STATEMENT_BYTES_MAX = 12 << 20 };

struct maria_options {
    /* "host:port,host:port": the first that answers and, for a writer, is not read-only. */
    const char *servers;
    const char *name; /* of the database */
    const char *user, *password;
    const char *ca_file; /* TLS, and the server's certificate must be of this CA; NULL: plain */
    bool only_reads;     /* a replica will do */
    uint32_t timeout_ms; /* of connecting, and of each silence */
};

/* 0, or -EINVAL and what a list of servers looks like. */
int maria_servers_check(const char *servers, struct err *err) MUST_CHECK;

/* Not connected yet. The options' texts must outlive it. NULL when memory is short. */
struct maria *maria_new(const struct maria_options *options) MUST_CHECK;
void maria_free(struct maria *db);

/* Connects, having closed what was open. On failure `err` names server and user. */
enum maria_class maria_connect(struct maria *db, struct err *err) MUST_CHECK;
void maria_close(struct maria *db);
bool maria_is_open(const struct maria *db);
/* "host:port/name" of the server in use, or of the list. */
const char *maria_name(const struct maria *db);

/* Runs a statement without rows; `*hit` (may be NULL) is how many rows it found, changed or not.
 * After a failure of the connection it is closed. */
enum maria_class maria_run(struct maria *db, struct slice sql, uint64_t *hit,
                           struct err *err) MUST_CHECK;
enum maria_class maria_run_text(struct maria *db, const char *sql, struct err *err) MUST_CHECK;

/* A row of an answer: texts live during the call; that of NULL has p == NULL. */
typedef void (*maria_row_fn)(void *ctx, const struct slice *columns, unsigned count);

/* Runs a statement with rows, and has read all of them when it returns. */
enum maria_class maria_ask(struct maria *db, struct slice sql, maria_row_fn on_row, void *ctx,
                           struct err *err) MUST_CHECK;

/* The error number of the last failure; 0 when it was not the server's or the library's. */
unsigned maria_error_number(const struct maria *db);

/* ---- statements ---- */

/* The text in quotes. Its encoding is UTF-8 or plainer; the connection may be closed. */
void maria_add_text(struct buf *sql, struct slice text);
/* … or NULL when it is empty. */
void maria_add_text_or_null(struct buf *sql, struct slice text);
void maria_add_bytes(struct buf *sql, struct slice bytes);
void maria_add_i64(struct buf *sql, int64_t number);

/* A whole number of an answer; 0 for NULL. */
uint64_t maria_u64(struct slice column);
int64_t maria_i64(struct slice column);
