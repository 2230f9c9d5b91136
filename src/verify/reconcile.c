/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/reconcile.h"

#include <errno.h>
#include <inttypes.h>

#include "verify/compare.h"
#include "verify/reservations.h"

struct pass {
    struct reconcile *reconcile;
    struct truth *truth;
    struct checks *checks;
    struct reconcile_seen *seen;
    struct err *err;

    struct view_point points[RECONCILE_VIEWS_MAX];
    bool is_met[RECONCILE_VIEWS_MAX];
    size_t points_count;

    struct log_place copy;
    bool copy_is_open, copy_is_met;

    struct reservations reservations;
};

static const struct slice no_event = {"", 0};

/* ---- Views ---- */

static int ask_views(struct pass *pass) {
    const struct view_source *views = &pass->reconcile->views;
    if (views->points == NULL) return 0;
    int code = views->points(views->ctx, pass->points, RECONCILE_VIEWS_MAX, &pass->points_count,
                             pass->err);
    pass->seen->views = (uint32_t)pass->points_count;
    return code;
}

static void meet_views(struct pass *pass, const struct decision *decision) {
    for (size_t i = 0; i < pass->points_count; i++) {
        const struct view_point *point = &pass->points[i];
        if (point->seq != decision->place.seq) continue;
        pass->is_met[i] = true;
        if (point->digest == decision->digest) continue;
        checks_add(pass->checks, CHECK_R11, check_item(point->name, no_event, 0),
                   "view of %s at seq %" PRIu64 ": digest %016" PRIx64
                   ", of the log read anew %016" PRIx64,
                   point->name, point->seq, point->digest, decision->digest);
    }
}

static void miss_views(struct pass *pass) {
    for (size_t i = 0; i < pass->points_count; i++) {
        const struct view_point *point = &pass->points[i];
        if (pass->is_met[i] || point->seq == 0) continue;
        checks_add(pass->checks, CHECK_R11, check_item(point->name, no_event, 1),
                   "view of %s is at seq %" PRIu64
                   ", which is no record of %s (its last is %" PRIu64 ")",
                   point->name, point->seq, pass->reconcile->log.name, pass->truth->end.seq);
    }
}

/* ---- The copy ---- */

static int open_copy(struct pass *pass) {
    struct reconcile *reconcile = pass->reconcile;
    const struct copy_source *copy = &reconcile->copy;
    uint64_t file = 0;
    if (copy->open == NULL) return 0;
    int code = copy->open(copy->ctx, &pass->copy, &file, pass->err);
    if (code == -ENOENT) {
        if (!reconcile->is_copy_optional)
            checks_add(pass->checks, CHECK_R9, check_item("missing", no_event, 0),
                       "%s: the copy is missing", copy->name);
        return 0;
    }
    if (code != 0) {
        checks_add(pass->checks, CHECK_R9, check_item("unreadable", no_event, 0), "%s",
                   pass->err->text);
        return 0;
    }
    pass->copy_is_open = true;
    pass->seen->has_copy = true;
    pass->seen->copy_seq = pass->copy.seq;
    bool is_same_file = reconcile->file == file;
    if (is_same_file && pass->copy.seq < reconcile->seq_max)
        checks_add(pass->checks, CHECK_R9, check_item("back", no_event, 0),
                   "%s: applied_seq was %" PRIu64 " and is %" PRIu64, copy->name,
                   reconcile->seq_max, pass->copy.seq);
    if (!is_same_file || pass->copy.seq > reconcile->seq_max) reconcile->seq_max = pass->copy.seq;
    reconcile->file = file;
    return 0;
}

static int compare_now(struct pass *pass) {
    pass->copy_is_met = true;
    return compare_copy(pass->truth, &pass->reconcile->copy, pass->checks, pass->err);
}

static void misplaced(struct pass *pass, const char *what) {
    checks_add(pass->checks, CHECK_R9, check_item("place", no_event, 0),
               "%s: applied_seq %" PRIu64 " %s %s (its last record is %" PRIu64 ")",
               pass->reconcile->copy.name, pass->copy.seq, what, pass->reconcile->log.name,
               pass->truth->end.seq);
}

/* ---- Reservations ---- */

