/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb_recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"
#include "record/mariadb_rows.h"

struct maria_recording {
    struct recording recording;
    struct maria *db;
    const char *topic;
    char owner[128];
    const struct clock *clock;
    uint64_t epoch;
    struct maria_rows rows;
};

static struct maria_recording *of(struct recording *recording) {
    return CONTAINER_OF(recording, struct maria_recording, recording);
}

static enum recording_status status_of(enum maria_class class) {
    static const enum recording_status statuses[] = {[MARIA_FINE] = RECORDING_OK,
                                                     [MARIA_TRANSIENT] = RECORDING_LATER,
                                                     [MARIA_CONFLICT] = RECORDING_CONFLICT,
                                                     [MARIA_FATAL] = RECORDING_FATAL};
    return statuses[class];
}

/* ---- Transactions ---- */

static enum maria_class begin(struct maria_recording *self, struct err *err) {
    enum maria_class class = MARIA_FINE;
    if (!maria_is_open(self->db)) class = maria_connect(self->db, err);
    if (class == MARIA_FINE) class = maria_run_text(self->db, "START TRANSACTION", err);
    return class;
}

/* A session that cannot even do this is given up: its transaction ends with it. */
static void roll_back(struct maria_recording *self) {
    struct err unheard;
    if (maria_is_open(self->db) && maria_run_text(self->db, "ROLLBACK", &unheard) != MARIA_FINE)
        maria_close(self->db);
}

/* ---- The place ---- */

struct found {
    bool is_there, is_of_another;
    char topic[64];
    struct recording_place place;
    uint64_t epoch;
    const char *wanted;
};

/* Rows are (topic, next_off, last_crc, owner_epoch). */
static void on_place(void *ctx, const struct slice *columns, unsigned count) {
    struct found *found = ctx;
    ASSERT(count == 4);
    if (!slice_eq(columns[0], slice_str(found->wanted))) {
        found->is_of_another = true;
        snprintf(found->topic, sizeof found->topic, "%.*s", (int)size_min(columns[0].n, 60),
                 columns[0].p);
        return;
    }
    found->is_there = true;
    found->place = (struct recording_place){.seq = maria_u64(columns[1]),
                                            .crc = (uint32_t)maria_u64(columns[2])};
    found->epoch = maria_u64(columns[3]);
}

static enum maria_class find_place(struct maria_recording *self, struct found *found,
                                   struct err *err) {
    *found = (struct found){.wanted = self->topic};
    return maria_ask(self->db,
                     SLICE("SELECT topic, next_off, last_crc, owner_epoch FROM log_offsets "
                           "FOR UPDATE"),
                     on_place, found, err);
}

static enum maria_class own(struct maria_recording *self, const struct found *found,
                            struct err *err) {
    struct buf *sql = maria_rows_statement(&self->rows);
    if (found->is_there) {
        buf_add_text(sql, "UPDATE log_offsets SET owner_epoch = owner_epoch + 1, owner = ");
        maria_add_text(sql, slice_str(self->owner));
        buf_add_text(sql, " WHERE part = 0 AND topic = ");
        maria_add_text(sql, slice_str(self->topic));
    } else {
        buf_add_text(sql, "INSERT INTO log_offsets(part, next_off, last_crc, owner_epoch, owner, "
                          "topic) VALUES (0, 0, 0, 1, ");
        maria_add_text(sql, slice_str(self->owner));
        buf_add_text(sql, ", ");
        maria_add_text(sql, slice_str(self->topic));
        buf_add_text(sql, ")");
    }
    return maria_rows_run_one(&self->rows, err);
}

static enum recording_status take_over(struct recording *recording, struct recording_place *place,
                                       struct err *err) {
    struct maria_recording *self = of(recording);
    struct found found;
    enum maria_class class = begin(self, err);
    if (class == MARIA_FINE) class = find_place(self, &found, err);
    if (class == MARIA_FINE && found.is_of_another) {
        err_set(err, -EEXIST,
                "database %s: records the topic %s, and not %s; name another database or topic",
                maria_name(self->db), found.topic, self->topic);
        class = MARIA_FATAL;
    }
    if (class == MARIA_FINE) class = own(self, &found, err);
    if (class == MARIA_CONFLICT) class = MARIA_TRANSIENT; /* another has just made the row */
    FAILPOINT("consume_before_take_over");
    if (class == MARIA_FINE) class = maria_run_text(self->db, "COMMIT", err);
    FAILPOINT("consume_taken_over");
    if (class != MARIA_FINE) {
        roll_back(self);
        return status_of(class);
    }
    self->epoch = found.is_there ? found.epoch + 1 : 1;
    *place = found.place;
    return RECORDING_OK;
}

