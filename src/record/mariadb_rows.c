/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    COUPONS_AT_ONCE = 1000,  /* rows of coupons in one statement */
    REJECTS_BYTES = 1 << 20, /* a statement of rejects that is longer is sent */
    ER_DUP_ENTRY = 1062,
};

static const char *const state_names[] = {
    [STORE_OPEN] = "'open'", [STORE_PAUSED] = "'paused'", [STORE_CLOSED] = "'closed'"};

void maria_rows_init(struct maria_rows *rows, struct maria *db) {
    rows->db = db;
    buf_init(&rows->sql, MARIA_STATEMENT_BYTES_MAX);
}

void maria_rows_deinit(struct maria_rows *rows) {
    buf_deinit(&rows->sql);
}

/* ---- Statements ---- */

struct buf *maria_rows_statement(struct maria_rows *rows) {
    rows->sql.n = 0;
    rows->sql.failed = false;
    return &rows->sql;
}

enum maria_class maria_rows_run(struct maria_rows *rows, uint64_t *hit, struct err *err) {
    if (rows->sql.failed) {
        err_set(err, -ENOMEM, "database %s: no memory for a statement", maria_name(rows->db));
        return MARIA_TRANSIENT;
    }
    return maria_run(rows->db, buf_slice(&rows->sql), hit, err);
}

enum maria_class maria_rows_run_one(struct maria_rows *rows, struct err *err) {
    uint64_t hit = 0;
    enum maria_class class = maria_rows_run(rows, &hit, err);
    if (class != MARIA_FINE || hit == 1) return class;
    err_set(err, -EEXIST, "database %s: a row that must be there is not: %.200s",
            maria_name(rows->db), rows->sql.p);
    return MARIA_CONFLICT;
}

static void add_id(struct buf *sql, const struct store_id *id) {
    maria_add_text(sql, store_id_slice(id));
}

static void add_time(struct buf *sql, int64_t ms) {
    if (ms == STORE_NO_TIME)
        buf_add_text(sql, "NULL");
    else
        maria_add_i64(sql, ms);
}

/* " WHERE event_id = '…' AND serial = …" */
static void add_where(struct buf *sql, const struct store_change *change) {
    buf_add_text(sql, " WHERE event_id = ");
    add_id(sql, &change->event_id);
    buf_printf(sql, " AND serial = %" PRIu32, change->serial);
}

/* ---- Locks ---- */

