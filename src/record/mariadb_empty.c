/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb_empty.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/failpoint.h"

/* No statement is silent for so long that the connection is given up. */
enum { ROWS_AT_ONCE = 5000, STATEMENT_BYTES = 1024 };

struct found {
    const char *topic;
    struct recording_place place;
    bool is_of_another;
};

/* Rows are (topic, next_off, last_crc). */
static void on_place(void *ctx, const struct slice *columns, unsigned count) {
    struct found *found = ctx;
    ASSERT(count == 3);
    if (!slice_eq(columns[0], slice_str(found->topic))) {
        found->is_of_another = true;
        return;
    }
    found->place = (struct recording_place){.seq = maria_u64(columns[1]),
                                            .crc = (uint32_t)maria_u64(columns[2])};
}

static enum maria_class find(struct maria *db, const char *topic, const char *sql,
                             struct recording_place *place, struct err *err) {
    struct found found = {.topic = topic};
    enum maria_class class = maria_ask(db, slice_str(sql), on_place, &found, err);
    *place = found.place;
    if (class != MARIA_FINE || !found.is_of_another) return class;
    err_set(err, -EEXIST, "database %s: records another topic than %s", maria_name(db), topic);
    return MARIA_FATAL;
}

enum maria_class maria_place(struct maria *db, const char *topic, struct recording_place *place,
                             struct err *err) {
    return find(db, topic, "SELECT topic, next_off, last_crc FROM log_offsets", place, err);
}

static enum maria_class move_to_begin(struct maria *db, const struct maria_emptying *emptying,
                                      struct err *err) {
    struct recording_place place;
    enum maria_class class =
        find(db, emptying->topic, "SELECT topic, next_off, last_crc FROM log_offsets FOR UPDATE",
             &place, err);
    if (class != MARIA_FINE) return class;
    if (place.seq != emptying->from.seq || place.crc != emptying->from.crc) {
        err_set(err, -ESTALE,
                "database %s: has come from offset %" PRIu64 " to %" PRIu64
                " meanwhile: a consumer is at work",
                maria_name(db), emptying->from.seq, place.seq);
        return MARIA_CONFLICT;
    }
    struct buf sql;
    buf_init(&sql, STATEMENT_BYTES);
    buf_add_text(&sql, "UPDATE log_offsets SET next_off = 0, last_crc = 0, "
                       "owner_epoch = owner_epoch + 1, owner = ");
    maria_add_text(&sql, slice_str(emptying->owner));
    class = maria_run(db, buf_slice(&sql), NULL, err);
    buf_deinit(&sql);
    return class;
}

/* In the order of the foreign keys. The last one keeps what people have settled. */
static const char *const deletes[] = {
    "DELETE FROM user_coupons",
    "DELETE FROM user_coupons_history",
    "DELETE FROM coupons",
    "DELETE FROM events",
    "DELETE FROM rejects WHERE state IN ('void', 'dead')",
};
static const char delete_all_rejects[] = "DELETE FROM rejects";

static enum maria_class delete_from(struct maria *db, const struct maria_emptying *emptying,
                                    const char *statement, uint64_t *rows, struct err *err) {
    char sql[128];
    uint64_t hit = ROWS_AT_ONCE;
    enum maria_class class = MARIA_FINE;
    snprintf(sql, sizeof sql, "%s LIMIT %d", statement, ROWS_AT_ONCE);
    while (class == MARIA_FINE && hit == ROWS_AT_ONCE) {
        class = maria_run(db, slice_str(sql), &hit, err);
        if (class == MARIA_FINE) *rows += hit;
        if (emptying->on_progress != NULL) emptying->on_progress(emptying->ctx, *rows);
    }
    return class;
}

enum maria_class maria_empty(struct maria *db, const struct maria_emptying *emptying,
                             uint64_t *rows, struct err *err) {
    struct err unheard;
    *rows = 0;
    enum maria_class class = maria_run_text(db, "START TRANSACTION", err);
    if (class == MARIA_FINE) class = move_to_begin(db, emptying, err);
    for (size_t i = 0; i < ARRAY_LEN(deletes) && class == MARIA_FINE; i++) {
        bool takes_all = emptying->is_another_log && i + 1 == ARRAY_LEN(deletes);
        class = delete_from(db, emptying, takes_all ? delete_all_rejects : deletes[i], rows, err);
    }
    FAILPOINT("rebuild_before_emptied");
    if (class == MARIA_FINE) class = maria_run_text(db, "COMMIT", err);
    FAILPOINT("rebuild_emptied");
    if (class != MARIA_FINE && maria_is_open(db) &&
        maria_run_text(db, "ROLLBACK", &unheard) != MARIA_FINE)
        maria_close(db);
    return class;
}
