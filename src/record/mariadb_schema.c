/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb_schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/failpoint.h"

enum { LOCK_WAIT_S = 5, NAME_BYTES = 64 };

/* ---- What is there ---- */

struct found {
    size_t count;                  /* migrations that are as this program has them */
    char stranger[NAME_BYTES + 1]; /* the first that is not; "" when there is none */
    bool is_newer;                 /* … because its number is not known here */
};

static bool text_is(struct slice found, const char *wanted) {
    return slice_eq(found, slice_str(wanted));
}

/* Rows are (number, name, sha256), in order of their numbers. */
static void on_migration(void *ctx, const struct slice *columns, unsigned count) {
    struct found *found = ctx;
    ASSERT(count == 3);
    uint64_t number = maria_u64(columns[0]);
    bool is_known = number == found->count + 1 && number <= maria_migrations_count;
    if (found->stranger[0] != '\0') return;
    if (is_known && text_is(columns[1], maria_migrations[number - 1].name) &&
        text_is(columns[2], maria_migrations[number - 1].sha256)) {
        found->count++;
        return;
    }
    found->is_newer = number > maria_migrations_count;
    snprintf(found->stranger, sizeof found->stranger, "%.*s",
             (int)size_min(columns[1].n, NAME_BYTES), columns[1].p);
}

static enum maria_class refuse(struct maria *db, const struct found *found, struct err *err) {
    if (found->is_newer)
        err_set(err, -EPROTO,
                "database %s: has the migration %s, which this program does not know: it is of a "
                "newer version; deploy that one",
                maria_name(db), found->stranger);
    else
        err_set(err, -EPROTO,
                "database %s: its migration %s is not the one of this program: its text was "
                "altered after it had been applied, or migrations are missing",
                maria_name(db), found->stranger);
    return MARIA_FATAL;
}

struct tables {
    uint64_t all, own; /* `own`: is the table of migrations among them? */
};

static void on_tables(void *ctx, const struct slice *columns, unsigned count) {
    struct tables *tables = ctx;
    ASSERT(count == 2);
    tables->all = maria_u64(columns[0]);
    tables->own = maria_u64(columns[1]);
}

static enum maria_class look_for_tables(struct maria *db, struct tables *tables, struct err *err) {
    static const char sql[] =
        "SELECT COUNT(*), COALESCE(SUM(table_name = 'coupond_schema'), 0) "
        "FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN "
        "('coupond_schema', 'events', 'coupons', 'user_coupons', 'user_coupons_history', "
        "'log_offsets', 'rejects')";
    return maria_ask(db, slice_str(sql), on_tables, tables, err);
}

enum maria_class maria_schema_check(struct maria *db, size_t *applied, struct err *err) {
    struct found found = {0};
    struct tables tables = {0};
    *applied = 0;
    enum maria_class class = look_for_tables(db, &tables, err);
    if (class != MARIA_FINE) return class;
    if (tables.own == 0 && tables.all != 0) {
        err_set(err, -EEXIST,
                "database %s: has tables of these names that no migration has made; name another "
                "database",
                maria_name(db));
        return MARIA_FATAL;
    }
    if (tables.own == 0) return MARIA_FINE;
    class = maria_ask(db, SLICE("SELECT number, name, sha256 FROM coupond_schema ORDER BY number"),
                      on_migration, &found, err);
    if (class != MARIA_FINE) return class;
    *applied = found.count;
    return found.stranger[0] == '\0' ? MARIA_FINE : refuse(db, &found, err);
}

/* ---- Making it ---- */

/* Up to the next ";\n", without it; comments go with the statement behind them. */
static struct slice next_statement(struct slice *rest) {
    const char *end = rest->n == 0 ? NULL : memmem(rest->p, rest->n, ";\n", 2);
    struct slice statement = {rest->p, end == NULL ? rest->n : (size_t)(end - rest->p)};
    size_t taken = end == NULL ? rest->n : statement.n + 2;
    *rest = slice_of(rest->p + taken, rest->n - taken);
    return statement;
}