static int compare_ids(const struct store_id *a, const struct store_id *b) {
    int order = memcmp(a->text, b->text, size_min(a->bytes, b->bytes));
    return order != 0 ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

struct sorted {
    const struct store_change *change;
};

static int compare_changes(const void *x, const void *y) {
    const struct store_change *a = ((const struct sorted *)x)->change;
    const struct store_change *b = ((const struct sorted *)y)->change;
    int order = compare_ids(&a->event_id, &b->event_id);
    return order != 0 ? order : (a->serial > b->serial) - (a->serial < b->serial);
}

/* Pointers to `count` changes, sorted by event and serial. NULL when memory is short. */
static struct sorted *sort(const struct store_change *changes, size_t count) {
    struct sorted *all = reallocarray(NULL, count, sizeof *all);
    if (all == NULL) return NULL;
    for (size_t i = 0; i < count; i++) all[i].change = &changes[i];
    qsort(all, count, sizeof *all, compare_changes);
    return all;
}

static enum maria_class no_memory(struct err *err) {
    err_set(err, -ENOMEM, "no memory for a batch");
    return MARIA_TRANSIENT;
}

static void ignore_row(void *ctx, const struct slice *columns, unsigned count) {
    (void)ctx, (void)columns, (void)count;
}

enum maria_class maria_rows_lock_events(struct maria_rows *rows,
                                        const struct recording_batch *batch, struct err *err) {
    if (batch->changes_count == 0) return MARIA_FINE;
    struct sorted *all = sort(batch->changes, batch->changes_count);
    if (all == NULL) return no_memory(err);
    struct buf *sql = maria_rows_statement(rows);
    buf_add_text(sql, "SELECT event_id FROM events WHERE event_id IN (");
    for (size_t i = 0; i < batch->changes_count; i++) {
        if (i > 0 && compare_ids(&all[i - 1].change->event_id, &all[i].change->event_id) == 0)
            continue;
        if (i > 0) buf_add_text(sql, ", ");
        add_id(sql, &all[i].change->event_id);
    }
    free(all);
    buf_add_text(sql, ") ORDER BY event_id FOR UPDATE");
    if (sql->failed) return no_memory(err);
    return maria_ask(rows->db, buf_slice(sql), ignore_row, NULL, err);
}

/* ---- Events and their coupons ---- */

static enum maria_class write_event(struct maria_rows *rows, const struct store_change *change,
                                    struct err *err) {
    struct buf *sql = maria_rows_statement(rows);
    bool is_new = change->kind == STORE_EVENT_OPENED;
    buf_add_text(sql,
                 is_new ? "INSERT INTO events SET event_id = " : "UPDATE events SET event_id = ");
    add_id(sql, &change->event_id);
    buf_printf(sql, ", total = %" PRIu32 ", state = %s, gen = %" PRIu32 ", ver = %" PRIu32,
               change->stock, state_names[change->state], change->gen, change->ver);
    buf_add_text(sql, ", start_ms = ");
    add_time(sql, change->starts_ms);
    buf_add_text(sql, ", end_ms = ");
    add_time(sql, change->ends_ms);
    if (is_new) {
        buf_printf(sql, ", open_off = %" PRIu64, change->seq - 1);
    } else {
        buf_add_text(sql, " WHERE event_id = ");
        add_id(sql, &change->event_id);
    }
    return maria_rows_run_one(rows, err);
}

static void take_number(void *ctx, const struct slice *columns, unsigned count) {
    if (count > 0) *(uint64_t *)ctx = maria_u64(columns[0]);
}

static enum maria_class add_coupons(struct maria_rows *rows, const struct store_change *change,
                                    uint64_t first, struct err *err) {
    enum maria_class class = MARIA_FINE;
    while (class == MARIA_FINE && first <= change->stock) {
        uint64_t last = first + COUPONS_AT_ONCE - 1;
        if (last > change->stock) last = change->stock;
        struct buf *sql = maria_rows_statement(rows);
        buf_add_text(sql, "INSERT INTO coupons(event_id, serial) VALUES ");
        for (uint64_t serial = first; serial <= last; serial++) {
            buf_add_text(sql, serial == first ? "(" : ", (");
            add_id(sql, &change->event_id);
            buf_printf(sql, ", %" PRIu64 ")", serial);
        }
        class = maria_rows_run(rows, NULL, err);
        first = last + 1;
    }
    return class;
}

/* A coupon that a smaller stock had dropped comes back in the round it had. */
static enum maria_class restore_rounds(struct maria_rows *rows, const struct store_change *change,
                                       uint64_t first, struct err *err) {
    struct buf *sql = maria_rows_statement(rows);
    buf_add_text(sql, "UPDATE coupons c JOIN (SELECT serial, COUNT(*) AS n FROM "
                      "user_coupons_history WHERE event_id = ");
    add_id(sql, &change->event_id);
    buf_printf(sql,
               " AND serial >= %" PRIu64 " GROUP BY serial) h ON h.serial = c.serial "
               "SET c.round = h.n WHERE c.event_id = ",
               first);
    add_id(sql, &change->event_id);
    return maria_rows_run(rows, NULL, err);
}

/* One row for each serial from 1 to the stock, no more and no less. */
static enum maria_class fit_coupons(struct maria_rows *rows, const struct store_change *change,
                                    struct err *err) {
    uint64_t last = 0;
    struct buf *sql = maria_rows_statement(rows);
    buf_add_text(sql, "DELETE FROM coupons WHERE event_id = ");
    add_id(sql, &change->event_id);
    buf_printf(sql, " AND serial > %" PRIu32, change->stock);
    enum maria_class class = maria_rows_run(rows, NULL, err);
    if (class != MARIA_FINE) return class;
    sql = maria_rows_statement(rows);
    buf_add_text(sql, "SELECT COALESCE(MAX(serial), 0) FROM coupons WHERE event_id = ");
    add_id(sql, &change->event_id);
    if (sql->failed) return no_memory(err);
    class = maria_ask(rows->db, buf_slice(sql), take_number, &last, err);
    if (class != MARIA_FINE || last == change->stock) return class;
    class = add_coupons(rows, change, last + 1, err);
    if (class == MARIA_FINE && change->kind != STORE_EVENT_OPENED)
        class = restore_rounds(rows, change, last + 1, err);
    return class;
}

/* ---- Coupons issued ---- */

static void add_issued(struct buf *sql, const struct store_change *change) {
    buf_add_text(sql, "(");
    add_id(sql, &change->event_id);
    buf_printf(sql, ", %" PRIu32 ", ", change->serial);
    add_id(sql, &change->user_id);
    buf_add_text(sql, ", ");
    maria_add_text_or_null(sql, store_id_slice(&change->claim_id));
    buf_add_text(sql, ", ");
    maria_add_text_or_null(sql, slice_of(change->code.text, change->code.bytes));
    buf_printf(sql, ", %" PRIu32 ", %" PRIu32 ", %" PRId64 ", %" PRIu64 ")", change->round,
               change->gen, change->ms, change->seq - 1);
}

static const char insert_issued[] =
    "INSERT INTO user_coupons(event_id, serial, user_id, claim_id, code, round, gen, claimed_ms, "
    "log_off) VALUES ";

static enum maria_class count_issued(struct maria_rows *rows, const struct store_id *event_id,
                                     size_t count, struct err *err) {
    struct buf *sql = maria_rows_statement(rows);
    buf_printf(sql, "UPDATE events SET taken = taken + %zu WHERE event_id = ", count);
    add_id(sql, event_id);
    return maria_rows_run_one(rows, err);
}

static enum maria_class issue_together(struct maria_rows *rows, const struct store_change *changes,
                                       size_t count, struct err *err) {
    struct sorted *all = sort(changes, count);
    if (all == NULL) return no_memory(err);
    struct buf *sql = maria_rows_statement(rows);
    buf_add_text(sql, insert_issued);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_add_text(sql, ", ");
        add_issued(sql, all[i].change);
    }
    enum maria_class class = maria_rows_run(rows, NULL, err);
    size_t first = 0;
    for (size_t i = 1; i <= count && class == MARIA_FINE; i++) {
        if (i < count && compare_ids(&all[first].change->event_id, &all[i].change->event_id) == 0)
            continue;
        class = count_issued(rows, &all[first].change->event_id, i - first, err);
        first = i;
    }
    free(all);
    return class;
}