static int list_event(void *ctx, const struct decision *decision) {
    struct pass *pass = ctx;
    const atomic_bool *stops = pass->reconcile->stops;
    if (stops != NULL && atomic_load_explicit(stops, memory_order_relaxed)) return -ECANCELED;
    if (decision->kind == DECISION_OPENED)
        reservations_list(&pass->reservations, &pass->truth->texts, decision->event_id);
    return 0;
}

static int read_reservations(struct pass *pass) {
    const struct log_source *log = &pass->reconcile->log;
    const struct reserve_source *reserve = &pass->reconcile->reserve;
    if (reserve->read == NULL) return 0;
    int code = log->read(log->ctx, list_event, pass, pass->err);
    if (code != 0) return code;
    code = reservations_read(&pass->reservations, reserve, &pass->truth->texts, pass->err);
    if (code != 0 && pass->reconcile->is_reserve_optional) {
        pass->seen->reserve_err = *pass->err;
        return 0;
    }
    pass->seen->reserved_events = pass->reservations.count;
    pass->seen->reservations = reservations_sum(&pass->reservations);
    return code;
}

static void compare_reservations(struct pass *pass) {
    static const enum check checks[] = {CHECK_R2, CHECK_R3, CHECK_R5, CHECK_R7};
    const struct reserve_source *reserve = &pass->reconcile->reserve;
    if (reserve->read != NULL && pass->seen->reserve_err.code == 0)
        reservations_compare(&pass->reservations, pass->truth, reserve->name, pass->checks);
    else
        for (size_t i = 0; i < ARRAY_LEN(checks); i++) checks_skip(pass->checks, checks[i]);
}

static bool is_at(const struct log_place *a, const struct log_place *b) {
    return a->seq == b->seq && a->segment == b->segment && a->crc == b->crc;
}

/* ---- The log ---- */

static int on_decision(void *ctx, const struct decision *decision) {
    struct pass *pass = ctx;
    const atomic_bool *stops = pass->reconcile->stops;
    if (stops != NULL && atomic_load_explicit(stops, memory_order_relaxed)) return -ECANCELED;
    /* The copy knows nothing of this record, and all of those before it. */
    if (pass->copy_is_open && !pass->copy_is_met && decision->place.seq > pass->copy.seq) {
        if (!is_at(&pass->truth->end, &pass->copy))
            misplaced(pass, "is not the place of a record of");
        int code = compare_now(pass);
        if (code != 0) return code;
    }
    truth_add(pass->truth, decision, pass->checks);
    meet_views(pass, decision);
    return pass->truth->failed ? -ENOMEM : 0;
}

static int read_log(struct pass *pass) {
    const struct log_source *log = &pass->reconcile->log;
    int code = log->read(log->ctx, on_decision, pass, pass->err);
    if (code == -ENOMEM) return err_set(pass->err, code, "no memory for what the log has decided");
    if (code != 0) return code;
    if (pass->copy_is_open && !pass->copy_is_met) {
        if (pass->copy.seq > pass->truth->end.seq)
            misplaced(pass, "is beyond the end of");
        else if (!is_at(&pass->truth->end, &pass->copy))
            misplaced(pass, "is not the place of a record of");
        code = compare_now(pass);
    }
    miss_views(pass);
    return code;
}

int reconcile_pass(struct reconcile *reconcile, struct truth *truth, struct checks *checks,
                   struct reconcile_seen *seen, struct err *err) {
    struct pass pass = {
        .reconcile = reconcile, .truth = truth, .checks = checks, .seen = seen, .err = err};
    *seen = (struct reconcile_seen){0};
    int code = ask_views(&pass);
    if (code == 0) code = open_copy(&pass);
    if (code == 0) code = read_reservations(&pass);
    if (code == 0) code = read_log(&pass);
    if (code == 0) compare_reservations(&pass);
    reservations_deinit(&pass.reservations);
    if (pass.copy_is_open) reconcile->copy.close(reconcile->copy.ctx);
    seen->records = truth->records;
    seen->last_seq = truth->end.seq;
    seen->events = truth->events_count;
    seen->coupons = truth->issued;
    if (code == 0 && checks->failed) code = err_set(err, -ENOMEM, "no memory for the findings");
    return code;
}
