/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb_read.h"

#include <errno.h>

#include "record/mariadb_schema.h"

static int code_of(enum maria_class class, const struct err *err) {
    return class == MARIA_FINE ? 0 : err->code != 0 ? err->code : -EIO;
}

/* ---- The moment ---- */

struct found {
    const char *topic;
    struct log_place place;
    uint64_t server;
    bool is_there;
};

/* (topic, next_off, last_crc, server) */
static void on_place(void *ctx, const struct slice *columns, unsigned count) {
    struct found *found = ctx;
    ASSERT(count == 4);
    found->server = maria_u64(columns[3]);
    if (!slice_eq(columns[0], slice_str(found->topic))) return;
    found->is_there = true;
    found->place.seq = maria_u64(columns[1]);
    found->place.crc = (uint32_t)maria_u64(columns[2]);
}

static enum maria_class begin(struct maria *db, struct err *err) {
    static const char *const statements[] = {
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    };
    size_t applied = 0;
    enum maria_class class = maria_connect(db, err);
    if (class == MARIA_FINE) class = maria_schema_check(db, &applied, err);
    if (class == MARIA_FINE && applied < maria_migrations_count) {
        err_set(err, -ENOENT, "database %s: has not all migrations: coupond schema apply",
                maria_name(db));
        return MARIA_FATAL;
    }
    for (size_t i = 0; i < ARRAY_LEN(statements) && class == MARIA_FINE; i++)
        class = maria_run_text(db, statements[i], err);
    return class;
}

/* A log that nobody has recorded yet is at its begin. */
int maria_reader_open(void *ctx, struct log_place *place, uint64_t *file, struct err *err) {
    struct maria_reader *reader = ctx;
    struct found found = {.topic = reader->topic};
    enum maria_class class = begin(reader->db, err);
    if (class == MARIA_FINE)
        class = maria_ask(reader->db,
                          SLICE("SELECT topic, next_off, last_crc, @@server_id FROM log_offsets"),
                          on_place, &found, err);
    *place = found.place;
    *file = found.server;
    if (class != MARIA_FINE) maria_close(reader->db);
    return code_of(class, err);
}

void maria_reader_close(void *ctx) {
    struct maria_reader *reader = ctx;
    maria_close(reader->db); /* and with it the transaction */
}

/* ---- Rows ---- */

static struct slice text_of(struct slice column) {
    return column.p == NULL ? slice_of("", 0) : column;
}

static int64_t time_of(struct slice column) {
    return column.p == NULL ? DECISION_NO_TIME : maria_i64(column);
}

/* An offset, as the number of its record. */
static int64_t seq_of(struct slice column) {
    return maria_i64(column) + 1;
}

static void fill_event(const struct slice *columns, struct copy_row *row) {
    row->total = maria_i64(columns[1]);
    row->taken = maria_i64(columns[2]);
    row->state = text_of(columns[3]);
    row->gen = maria_i64(columns[4]);
    row->ver = maria_i64(columns[5]);
    row->start_ms = time_of(columns[6]);
    row->end_ms = time_of(columns[7]);
    row->open_seq = seq_of(columns[8]);
}

static void fill_coupon(const struct slice *columns, struct copy_row *row) {
    row->serial = maria_i64(columns[1]);
    row->round = maria_i64(columns[2]);
}

static void fill_issued(const struct slice *columns, struct copy_row *row) {
    fill_coupon(columns, row);
    row->user_id = text_of(columns[3]);
    row->claim_id = text_of(columns[4]);
    row->code = text_of(columns[5]);
    row->gen = maria_i64(columns[6]);
    row->claimed_ms = maria_i64(columns[7]);
    row->log_seq = seq_of(columns[8]);
}

static void fill_returned(const struct slice *columns, struct copy_row *row) {
    fill_issued(columns, row);
    row->returned_ms = maria_i64(columns[9]);
    row->returned_seq = seq_of(columns[10]);
    row->operator= text_of(columns[11]);
    row->reason = text_of(columns[12]);
}

static void fill_dead_letter(const struct slice *columns, struct copy_row *row) {
    row->dead_seq = seq_of(columns[1]);
    row->reason = text_of(columns[2]);
}

static const struct table {
    enum copy_row_kind kind;
    const char *sql; /* the first column is the event's id */
    void (*fill)(const struct slice *columns, struct copy_row *row);
} tables[] = {
    {ROW_EVENT,
     "SELECT event_id, total, taken, state, gen, ver, start_ms, end_ms, open_off FROM events",
     fill_event},
    {ROW_COUPON, "SELECT event_id, serial, round FROM coupons", fill_coupon},
    {ROW_HOLDER,
     "SELECT event_id, serial, round, user_id, claim_id, code, gen, claimed_ms, log_off "
     "FROM user_coupons",
     fill_issued},
    {ROW_RETURNED,
     "SELECT event_id, serial, round, user_id, claim_id, code, gen, claimed_ms, log_off, "
     "returned_ms, returned_off, operator, reason FROM user_coupons_history",
     fill_returned},
    {ROW_DEAD_LETTER, "SELECT '', log_off, reason FROM rejects WHERE state = 'dead'",
     fill_dead_letter},
};

struct reading {
    const struct table *table;
    copy_row_fn on_row;
    void *ctx;
};

static void hand_on(void *ctx, const struct slice *columns, unsigned count) {
    const struct reading *reading = ctx;
    struct copy_row row = {.kind = reading->table->kind, .event_id = text_of(columns[0])};
    (void)count; /* of our own statements */
    reading->table->fill(columns, &row);
    reading->on_row(reading->ctx, &row);
}

int maria_reader_rows(void *ctx, copy_row_fn on_row, void *on_row_ctx, struct err *err) {
    struct maria_reader *reader = ctx;
    enum maria_class class = MARIA_FINE;
    for (size_t i = 0; i < ARRAY_LEN(tables) && class == MARIA_FINE; i++) {
        struct reading reading = {.table = &tables[i], .on_row = on_row, .ctx = on_row_ctx};
        class = maria_ask(reader->db, slice_str(tables[i].sql), hand_on, &reading, err);
    }
    return code_of(class, err);
}
