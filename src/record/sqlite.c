/* SPDX-License-Identifier: Apache-2.0 */
#include "record/sqlite.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/disk.h"
#include "lib/failpoint.h"
#include "record/sqlite_rows.h"
#include "record/sqlite_schema.h"

enum {
    /* A reader that is just opening or closing holds a lock for less; who holds it longer is met by
     * the caller's patience, which is without end. */
    BUSY_TIMEOUT_MS = 100,
    QUICK_CHECK_BYTES = 64 << 20, /* from here on indexes are not compared with their tables */
    ASIDE_TRIES = 100,            /* names tried, when several files are put aside in a second */
};

struct sqlite_store {
    struct store store;
    const struct clock *clock;
    char *path;
    sqlite3 *db; /* NULL while closed */
    struct sqlite_rows rows;
    struct stat opened; /* device and inode of the file that is open */
};

static struct sqlite_store *sqlite_of(struct store *store) {
    return CONTAINER_OF(store, struct sqlite_store, store);
}

/* ---- What went wrong ---- */

/* By whose fault a call failed, which is what decides what can be done about it. */
static enum store_status status_of(int code) {
    switch (code & 0xff) {
    case SQLITE_OK:
        return STORE_OK;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return STORE_DAMAGED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
        return STORE_LATER;
    default: /* constraints, and statements that the tables no longer fit */
        return STORE_CONFLICT;
    }
}

static int errno_of(enum store_status status) {
    return status == STORE_LATER ? -EAGAIN : status == STORE_DAMAGED ? -EBADMSG : -EEXIST;
}

static enum store_status fail(struct sqlite_store *sqlite, int code, const char *what,
                              struct err *err) {
    enum store_status status = status_of(code);
    const char *more = sqlite->db != NULL && sqlite3_errcode(sqlite->db) != SQLITE_OK
                           ? sqlite3_errmsg(sqlite->db)
                           : sqlite3_errstr(code);
    err_set(err, errno_of(status), "%s: %s: %s", sqlite->path, what, more);
    return status;
}

static enum store_status damaged(struct sqlite_store *sqlite, const char *what, struct err *err) {
    err_set(err, -EBADMSG, "%s: %s", sqlite->path, what);
    return STORE_DAMAGED;
}

/* ---- Opening ---- */

static void close_db(struct sqlite_store *sqlite) {
    sqlite_rows_deinit(&sqlite->rows);
    (void)sqlite3_close(sqlite->db); /* has no statement left, so cannot fail */
    sqlite->db = NULL;
}

static int execute(struct sqlite_store *sqlite, const char *sql) {
    return sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL);
}

/* The first column of the first row; `text` (may be NULL) gets it as text. */
static int ask(struct sqlite_store *sqlite, const char *sql, int64_t *number, char *text,
               size_t text_bytes) {
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
        const char *found = (const char *)sqlite3_column_text(statement, 0);
        if (text != NULL) snprintf(text, text_bytes, "%s", found == NULL ? "" : found);
        code = SQLITE_OK;
    } else if (code == SQLITE_DONE) {
        code = SQLITE_ERROR;
    }
    (void)sqlite3_finalize(statement); /* tells again what step has told */
    return code;
}

static int set_up(struct sqlite_store *sqlite) {
    int64_t unused;
    char mode[16];
    int code = sqlite3_extended_result_codes(sqlite->db, 1);
    if (code == SQLITE_OK) code = sqlite3_busy_timeout(sqlite->db, BUSY_TIMEOUT_MS);
    if (code == SQLITE_OK)
        code = ask(sqlite, "PRAGMA journal_mode = WAL", &unused, mode, sizeof mode);
    if (code == SQLITE_OK && strcmp(mode, "wal") != 0) code = SQLITE_BUSY;
    if (code == SQLITE_OK) code = execute(sqlite, "PRAGMA synchronous = FULL");
    if (code == SQLITE_OK) code = execute(sqlite, "PRAGMA foreign_keys = ON");
    return code;
}

#define STRING_OF(x) #x
#define TEXT_OF(x) STRING_OF(x)

static enum store_status make_tables(struct sqlite_store *sqlite, struct err *err) {
    static const char sql[] = "BEGIN IMMEDIATE;" SCHEMA_SQL "PRAGMA application_id = " TEXT_OF(
        SCHEMA_APPLICATION_ID) ";"
                               "PRAGMA user_version = " TEXT_OF(SCHEMA_VERSION) ";"
                                                                                "COMMIT";
    FAILPOINT("copy_before_tables");
    int code = execute(sqlite, sql);
    FAILPOINT("copy_tables_made");
    if (code == SQLITE_OK) return STORE_OK;
    enum store_status status = fail(sqlite, code, "cannot make its tables", err);
    if (!sqlite3_get_autocommit(sqlite->db)) (void)execute(sqlite, "ROLLBACK");
    return status;
}

