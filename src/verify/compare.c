/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What the rows of one event say by themselves. */
struct rows_seen {
    int64_t total, taken;
    int64_t holders, coupons, serial_max;
    bool has_event;
};

struct comparison {
    struct truth *truth;
    const struct copy_source *copy;
    struct checks *checks;
    struct rows_seen *seen; /* by number of the event */
};

/* ---- Words ---- */

static void differs(struct comparison *comparison, const struct copy_row *row, const char *table,
                    uint64_t which, const char *format, ...) PRINTF_LIKE(5, 6);
static void differs(struct comparison *comparison, const struct copy_row *row, const char *table,
                    uint64_t which, const char *format, ...) {
    char text[CHECK_EVIDENCE_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    checks_add(comparison->checks, CHECK_R1, check_item(table, row->event_id, which),
               "%s: %s, event %.*s, serial %" PRId64 ": %s", comparison->copy->name, table,
               (int)row->event_id.n, row->event_id.p, row->serial, text);
}

static bool number_is(struct comparison *comparison, const struct copy_row *row, const char *table,
                      const char *column, int64_t found, int64_t right) {
    if (found == right) return true;
    differs(comparison, row, table, (uint64_t)row->serial, "%s is %" PRId64 ", by the log %" PRId64,
            column, found, right);
    return false;
}

static bool text_is(struct comparison *comparison, const struct copy_row *row, const char *table,
                    const char *column, struct slice found, struct slice right) {
    if (slice_eq(found, right)) return true;
    differs(comparison, row, table, (uint64_t)row->serial, "%s is \"%.*s\", by the log \"%.*s\"",
            column, (int)size_min(found.n, 80), found.p, (int)size_min(right.n, 80), right.p);
    return false;
}

#define NUMBER(column, right)                                                                      \
    is_same &= number_is(comparison, row, table, #column, row->column, (int64_t)(right))
#define TEXT(column, right)                                                                        \
    is_same &= text_is(comparison, row, table, #column, row->column,                               \
                       texts_at(&comparison->truth->texts, right))

/* ---- Rows ---- */

static void compare_event(struct comparison *comparison, struct truth_event *event,
                          const struct copy_row *row) {
    static const char *const states[] = {"open", "paused", "closed"};
    static const char table[] = "events";
    const struct truth_entry *last = truth_last(event);
    bool is_same = true;
    NUMBER(total, last->stock);
    NUMBER(taken, last->taken);
    NUMBER(gen, last->gen);
    NUMBER(ver, last->ver);
    NUMBER(start_ms, last->starts_ms);
    NUMBER(end_ms, last->ends_ms);
    NUMBER(open_seq, event->open_seq);
    is_same &= text_is(comparison, row, table, "state", row->state, slice_str(states[last->state]));
    (void)is_same; /* each field that differs has told so */
    event->is_copied = true;
}

static void compare_coupon(struct comparison *comparison, struct truth_event *event,
                           const struct copy_row *row) {
    static const char table[] = "coupons";
    if (row->serial < 1 || row->serial > truth_last(event)->stock) {
        differs(comparison, row, table, (uint64_t)row->serial,
                "the log has no such coupon: there are %u", truth_last(event)->stock);
        return;
    }
    struct truth_serial *serial = &event->serials[row->serial];
    serial->is_copied = true;
    number_is(comparison, row, table, "round", row->round, serial->round);
}

/* The columns that a coupon keeps when it is returned. */
static bool compare_issued(struct comparison *comparison, const struct truth_entry *entry,
                           const struct copy_row *row, const char *table) {
    bool is_same = true;
    NUMBER(serial, entry->serial);
    NUMBER(round, entry->round);
    TEXT(user_id, entry->user);
    TEXT(claim_id, entry->claim);
    NUMBER(gen, entry->gen);
    NUMBER(claimed_ms, entry->ms);
    NUMBER(log_seq, entry->seq);
    if (entry->code != 0) TEXT(code, entry->code);
    return is_same;
}

static void compare_holder(struct comparison *comparison, struct truth_event *event,
                           const struct copy_row *row) {
    static const char table[] = "user_coupons";
    bool is_serial = row->serial >= 1 && row->serial < event->serials_count;
    uint32_t holder = is_serial ? event->serials[row->serial].holder : TRUTH_NONE;
    if (holder == TRUTH_NONE) {
        differs(comparison, row, table, (uint64_t)row->serial,
                "user %.*s holds it, by the log nobody", (int)size_min(row->user_id.n, 64),
                row->user_id.p);
        return;
    }
    struct truth_entry *entry = &event->entries[holder];
    entry->is_met = true;
    entry->is_copied = compare_issued(comparison, entry, row, table);
}

static void compare_returned(struct comparison *comparison, struct truth_event *event,
                             const struct copy_row *row) {
    static const char table[] = "user_coupons_history";
    struct truth_entry *given = truth_entry_at(event, (uint64_t)row->returned_seq);
    if (given == NULL || given->kind != DECISION_RETURNED || given->issued == TRUTH_NONE) {
        differs(comparison, row, table, (uint64_t)row->returned_seq,
                "returned_seq %" PRId64 " returns nothing in the log", row->returned_seq);
        return;
    }
    struct truth_entry *issued = &event->entries[given->issued];
    bool is_same = compare_issued(comparison, issued, row, table);
    NUMBER(returned_ms, given->ms);
    TEXT(operator, given->operator);
    TEXT(reason, given->reason);
    issued->is_copied = is_same;
    given->is_met = true;
}

static void see(struct rows_seen *seen, const struct copy_row *row) {
    if (row->kind == ROW_EVENT) {
        seen->has_event = true;
        seen->total = row->total;
        seen->taken = row->taken;
    }
    if (row->kind == ROW_COUPON) seen->coupons++;
    if (row->kind == ROW_HOLDER) {
        seen->holders++;
        if (row->serial > seen->serial_max) seen->serial_max = row->serial;
    }
}

static void tell_dead_letter(struct comparison *comparison, const struct copy_row *row) {
    checks_add(comparison->checks, CHECK_R10,
               check_item("dead", row->event_id, (uint64_t)row->dead_seq),
               "%s: the record at offset %" PRId64 " waits (%.*s): coupond dlt show %" PRId64,
               comparison->copy->name, row->dead_seq - 1, (int)size_min(row->reason.n, 40),
               row->reason.p, row->dead_seq - 1);
}

static void on_row(void *ctx, const struct copy_row *row) {
    static const char *const tables[] = {"events", "coupons", "user_coupons",
                                         "user_coupons_history"};
    struct comparison *comparison = ctx;
    if (row->kind == ROW_DEAD_LETTER) {
        tell_dead_letter(comparison, row);
        return;
    }
    uint32_t id = texts_find(&comparison->truth->texts, row->event_id);
    struct truth_event *event = id == TEXT_UNKNOWN ? NULL : truth_event(comparison->truth, id);
    if (event == NULL) {
        differs(comparison, row, tables[row->kind], (uint64_t)row->serial,
                "the log has no such event");
        return;
    }
    see(&comparison->seen[event - comparison->truth->events], row);
    if (row->kind == ROW_EVENT) compare_event(comparison, event, row);
    if (row->kind == ROW_COUPON) compare_coupon(comparison, event, row);
    if (row->kind == ROW_HOLDER) compare_holder(comparison, event, row);
    if (row->kind == ROW_RETURNED) compare_returned(comparison, event, row);
}

/* ---- What no row was for ---- */

static void find_missing(struct comparison *comparison, struct truth_event *event) {
    struct copy_row row = {.event_id = texts_at(&comparison->truth->texts, event->id)};
    if (!event->is_copied) differs(comparison, &row, "events", 0, "the row is missing");
    for (uint32_t i = 0; i < event->count; i++) {
        const struct truth_entry *entry = &event->entries[i];
        bool is_missing = entry->kind == DECISION_ISSUED && entry->is_held && !entry->is_met;
        struct slice user = texts_at(&comparison->truth->texts, entry->user);
        row.serial = entry->serial;
        if (is_missing)
            differs(comparison, &row, "user_coupons", entry->serial,
                    "the row of user %.*s (log seq %" PRIu64 ") is missing", (int)user.n, user.p,
                    entry->seq);
        if (entry->kind == DECISION_RETURNED && !entry->is_met && entry->issued != TRUTH_NONE)
            differs(comparison, &row, "user_coupons_history", entry->seq,
                    "the row of user %.*s (log seq %" PRIu64 ") is missing", (int)user.n, user.p,
                    entry->seq);
    }
    for (uint32_t i = 1; i <= truth_last(event)->stock && i < event->serials_count; i++) {
        row.serial = i;
        if (!event->serials[i].is_copied)
            differs(comparison, &row, "coupons", i, "the row is missing");
    }
}

static void compare_counts(struct comparison *comparison, const struct truth_event *event,
                           const struct rows_seen *seen) {
    struct slice id = texts_at(&comparison->truth->texts, event->id);
    if (!seen->has_event) return;
    if (seen->taken == seen->holders && seen->taken <= seen->total &&
        seen->serial_max <= seen->total && seen->coupons == seen->total)
        return;
    checks_add(comparison->checks, CHECK_R6, check_item("counts", id, 0),
               "%s: event %.*s: total %" PRId64 ", taken %" PRId64 ", rows of holders %" PRId64
               ", of coupons %" PRId64 ", highest serial held %" PRId64,
               comparison->copy->name, (int)id.n, id.p, seen->total, seen->taken, seen->holders,
               seen->coupons, seen->serial_max);
}

int compare_copy(struct truth *truth, const struct copy_source *copy, struct checks *checks,
                 struct err *err) {
    struct comparison comparison = {.truth = truth, .copy = copy, .checks = checks};
    comparison.seen = calloc((size_t)truth->events_count + 1, sizeof *comparison.seen);
    if (comparison.seen == NULL)
        return err_set(err, -ENOMEM, "no memory to compare %s", copy->name);
    int code = copy->rows(copy->ctx, on_row, &comparison, err);
    for (uint32_t i = 0; code == 0 && i < truth->events_count; i++) {
        find_missing(&comparison, &truth->events[i]);
        compare_counts(&comparison, &truth->events[i], &comparison.seen[i]);
    }
    free(comparison.seen);
    return code;
}
