/* SPDX-License-Identifier: Apache-2.0 */
#include "record/sqlite_rows.h"

/* Parameters are numbered in the order in which the functions below bind them. */
static const char *const statement_text[ROWS_STATEMENTS] = {
    [ROWS_POSITION] = "SELECT applied_seq, applied_segment, applied_crc FROM meta WHERE id = 1",
    [ROWS_MOVE] = "UPDATE meta SET applied_seq = ?1, applied_segment = ?2, applied_crc = ?3 "
                  "WHERE id = 1 AND applied_seq = ?4",
    [ROWS_OPEN_EVENT] = "INSERT INTO events(event_id, total, state, gen, ver, start_ms, end_ms, "
                        "open_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [ROWS_CHANGE_EVENT] = "UPDATE events SET total = ?2, state = ?3, gen = ?4, ver = ?5, "
                          "start_ms = ?6, end_ms = ?7 WHERE event_id = ?1",
    /* A coupon that a smaller stock had dropped comes back in the round it had. */
    [ROWS_ADD_COUPONS] =
        "INSERT INTO coupons(event_id, serial, round) "
        "WITH RECURSIVE fresh(serial) AS ("
        "  SELECT 1 + coalesce((SELECT max(serial) FROM coupons WHERE event_id = ?1), 0)"
        "  UNION ALL SELECT serial + 1 FROM fresh WHERE serial < ?2) "
        "SELECT ?1, f.serial, (SELECT count(*) FROM user_coupons_history h "
        "                      WHERE h.event_id = ?1 AND h.serial = f.serial) "
        "FROM fresh f WHERE f.serial <= ?2",
    [ROWS_DROP_COUPONS] = "DELETE FROM coupons WHERE event_id = ?1 AND serial > ?2",
    [ROWS_ISSUE] = "INSERT INTO user_coupons(event_id, serial, round, user_id, claim_id, code, "
                   "gen, claimed_ms, log_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [ROWS_COUNT_ISSUED] = "UPDATE events SET taken = taken + 1 WHERE event_id = ?1",
    [ROWS_KEEP_RETURNED] =
        "INSERT INTO user_coupons_history(event_id, serial, round, user_id, claim_id, code, gen, "
        "claimed_ms, log_seq, returned_ms, returned_seq, operator, reason) "
        "SELECT event_id, serial, round, user_id, claim_id, code, gen, claimed_ms, log_seq, "
        "?4, ?5, ?6, ?7 FROM user_coupons WHERE event_id = ?1 AND serial = ?2 AND user_id = ?3",
    [ROWS_RETURN] = "DELETE FROM user_coupons WHERE event_id = ?1 AND serial = ?2",
    [ROWS_RAISE_ROUND] = "UPDATE coupons SET round = round + 1 WHERE event_id = ?1 "
                         "AND serial = ?2",
    [ROWS_COUNT_RETURNED] = "UPDATE events SET taken = taken - 1, ver = ?2 WHERE event_id = ?1",
};

static const char *const state_names[] = {
    [STORE_OPEN] = "open", [STORE_PAUSED] = "paused", [STORE_CLOSED] = "closed"};

int sqlite_rows_init(struct sqlite_rows *rows, sqlite3 *db) {
    *rows = (struct sqlite_rows){.db = db};
    for (size_t i = 0; i < ROWS_STATEMENTS; i++) {
        int code = sqlite3_prepare_v3(db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &rows->statements[i], NULL);
        if (code == SQLITE_OK) continue;
        sqlite_rows_deinit(rows);
        return code;
    }
    return SQLITE_OK;
}

void sqlite_rows_deinit(struct sqlite_rows *rows) {
    for (size_t i = 0; i < ROWS_STATEMENTS; i++) {
        (void)sqlite3_finalize(rows->statements[i]); /* tells again what step has told */
        rows->statements[i] = NULL;
    }
}

/* ---- Binding: texts stay where they are until the statement has run ---- */

/* The statement while its parameters are bound, and the first code that was not good. */
struct binding {
    sqlite3_stmt *statement;
    int code;
    int next;
};

static struct binding bind(struct sqlite_rows *rows, enum rows_statement which) {
    return (struct binding){.statement = rows->statements[which], .code = SQLITE_OK, .next = 1};
}

static void bound(struct binding *binding, int code) {
    if (binding->code == SQLITE_OK) binding->code = code;
    binding->next++;
}

static void bind_number(struct binding *binding, int64_t number) {
    bound(binding, sqlite3_bind_int64(binding->statement, binding->next, number));
}

static void bind_static(struct binding *binding, const char *text) {
    bound(binding, sqlite3_bind_text(binding->statement, binding->next, text, -1, SQLITE_STATIC));
}

/* NULL when there is none. */
static void bind_time(struct binding *binding, int64_t ms) {
    if (ms == STORE_NO_TIME)
        bound(binding, sqlite3_bind_null(binding->statement, binding->next));
    else
        bind_number(binding, ms);
}

/* NULL when it is empty. */
static void bind_text(struct binding *binding, const char *text, size_t bytes) {
    if (bytes == 0)
        bound(binding, sqlite3_bind_null(binding->statement, binding->next));
    else
        bound(binding, sqlite3_bind_text(binding->statement, binding->next, text, (int)bytes,
                                         SQLITE_STATIC));
}

static void bind_id(struct binding *binding, const struct store_id *id) {
    bind_text(binding, id->text, id->bytes);
}

/* Runs what was bound. */
static int run(struct binding *binding) {
    int code = binding->code;
    if (code == SQLITE_OK) {
        code = sqlite3_step(binding->statement);
        if (code == SQLITE_DONE) code = SQLITE_OK;
    }
    (void)sqlite3_reset(binding->statement); /* tells again what step has told */
    return code;
}