static bool is_blank(struct slice text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != ' ' && text.p[i] != '\n') return false;
    return true;
}

static enum maria_class remember(struct maria *db, const struct maria_migration *migration,
                                 const struct clock *clock, struct err *err) {
    char sql[256];
    int bytes =
        snprintf(sql, sizeof sql,
                 "INSERT INTO coupond_schema(number, name, sha256, applied_ms) VALUES "
                 "(%u, '%s', '%s', %" PRId64 ")",
                 migration->number, migration->name, migration->sha256, clock_wall_ms(clock));
    ASSERT(bytes > 0 && (size_t)bytes < sizeof sql);
    return maria_run_text(db, sql, err);
}

static enum maria_class apply_one(struct maria *db, const struct maria_migration *migration,
                                  const struct clock *clock, struct err *err) {
    struct slice rest = migration->text;
    enum maria_class class = MARIA_FINE;
    while (class == MARIA_FINE && rest.n != 0) {
        struct slice statement = next_statement(&rest);
        if (!is_blank(statement)) class = maria_run(db, statement, NULL, err);
        FAILPOINT("schema_statement_made");
    }
    return class == MARIA_FINE ? remember(db, migration, clock, err) : class;
}

static enum maria_class apply_missing(struct maria *db, const struct clock *clock,
                                      void (*on_applied)(void *ctx, const char *name), void *ctx,
                                      struct err *err) {
    static const char table[] = "CREATE TABLE IF NOT EXISTS coupond_schema ("
                                "number INT UNSIGNED NOT NULL PRIMARY KEY, "
                                "name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, "
                                "sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, "
                                "applied_ms BIGINT NOT NULL) ENGINE = InnoDB";
    size_t applied = 0;
    enum maria_class class = maria_schema_check(db, &applied, err);
    if (class == MARIA_FINE && applied == 0) class = maria_run_text(db, table, err);
    for (; class == MARIA_FINE && applied < maria_migrations_count; applied++) {
        class = apply_one(db, &maria_migrations[applied], clock, err);
        if (class == MARIA_FINE && on_applied != NULL)
            on_applied(ctx, maria_migrations[applied].name);
    }
    return class;
}

static void take_number(void *ctx, const struct slice *columns, unsigned count) {
    if (count > 0) *(uint64_t *)ctx = maria_u64(columns[0]);
}

/* The lock is the session's: it goes when the session does. */
static enum maria_class take_turn(struct maria *db, struct err *err) {
    char sql[96];
    uint64_t is_ours = 0;
    snprintf(sql, sizeof sql, "SELECT GET_LOCK(CONCAT('coupond_schema.', DATABASE()), %d)",
             (int)LOCK_WAIT_S);
    enum maria_class class = maria_ask(db, slice_str(sql), take_number, &is_ours, err);
    if (class != MARIA_FINE || is_ours == 1) return class;
    err_set(err, -EBUSY, "database %s: another program is applying migrations", maria_name(db));
    return MARIA_TRANSIENT;
}

enum maria_class maria_schema_apply(struct maria *db, const struct clock *clock,
                                    void (*on_applied)(void *ctx, const char *name), void *ctx,
                                    struct err *err) {
    size_t applied = 0;
    enum maria_class class = maria_schema_check(db, &applied, err);
    if (class != MARIA_FINE || applied == maria_migrations_count) return class;
    class = take_turn(db, err);
    if (class != MARIA_FINE) return class;
    class = apply_missing(db, clock, on_applied, ctx, err);
    struct err unheard;
    uint64_t unused;
    if (maria_is_open(db) &&
        maria_ask(db, SLICE("SELECT RELEASE_LOCK(CONCAT('coupond_schema.', DATABASE()))"),
                  take_number, &unused, &unheard) != MARIA_FINE)
        maria_close(db); /* which gives the lock back, too */
    return class;
}