/* What is in an existing file has to be whole, and to agree with itself. */
static enum store_status check_content(struct sqlite_store *sqlite, struct err *err) {
    static const char counts[] =
        "SELECT EXISTS (SELECT 1 FROM events e WHERE taken <> (SELECT count(*) FROM user_coupons u "
        "WHERE u.event_id = e.event_id) OR total <> (SELECT count(*) FROM coupons c "
        "WHERE c.event_id = e.event_id))";
    bool is_large = sqlite->opened.st_size > QUICK_CHECK_BYTES;
    int64_t number = 0;
    char said[128];
    int code = ask(sqlite, is_large ? "PRAGMA quick_check(1)" : "PRAGMA integrity_check(1)",
                   &number, said, sizeof said);
    if (code == SQLITE_OK && strcmp(said, "ok") != 0) return damaged(sqlite, said, err);
    if (code == SQLITE_OK) code = ask(sqlite, counts, &number, NULL, 0);
    if (code == SQLITE_ERROR) return damaged(sqlite, "its tables have another shape", err);
    if (code != SQLITE_OK) return fail(sqlite, code, "cannot be checked", err);
    return number == 0 ? STORE_OK : damaged(sqlite, "its rows and its counts disagree", err);
}

/* Ours and of this version, or empty; an empty one gets its tables. */
static enum store_status check_tables(struct sqlite_store *sqlite, struct err *err) {
    int64_t application = 0, version = 0, tables = 0;
    int code = ask(sqlite, "PRAGMA application_id", &application, NULL, 0);
    if (code == SQLITE_OK) code = ask(sqlite, "PRAGMA user_version", &version, NULL, 0);
    if (code == SQLITE_OK)
        code = ask(sqlite, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0);
    if (code != SQLITE_OK) return fail(sqlite, code, "cannot be read", err);
    if (application == 0 && version == 0 && tables == 0) return make_tables(sqlite, err);
    if (application != SCHEMA_APPLICATION_ID) {
        err_set(err, -EEXIST, "%s: is the database of another program; name another file",
                sqlite->path);
        return STORE_CONFLICT;
    }
    if (version != SCHEMA_VERSION) return damaged(sqlite, "is of another version", err);
    return check_content(sqlite, err);
}

static enum store_status open_and_check(struct sqlite_store *sqlite,
                                        struct store_position *position, struct err *err) {
    int code =
        sqlite3_open_v2(sqlite->path, &sqlite->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    FAILPOINT("copy_file_opened");
    if (code == SQLITE_OK) code = set_up(sqlite);
    if (code == SQLITE_OK && stat(sqlite->path, &sqlite->opened) != 0) code = SQLITE_CANTOPEN;
    if (code != SQLITE_OK) return fail(sqlite, code, "cannot be opened", err);
    enum store_status status = check_tables(sqlite, err);
    if (status != STORE_OK) return status;
    code = sqlite_rows_init(&sqlite->rows, sqlite->db);
    if (code == SQLITE_OK) code = sqlite_rows_position(&sqlite->rows, position);
    if (code == SQLITE_ERROR) return damaged(sqlite, "its tables have another shape", err);
    return code == SQLITE_OK ? STORE_OK : fail(sqlite, code, "cannot be read", err);
}

static enum store_status sqlite_open(struct store *store, struct store_position *position,
                                     struct err *err) {
    struct sqlite_store *sqlite = sqlite_of(store);
    close_db(sqlite);
    enum store_status status = open_and_check(sqlite, position, err);
    if (status != STORE_OK) close_db(sqlite);
    return status;
}

/* ---- A transaction ---- */

/* SQLite writes on into a file that has lost its name, where nobody would find the rows. */
static bool is_still_there(const struct sqlite_store *sqlite) {
    struct stat now;
    return stat(sqlite->path, &now) == 0 && now.st_ino == sqlite->opened.st_ino &&
           now.st_dev == sqlite->opened.st_dev;
}

static int make_changes(struct sqlite_store *sqlite, const struct store_change *changes,
                        size_t count, const struct store_change **culprit) {
    int code = SQLITE_OK;
    for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
        *culprit = &changes[i];
        code = sqlite_rows_apply(&sqlite->rows, &changes[i]);
    }
    if (code == SQLITE_OK) *culprit = NULL;
    return code;
}

static enum store_status change_failed(struct sqlite_store *sqlite, int code,
                                       const struct store_change *change, struct err *err) {
    enum store_status status = fail(sqlite, code, "cannot be written", err);
    if (status == STORE_CONFLICT && change != NULL)
        err_set(err, -EEXIST,
                "%s: refuses what the log has decided: seq %" PRIu64 " event %.*s serial %u: %s",
                sqlite->path, change->seq, change->event_id.bytes, change->event_id.text,
                change->serial, sqlite3_errmsg(sqlite->db));
    return status;
}