/* Likewise, of a statement that must hit exactly one row. */
static int run_one(struct sqlite_rows *rows, struct binding *binding) {
    int code = run(binding);
    if (code == SQLITE_OK && sqlite3_changes(rows->db) != 1) return SQLITE_CONSTRAINT;
    return code;
}

/* ---- The position ---- */

int sqlite_rows_position(struct sqlite_rows *rows, struct store_position *position) {
    sqlite3_stmt *statement = rows->statements[ROWS_POSITION];
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        position->seq = (uint64_t)sqlite3_column_int64(statement, 0);
        position->segment = (uint64_t)sqlite3_column_int64(statement, 1);
        position->crc = (uint32_t)sqlite3_column_int64(statement, 2);
        code = SQLITE_OK;
    } else if (code == SQLITE_DONE) {
        code = SQLITE_CORRUPT; /* the row was there when the table was made */
    }
    (void)sqlite3_reset(statement);
    return code;
}

int sqlite_rows_move(struct sqlite_rows *rows, const struct store_position *from,
                     const struct store_position *to) {
    struct binding binding = bind(rows, ROWS_MOVE);
    bind_number(&binding, (int64_t)to->seq);
    bind_number(&binding, (int64_t)to->segment);
    bind_number(&binding, to->crc);
    bind_number(&binding, (int64_t)from->seq);
    return run_one(rows, &binding);
}

/* ---- The changes ---- */

static void bind_event(struct binding *binding, const struct store_change *change) {
    bind_id(binding, &change->event_id);
    bind_number(binding, change->stock);
    bind_static(binding, state_names[change->state]);
    bind_number(binding, change->gen);
    bind_number(binding, change->ver);
    bind_time(binding, change->starts_ms);
    bind_time(binding, change->ends_ms);
}

/* One row for each serial from 1 to the stock, no more and no less. */
static int fit_coupons(struct sqlite_rows *rows, const struct store_change *change) {
    static const enum rows_statement both[] = {ROWS_DROP_COUPONS, ROWS_ADD_COUPONS};
    int code = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LEN(both) && code == SQLITE_OK; i++) {
        struct binding binding = bind(rows, both[i]);
        bind_id(&binding, &change->event_id);
        bind_number(&binding, change->stock);
        code = run(&binding);
    }
    return code;
}

static int open_event(struct sqlite_rows *rows, const struct store_change *change) {
    struct binding binding = bind(rows, ROWS_OPEN_EVENT);
    bind_event(&binding, change);
    bind_number(&binding, (int64_t)change->seq);
    int code = run_one(rows, &binding);
    return code == SQLITE_OK ? fit_coupons(rows, change) : code;
}

static int change_event(struct sqlite_rows *rows, const struct store_change *change) {
    struct binding binding = bind(rows, ROWS_CHANGE_EVENT);
    bind_event(&binding, change);
    int code = run_one(rows, &binding);
    return code == SQLITE_OK ? fit_coupons(rows, change) : code;
}

static int issue_coupon(struct sqlite_rows *rows, const struct store_change *change) {
    struct binding binding = bind(rows, ROWS_ISSUE);
    bind_id(&binding, &change->event_id);
    bind_number(&binding, change->serial);
    bind_number(&binding, change->round);
    bind_id(&binding, &change->user_id);
    bind_id(&binding, &change->claim_id);
    bind_text(&binding, change->code.text, change->code.bytes);
    bind_number(&binding, change->gen);
    bind_number(&binding, change->ms);
    bind_number(&binding, (int64_t)change->seq);
    int code = run_one(rows, &binding);
    if (code != SQLITE_OK) return code;
    struct binding count = bind(rows, ROWS_COUNT_ISSUED);
    bind_id(&count, &change->event_id);
    return run_one(rows, &count);
}

static int keep_returned(struct sqlite_rows *rows, const struct store_change *change) {
    struct binding binding = bind(rows, ROWS_KEEP_RETURNED);
    bind_id(&binding, &change->event_id);
    bind_number(&binding, change->serial);
    bind_id(&binding, &change->user_id);
    bind_number(&binding, change->ms);
    bind_number(&binding, (int64_t)change->seq);
    bind_id(&binding, &change->operator);
    bind_text(&binding, change->reason.text, change->reason.bytes);
    return run_one(rows, &binding);
}

static int return_coupon(struct sqlite_rows *rows, const struct store_change *change) {
    static const enum rows_statement both[] = {ROWS_RETURN, ROWS_RAISE_ROUND};
    int code = keep_returned(rows, change);
    for (size_t i = 0; i < ARRAY_LEN(both) && code == SQLITE_OK; i++) {
        struct binding binding = bind(rows, both[i]);
        bind_id(&binding, &change->event_id);
        bind_number(&binding, change->serial);
        code = run_one(rows, &binding);
    }
    if (code != SQLITE_OK) return code;
    struct binding count = bind(rows, ROWS_COUNT_RETURNED);
    bind_id(&count, &change->event_id);
    bind_number(&count, change->ver);
    return run_one(rows, &count);
}

int sqlite_rows_apply(struct sqlite_rows *rows, const struct store_change *change) {
    switch (change->kind) {
    case STORE_EVENT_OPENED:
        return open_event(rows, change);
    case STORE_EVENT_CHANGED:
        return change_event(rows, change);
    case STORE_COUPON_ISSUED:
        return issue_coupon(rows, change);
    case STORE_COUPON_RETURNED:
        return return_coupon(rows, change);
    }
    return SQLITE_MISUSE;
}