/* ---- A batch ---- */

static enum maria_class move(struct maria_recording *self, const struct recording_batch *batch,
                             uint64_t *hit, struct err *err) {
    struct buf *sql = maria_rows_statement(&self->rows);
    buf_printf(sql, "UPDATE log_offsets SET next_off = %" PRIu64 ", last_crc = %" PRIu32,
               batch->to.seq, batch->to.crc);
    buf_printf(sql, " WHERE part = 0 AND next_off = %" PRIu64 " AND owner_epoch = %" PRIu64,
               batch->from.seq, self->epoch);
    buf_add_text(sql, " AND topic = ");
    maria_add_text(sql, slice_str(self->topic));
    return maria_rows_run(&self->rows, hit, err);
}

/* The place could not be moved from where we are: because it is where we want it, or because we own
 * it no longer. */
static enum recording_status look_why(struct maria_recording *self,
                                      const struct recording_batch *batch, struct err *err) {
    struct found found;
    enum maria_class class = find_place(self, &found, err);
    roll_back(self);
    if (class != MARIA_FINE) return status_of(class);
    if (found.is_there && found.epoch == self->epoch && found.place.seq == batch->to.seq &&
        found.place.crc == batch->to.crc)
        return RECORDING_OK;
    err_set(err, -ESTALE,
            "database %s: is at offset %" PRIu64 " in epoch %" PRIu64 ", and not at %" PRIu64
            " in %" PRIu64,
            maria_name(self->db), found.place.seq, found.epoch, batch->from.seq, self->epoch);
    return RECORDING_LOST;
}

static enum maria_class write_rows(struct maria_recording *self,
                                   const struct recording_batch *batch, struct err *err) {
    enum maria_class class = maria_rows_lock_events(&self->rows, batch, err);
    FAILPOINT("consume_events_locked");
    if (class == MARIA_FINE) class = maria_rows_changes(&self->rows, batch, err);
    FAILPOINT("consume_rows_written");
    if (class == MARIA_FINE)
        class = maria_rows_rejects(&self->rows, batch, clock_wall_ms(self->clock), err);
    FAILPOINT("consume_before_commit");
    if (class == MARIA_FINE) class = maria_run_text(self->db, "COMMIT", err);
    FAILPOINT("consume_after_commit");
    return class;
}

static enum recording_status apply(struct recording *recording, const struct recording_batch *batch,
                                   struct err *err) {
    struct maria_recording *self = of(recording);
    uint64_t hit = 0;
    FAILPOINT("consume_before_transaction");
    enum maria_class class = begin(self, err);
    if (class == MARIA_FINE) class = move(self, batch, &hit, err);
    FAILPOINT("consume_place_moved");
    if (class == MARIA_FINE && hit == 0) return look_why(self, batch, err);
    if (class == MARIA_FINE) class = write_rows(self, batch, err);
    if (class != MARIA_FINE) roll_back(self);
    return status_of(class);
}

/* ---- Life ---- */

static void free_recording(struct recording *recording) {
    struct maria_recording *self = of(recording);
    maria_rows_deinit(&self->rows);
    maria_free(self->db);
    free(self);
}

struct recording *maria_recording_new(struct maria *db, const char *topic, const char *owner,
                                      const struct clock *clock) {
    static const struct recording_ops ops = {
        .take_over = take_over, .apply = apply, .free = free_recording};
    struct maria_recording *self = calloc(1, sizeof *self);
    if (self == NULL) {
        maria_free(db);
        return NULL;
    }
    self->recording.ops = &ops;
    self->db = db;
    self->topic = topic;
    self->clock = clock;
    snprintf(self->owner, sizeof self->owner, "%s", owner);
    maria_rows_init(&self->rows, db);
    return &self->recording;
}