static enum store_status sqlite_apply(struct store *store, const struct store_change *changes,
                                      size_t count, const struct store_position *from,
                                      const struct store_position *to, struct err *err) {
    struct sqlite_store *sqlite = sqlite_of(store);
    ASSERT(sqlite->db != NULL);
    if (!is_still_there(sqlite)) return damaged(sqlite, "was deleted or replaced", err);
    const struct store_change *culprit = NULL;
    struct store_position at = {.seq = 0};
    bool is_done = false, is_elsewhere = false;
    FAILPOINT("copy_before_rows");
    int code = execute(sqlite, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK) code = sqlite_rows_position(&sqlite->rows, &at);
    if (code == SQLITE_OK) {
        is_done = store_position_eq(&at, to);
        is_elsewhere = !is_done && !store_position_eq(&at, from);
    }
    if (code == SQLITE_OK && !is_done && !is_elsewhere) {
        code = make_changes(sqlite, changes, count, &culprit);
        FAILPOINT("copy_after_rows_before_position");
        if (code == SQLITE_OK) code = sqlite_rows_move(&sqlite->rows, from, to);
        FAILPOINT("copy_before_commit");
        if (code == SQLITE_OK) code = execute(sqlite, "COMMIT");
        FAILPOINT("copy_after_commit");
    }
    enum store_status status =
        code == SQLITE_OK ? STORE_OK : change_failed(sqlite, code, culprit, err);
    /* Some failures have rolled back already. */
    if (!sqlite3_get_autocommit(sqlite->db)) (void)execute(sqlite, "ROLLBACK");
    if (!is_elsewhere) return status;
    err_set(err, -EEXIST,
            "%s: somebody else writes into it: it is at seq %" PRIu64 ", not %" PRIu64,
            sqlite->path, at.seq, from->seq);
    return STORE_CONFLICT;
}

/* ---- Putting aside ---- */

/* `from` becomes `to`; that there is no `from` is no failure. */
static int move_file(const char *from, const char *to) {
    int code = disk_system.rename(&disk_system, from, to);
    return code == -ENOENT ? 0 : code;
}

static int aside_name(const struct sqlite_store *sqlite, char out[PATH_MAX]) {
    struct stat found;
    int64_t second = clock_wall_ms(sqlite->clock) / 1000;
    for (int64_t i = 0; i < ASIDE_TRIES; i++) {
        int bytes = snprintf(out, PATH_MAX, "%s.aside-%" PRId64, sqlite->path, second + i);
        if (bytes < 0 || bytes + 5 >= PATH_MAX) return -ENAMETOOLONG;
        if (lstat(out, &found) != 0) return errno == ENOENT ? 0 : -errno;
    }
    return -EEXIST;
}

/* The write-ahead log goes first: a new database must never find the old one's. */
static int put_aside(struct sqlite_store *sqlite) {
    char aside[PATH_MAX], from[PATH_MAX], to[PATH_MAX];
    int code = aside_name(sqlite, aside);
    if (code != 0) return code;
    snprintf(from, sizeof from, "%s-wal", sqlite->path);
    int bytes = snprintf(to, sizeof to, "%s-wal", aside);
    if (bytes < 0 || bytes >= PATH_MAX) return -ENAMETOOLONG;
    code = move_file(from, to);
    if (code != 0) return code;
    FAILPOINT("copy_aside_half");
    snprintf(from, sizeof from, "%s-shm", sqlite->path);
    code = disk_system.unlink(&disk_system, from);
    if (code != 0 && code != -ENOENT) return code;
    return move_file(sqlite->path, aside);
}

static enum store_status sqlite_reset(struct store *store, struct err *err) {
    struct sqlite_store *sqlite = sqlite_of(store);
    close_db(sqlite);
    int code = put_aside(sqlite);
    FAILPOINT("copy_aside");
    if (code == 0) return STORE_OK;
    err_set(err, code, "%s: cannot be put aside: %s", sqlite->path, strerror(-code));
    return STORE_LATER;
}

/* ---- Life ---- */

static void sqlite_free(struct store *store) {
    struct sqlite_store *sqlite = sqlite_of(store);
    close_db(sqlite);
    free(sqlite->path);
    free(sqlite);
}

struct store *sqlite_store_new(const char *path, const struct clock *clock) {
    static const struct store_ops ops = {
        .open = sqlite_open, .apply = sqlite_apply, .reset = sqlite_reset, .free = sqlite_free};
    struct sqlite_store *sqlite = calloc(1, sizeof *sqlite);
    char *copy = strdup(path);
    if (sqlite == NULL || copy == NULL) {
        free(sqlite);
        free(copy);
        return NULL;
    }
    sqlite->store.ops = &ops;
    sqlite->path = copy;
    sqlite->clock = clock;
    return &sqlite->store;
}