/* Is the row that stands in the way the one we want? */
static enum maria_class is_there_already(struct maria_rows *rows, const struct store_change *change,
                                         uint64_t *same, struct err *err) {
    struct buf *sql = maria_rows_statement(rows);
    buf_add_text(sql, "SELECT COUNT(*) FROM user_coupons");
    add_where(sql, change);
    buf_add_text(sql, " AND user_id = ");
    add_id(sql, &change->user_id);
    if (sql->failed) return no_memory(err);
    return maria_ask(rows->db, buf_slice(sql), take_number, same, err);
}

static enum maria_class issue_alone(struct maria_rows *rows, const struct store_change *change,
                                    struct err *err) {
    struct buf *sql = maria_rows_statement(rows);
    buf_add_text(sql, insert_issued);
    add_issued(sql, change);
    enum maria_class class = maria_rows_run(rows, NULL, err);
    if (class == MARIA_FINE) return count_issued(rows, &change->event_id, 1, err);
    uint64_t same = 0;
    struct err why = {0};
    if (class != MARIA_CONFLICT || maria_error_number(rows->db) != ER_DUP_ENTRY) return class;
    enum maria_class asked = is_there_already(rows, change, &same, &why);
    if (asked != MARIA_FINE) {
        *err = why;
        return asked;
    }
    return same == 1 ? MARIA_FINE : class;
}

/* ---- Coupons returned ---- */

static enum maria_class keep_returned(struct maria_rows *rows, const struct store_change *change,
                                      struct err *err) {
    struct buf *sql = maria_rows_statement(rows);
    buf_add_text(sql,
                 "INSERT INTO user_coupons_history(event_id, serial, round, user_id, claim_id, "
                 "code, gen, claimed_ms, log_off, returned_ms, returned_off, operator, reason) "
                 "SELECT event_id, serial, round, user_id, claim_id, code, gen, claimed_ms, "
                 "log_off, ");
    buf_printf(sql, "%" PRId64 ", %" PRIu64 ", ", change->ms, change->seq - 1);
    maria_add_text_or_null(sql, store_id_slice(&change->operator));
    buf_add_text(sql, ", ");
    maria_add_text_or_null(sql, slice_of(change->reason.text, change->reason.bytes));
    buf_add_text(sql, " FROM user_coupons");
    add_where(sql, change);
    buf_add_text(sql, " AND user_id = ");
    add_id(sql, &change->user_id);
    return maria_rows_run_one(rows, err);
}

