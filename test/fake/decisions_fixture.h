/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions, and sources that hand them over, without a journal, a database or a server: for the
 * tests of verify/.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "verify/decision.h"

enum { FIXTURE_DECISIONS_MAX = 32, FIXTURE_ROWS_MAX = 32 };

static inline uint64_t fixture_digest(uint64_t seq) {
    return seq * 1000 + 7;
}

static inline struct decision decision_of(enum decision_kind kind, uint64_t seq, uint32_t ver) {
    return (struct decision){.kind = kind,
                             .place = {.seq = seq, .segment = 5, .crc = (uint32_t)seq * 3},
                             .digest = fixture_digest(seq),
                             .ms = 1000 + (int64_t)seq,
                             .event_id = SLICE("EV"),
                             .ver = ver,
                             .gen = 1,
                             .starts_ms = DECISION_NO_TIME,
                             .ends_ms = DECISION_NO_TIME};
}

static inline struct decision decision_stock(uint64_t seq, uint32_t ver, uint32_t stock) {
    struct decision decision = decision_of(ver == 1 ? DECISION_OPENED : DECISION_CHANGED, seq, ver);
    decision.stock = stock;
    return decision;
}

static inline struct decision decision_issued(uint64_t seq, uint32_t ver, uint32_t serial,
                                              uint32_t round, const char *user) {
    struct decision decision = decision_of(DECISION_ISSUED, seq, ver);
    decision.serial = serial;
    decision.round = round;
    decision.user_id = slice_str(user);
    decision.claim_id = SLICE("key");
    decision.code = slice_str(user);
    return decision;
}

static inline struct decision decision_returned(uint64_t seq, uint32_t ver, uint32_t serial,
                                                const char *user) {
    struct decision decision = decision_of(DECISION_RETURNED, seq, ver);
    decision.serial = serial;
    decision.user_id = slice_str(user);
    decision.operator= SLICE("ops");
    decision.reason = SLICE("lost");
    return decision;
}

/* ---- Sources ---- */

struct fixture_world {
    struct decision decisions[FIXTURE_DECISIONS_MAX];
    size_t decisions_count;
    int log_fails; /* returned at the end of the log */

    struct copy_row rows[FIXTURE_ROWS_MAX];
    size_t rows_count;
    struct log_place copy_place;
    uint64_t file;
    int copy_fails, rows_fail;
    unsigned opens, closes;

    struct view_point points[4];
    size_t points_count;
    int views_fail;
};

static inline int fixture_read(void *ctx, decision_fn on_decision, void *on_decision_ctx,
                               struct err *err) {
    struct fixture_world *world = ctx;
    for (size_t i = 0; i < world->decisions_count; i++) {
        int code = on_decision(on_decision_ctx, &world->decisions[i]);
        if (code != 0) return code;
    }
    return world->log_fails == 0 ? 0 : err_set(err, world->log_fails, "the log is damaged");
}

static inline int fixture_open(void *ctx, struct log_place *place, uint64_t *file,
                               struct err *err) {
    struct fixture_world *world = ctx;
    if (world->copy_fails != 0) return err_set(err, world->copy_fails, "cannot open it");
    world->opens++;
    *place = world->copy_place;
    *file = world->file;
    return 0;
}

static inline int fixture_rows(void *ctx, copy_row_fn on_row, void *on_row_ctx, struct err *err) {
    struct fixture_world *world = ctx;
    if (world->rows_fail != 0) return err_set(err, world->rows_fail, "cannot read it");
    for (size_t i = 0; i < world->rows_count; i++) on_row(on_row_ctx, &world->rows[i]);
    return 0;
}

static inline void fixture_close(void *ctx) {
    struct fixture_world *world = ctx;
    world->closes++;
}

static inline int fixture_points(void *ctx, struct view_point *points, size_t max, size_t *count,
                                 struct err *err) {
    struct fixture_world *world = ctx;
    if (world->views_fail != 0) return err_set(err, world->views_fail, "nobody answers");
    ASSERT(world->points_count <= max);
    memcpy(points, world->points, world->points_count * sizeof *points);
    *count = world->points_count;
    return 0;
}

static inline struct copy_row *fixture_row(struct fixture_world *world, enum copy_row_kind kind,
                                           int64_t serial) {
    struct copy_row *row = &world->rows[world->rows_count++];
    *row = (struct copy_row){.kind = kind, .event_id = SLICE("EV"), .serial = serial};
    return row;
}

static inline void fixture_fill_issued(struct copy_row *row, uint64_t seq, const char *user) {
    row->gen = 1;
    row->user_id = row->code = slice_str(user);
    row->claim_id = SLICE("key");
    row->claimed_ms = 1000 + (int64_t)seq;
    row->log_seq = (int64_t)seq;
}

/* Event EV of 3: ada held 1 and returned it, bob holds 2, eve 1 in its second round; restocked
 * to 4. The copy is at the last record, and so are the views. */
static inline void fixture_world_init(struct fixture_world *world) {
    *world = (struct fixture_world){.file = 77};
    struct decision *all = world->decisions;
    all[0] = decision_stock(1, 1, 3);
    all[1] = decision_issued(2, 1, 1, 0, "ada");
    all[2] = decision_issued(3, 1, 2, 0, "bob");
    all[3] = decision_returned(5, 2, 1, "ada");
    all[4] = decision_issued(6, 2, 1, 1, "eve");
    all[5] = decision_stock(8, 3, 4);
    world->decisions_count = 6;
    world->copy_place = all[5].place;

    struct copy_row *event = fixture_row(world, ROW_EVENT, 0);
    event->total = 4;
    event->taken = 2;
    event->gen = 1;
    event->ver = 3;
    event->state = SLICE("open");
    event->start_ms = event->end_ms = DECISION_NO_TIME;
    event->open_seq = 1;
    for (int64_t serial = 1; serial <= 4; serial++)
        fixture_row(world, ROW_COUPON, serial)->round = serial == 1;
    struct copy_row *holder = fixture_row(world, ROW_HOLDER, 1);
    fixture_fill_issued(holder, 6, "eve");
    holder->round = 1;
    fixture_fill_issued(fixture_row(world, ROW_HOLDER, 2), 3, "bob");
    struct copy_row *returned = fixture_row(world, ROW_RETURNED, 1);
    fixture_fill_issued(returned, 2, "ada");
    returned->returned_ms = 1005;
    returned->returned_seq = 5;
    returned->operator= SLICE("ops");
    returned->reason = SLICE("lost");

    world->points_count = 2;
    world->points[0] = (struct view_point){.name = "engine", .seq = 8, .digest = fixture_digest(8)};
    world->points[1] =
        (struct view_point){.name = "thread 0", .seq = 6, .digest = fixture_digest(6)};
}

static inline struct log_source fixture_log(struct fixture_world *world) {
    return (struct log_source){.ctx = world, .name = "data", .read = fixture_read};
}
static inline struct copy_source fixture_copy(struct fixture_world *world) {
    return (struct copy_source){.ctx = world,
                                .name = "copy",
                                .open = fixture_open,
                                .rows = fixture_rows,
                                .close = fixture_close};
}
static inline struct view_source fixture_views(struct fixture_world *world) {
    return (struct view_source){.ctx = world, .points = fixture_points};
}
