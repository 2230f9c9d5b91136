/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/admin_client.h"
#include "api/export_row.h"
#include "database.h"
#include "lib/buf.h"
#include "lib/rfc3339.h"
#include "log/record.h"

enum { EXIT_USAGE = 2, STATEMENT_BYTES_MAX = 4096 };

struct recorded {
    const struct options *options;
    struct database database;
    struct maria *db;
    struct slice event_id, user_id;
    enum export_format format;
    bool is_event_there, is_found;
    struct err err;
};

static int complain(const char *text, int status) {
    fprintf(stderr, "coupond event: %s\n", text);
    return status;
}

/* ---- Asking ---- */

static bool ask(struct recorded *recorded, const char *columns_from, const char *behind,
                maria_row_fn on_row) {
    struct buf sql;
    buf_init(&sql, STATEMENT_BYTES_MAX);
    buf_printf(&sql, "SELECT %s WHERE event_id = ", columns_from);
    maria_add_text(&sql, recorded->event_id);
    if (recorded->user_id.n > 0) {
        buf_add_text(&sql, " AND user_id = ");
        maria_add_text(&sql, recorded->user_id);
    }
    buf_add_text(&sql, behind);
    ASSERT(!sql.failed); /* ids are short */
    enum maria_class class =
        maria_ask(recorded->db, slice_of(sql.p, sql.n), on_row, recorded, &recorded->err);
    buf_deinit(&sql);
    return class == MARIA_FINE;
}

static void on_event(void *ctx, const struct slice *columns, unsigned count) {
    struct recorded *recorded = ctx;
    (void)columns, (void)count;
    recorded->is_event_there = true;
}

/* How far the database is: what the log has behind that, nobody finds here. */
static void on_place(void *ctx, const struct slice *columns, unsigned count) {
    const struct recorded *recorded = ctx;
    (void)count;
    fprintf(stderr, "%s: topic %.*s, recorded up to offset %.*s\n", maria_name(recorded->db),
            (int)columns[0].n, columns[0].p, (int)columns[1].n, columns[1].p);
}

/* (serial, user_id, code, claimed_ms); no code where the consumer had not its key. */
static struct export_row row_of(const struct recorded *recorded, const struct slice *columns) {
    return (struct export_row){.event_id = recorded->event_id,
                               .serial = (uint32_t)maria_u64(columns[0]),
                               .user_id = columns[1],
                               .code = columns[2].p == NULL ? slice_of("", 0) : columns[2],
                               .issued_ms = maria_i64(columns[3])};
}

/* ---- Telling ---- */

static void print_export_row(void *ctx, const struct slice *columns, unsigned count) {
    const struct recorded *recorded = ctx;
    const struct export_row row = row_of(recorded, columns);
    char text[EXPORT_ROW_BYTES_MAX];
    (void)count;
    fwrite(text, 1, export_row_format(text, recorded->format, &row), stdout);
}

static void print_coupon(void *ctx, const struct slice *columns, unsigned count) {
    struct recorded *recorded = ctx;
    const struct export_row row = row_of(recorded, columns);
    char issued_at[RFC3339_BYTES];
    (void)count;
    recorded->is_found = true;
    rfc3339_format(row.issued_ms, issued_at);
    printf("user     %.*s\ncoupon   %.*s\nserial   %" PRIu32 "\nissued   %.*s\n",
           (int)row.user_id.n, row.user_id.p, (int)row.code.n, row.code.p, row.serial,
           (int)sizeof issued_at, issued_at);
}

static void print_returned(void *ctx, const struct slice *columns, unsigned count) {
    struct recorded *recorded = ctx;
    (void)columns, (void)count;
    recorded->is_found = true;
    printf("user     %.*s\nreturned, and may not claim again\n", (int)recorded->user_id.n,
           recorded->user_id.p);
}

/* Everything below is of one moment. */
static bool begin(struct recorded *recorded) {
    static const char *const statements[] = {
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    };
    enum maria_class class = maria_connect(recorded->db, &recorded->err);
    for (size_t i = 0; i < ARRAY_LEN(statements) && class == MARIA_FINE; i++)
        class = maria_run_text(recorded->db, statements[i], &recorded->err);
    if (class == MARIA_FINE)
        class = maria_ask(recorded->db, SLICE("SELECT topic, next_off FROM log_offsets"), on_place,
                          recorded, &recorded->err);
    return class == MARIA_FINE;
}

static int export_all(struct recorded *recorded) {
    struct slice heading = export_heading(recorded->format);
    fwrite(heading.p, 1, heading.n, stdout);
    if (!ask(recorded, "serial, user_id, code, claimed_ms FROM user_coupons", " ORDER BY serial",
             print_export_row))
        return complain(recorded->err.text, EXIT_FAILURE);
    return EXIT_SUCCESS;
}

static int show_user(struct recorded *recorded, const char *user_id) {
    recorded->user_id = slice_str(user_id);
    bool is_fine =
        ask(recorded, "serial, user_id, code, claimed_ms FROM user_coupons", "", print_coupon) &&
        (recorded->is_found ||
         ask(recorded, "serial FROM user_coupons_history", "", print_returned));
    if (!is_fine) return complain(recorded->err.text, EXIT_FAILURE);
    if (recorded->is_found) return EXIT_SUCCESS;
    printf("user     %s\nhas no coupon of this event\n", user_id);
    return EXIT_FAILURE;
}

static int tell(struct recorded *recorded, const char *user_id) {
    recorded->db = maria_new(&recorded->database.options);
    if (recorded->db == NULL) return complain("no memory for the database", EXIT_FAILURE);
    if (!begin(recorded) || !ask(recorded, "1 FROM events", "", on_event))
        return complain(recorded->err.text, EXIT_FAILURE);
    if (!recorded->is_event_there)
        return complain("the database has recorded no such event", EXIT_FAILURE);
    int status = user_id == NULL ? export_all(recorded) : show_user(recorded, user_id);
    if (fflush(stdout) != 0 || ferror(stdout))
        return complain("the standard output cannot be written", EXIT_FAILURE);
    return status;
}

/* ---- Words ---- */

static int event_from_database(const struct options *options, int words, char **word) {
    static struct recorded recorded;
    const char *user_id = options_get(options, "user")->text;
    bool is_export = words == 2 && strcmp(word[0], "export") == 0 && user_id == NULL;
    bool is_show = words == 2 && strcmp(word[0], "show") == 0 && user_id != NULL;
    if (!is_export && !is_show)
        return complain("--from-database is for: export EVENT, and show EVENT --user USER",
                        EXIT_USAGE);
    if (!event_id_is_valid(slice_str(word[1]))) return complain("that is no event id", EXIT_USAGE);
    if (is_show && !user_id_is_valid(slice_str(user_id)))
        return complain("--user: that is no user id", EXIT_USAGE);
    recorded = (struct recorded){.options = options, .event_id = slice_str(word[1])};
    recorded.format =
        strcmp(options_get(options, "format")->text, "csv") == 0 ? EXPORT_CSV : EXPORT_NDJSON;
    if (database_init(&recorded.database, options, &recorded.err) != 0)
        return complain(recorded.err.text, EXIT_USAGE);
    recorded.database.options.only_reads = true;
    int status = tell(&recorded, user_id);
    maria_free(recorded.db);
    database_deinit(&recorded.database);
    return status;
}

int event_command(const struct options *options, int words, char **word) {
    bool is_recorded = options_get(options, "from-database")->number != 0;
    return (is_recorded ? event_from_database : admin_client_command)(options, words, word);
}
