/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb_rejects.h"

#include <errno.h>
#include <inttypes.h>

enum { STATEMENT_BYTES_MAX = 8192 };

struct reading {
    maria_reject_fn on_reject;
    void *ctx;
};

#define COLUMNS                                                                                    \
    "log_off, state, reason, error, logged_ms, rejected_ms, LENGTH(raw), operator, note, "         \
    "COALESCE(settled_ms, 0)"

static void hand_on(void *ctx, const struct slice *columns, unsigned count) {
    const struct reading *reading = ctx;
    const struct maria_reject reject = {
        .offset = maria_u64(columns[0]),
        .state = columns[1],
        .reason = columns[2],
        .error = columns[3],
        .logged_ms = maria_i64(columns[4]),
        .rejected_ms = maria_i64(columns[5]),
        .raw_bytes = maria_u64(columns[6]),
        .operator= columns[7],
        .note = columns[8],
        .settled_ms = maria_i64(columns[9]),
        .raw = count > 10 ? columns[10] : slice_of("", 0),
    };
    reading->on_reject(reading->ctx, &reject);
}

enum maria_class maria_rejects_list(struct maria *db, bool all, maria_reject_fn on_reject,
                                    void *ctx, struct err *err) {
    struct reading reading = {.on_reject = on_reject, .ctx = ctx};
    struct slice sql = all ? SLICE("SELECT " COLUMNS " FROM rejects ORDER BY log_off")
                           : SLICE("SELECT " COLUMNS " FROM rejects WHERE state = 'dead' "
                                   "ORDER BY log_off");
    return maria_ask(db, sql, hand_on, &reading, err);
}

enum maria_class maria_reject_find(struct maria *db, uint64_t offset, maria_reject_fn on_reject,
                                   void *ctx, struct err *err) {
    struct reading reading = {.on_reject = on_reject, .ctx = ctx};
    struct buf sql;
    buf_init(&sql, STATEMENT_BYTES_MAX);
    buf_printf(&sql, "SELECT " COLUMNS ", raw FROM rejects WHERE log_off = %" PRIu64, offset);
    enum maria_class class = MARIA_TRANSIENT;
    if (sql.failed)
        err_set(err, -ENOMEM, "no memory for a statement");
    else
        class = maria_ask(db, buf_slice(&sql), hand_on, &reading, err);
    buf_deinit(&sql);
    return class;
}

enum maria_class maria_reject_settle(struct maria *db, uint64_t offset, const char *state,
                                     struct slice operator_name, struct slice note, int64_t now_ms,
                                     bool *is_done, struct err *err) {
    struct buf sql;
    uint64_t hit = 0;
    buf_init(&sql, STATEMENT_BYTES_MAX);
    buf_add_text(&sql, "UPDATE rejects SET state = ");
    maria_add_text(&sql, slice_str(state));
    buf_add_text(&sql, ", operator = ");
    maria_add_text_or_null(&sql, operator_name);
    buf_add_text(&sql, ", note = ");
    maria_add_text_or_null(&sql, note);
    buf_printf(&sql, ", settled_ms = %" PRId64 " WHERE state = 'dead' AND log_off = %" PRIu64,
               now_ms, offset);
    enum maria_class class = MARIA_TRANSIENT;
    if (sql.failed)
        err_set(err, -ENOMEM, "no memory for a statement");
    else
        class = maria_run(db, buf_slice(&sql), &hit, err);
    buf_deinit(&sql);
    *is_done = hit == 1;
    return class;
}