static enum maria_class return_coupon(struct maria_rows *rows, const struct store_change *change,
                                      struct err *err) {
    static const char *const both[] = {"DELETE FROM user_coupons",
                                       "UPDATE coupons SET round = round + 1"};
    enum maria_class class = keep_returned(rows, change, err);
    for (size_t i = 0; i < ARRAY_LEN(both) && class == MARIA_FINE; i++) {
        struct buf *sql = maria_rows_statement(rows);
        buf_add_text(sql, both[i]);
        add_where(sql, change);
        class = maria_rows_run_one(rows, err);
    }
    if (class != MARIA_FINE) return class;
    struct buf *sql = maria_rows_statement(rows);
    buf_printf(sql, "UPDATE events SET taken = taken - 1, ver = %" PRIu32 " WHERE event_id = ",
               change->ver);
    add_id(sql, &change->event_id);
    return maria_rows_run_one(rows, err);
}

/* ---- All of them ---- */

static enum maria_class change_one(struct maria_rows *rows, const struct store_change *change,
                                   struct err *err) {
    enum maria_class class;
    switch (change->kind) {
    case STORE_EVENT_OPENED:
    case STORE_EVENT_CHANGED:
        class = write_event(rows, change, err);
        return class == MARIA_FINE ? fit_coupons(rows, change, err) : class;
    case STORE_COUPON_ISSUED:
        return issue_alone(rows, change, err);
    case STORE_COUPON_RETURNED:
        return return_coupon(rows, change, err);
    }
    err_set(err, -EINVAL, "a change of an unknown kind");
    return MARIA_FATAL;
}

static enum maria_class named(enum maria_class class, const struct store_change *change,
                              struct err *err) {
    if (class != MARIA_CONFLICT) return class;
    struct err why = *err;
    err_set(err, why.code,
            "refuses what the log has decided: offset %" PRIu64 " event %.*s serial %" PRIu32
            " user %.*s: %.250s",
            change->seq - 1, change->event_id.bytes, change->event_id.text, change->serial,
            change->user_id.bytes, change->user_id.text, why.text);
    return class;
}

/* How many issued coupons follow each other from `at` on. */
static size_t issued_run(const struct recording_batch *batch, size_t at) {
    size_t n = 0;
    while (at + n < batch->changes_count && batch->changes[at + n].kind == STORE_COUPON_ISSUED) n++;
    return n;
}

enum maria_class maria_rows_changes(struct maria_rows *rows, const struct recording_batch *batch,
                                    struct err *err) {
    enum maria_class class = MARIA_FINE;
    for (size_t i = 0; i < batch->changes_count && class == MARIA_FINE;) {
        size_t run = batch->row_by_row ? 0 : issued_run(batch, i);
        const struct store_change *change = &batch->changes[i];
        if (run > 0)
            class = issue_together(rows, change, run, err);
        else
            class = named(change_one(rows, change, err), change, err);
        i += run > 0 ? run : 1;
    }
    return class;
}

/* ---- Rejects ---- */

static void add_reject(struct buf *sql, const struct recording_reject *reject, int64_t now_ms) {
    buf_printf(sql, "(%" PRIu64 ", %s, ", reject->seq - 1, reject->is_dead ? "'dead'" : "'void'");
    maria_add_text(sql, slice_str(reject->reason));
    buf_add_text(sql, ", ");
    maria_add_text(sql, slice_str(reject->error));
    buf_printf(sql, ", %" PRId64 ", %" PRId64 ", ", reject->logged_ms, now_ms);
    maria_add_bytes(sql, reject->raw);
    buf_add_text(sql, ")");
}

/* One that is there already, of this offset and so the very same, stays: a person has settled it,
 * and the rows are made anew (mariadb_empty.h). */
enum maria_class maria_rows_rejects(struct maria_rows *rows, const struct recording_batch *batch,
                                    int64_t now_ms, struct err *err) {
    enum maria_class class = MARIA_FINE;
    for (size_t i = 0; i < batch->rejects_count && class == MARIA_FINE;) {
        struct buf *sql = maria_rows_statement(rows);
        buf_add_text(sql, "INSERT INTO rejects(log_off, state, reason, error, logged_ms, "
                          "rejected_ms, raw) VALUES ");
        for (bool is_first = true; i < batch->rejects_count && sql->n < REJECTS_BYTES; i++) {
            if (!is_first) buf_add_text(sql, ", ");
            add_reject(sql, &batch->rejects[i], now_ms);
            is_first = false;
        }
        buf_add_text(sql, " ON DUPLICATE KEY UPDATE log_off = rejects.log_off");
        class = maria_rows_run(rows, NULL, err);
    }
    return class;
}
