/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose coupon is it: C1 (told to one user), C2 (no more than there are), C3 (in log and copy), C4
 * (nobody holds one without a reason), C10 (issued in its time).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "verify/history_check_private.h"

/* ---- C1 ---- */

static int compare_keys(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* How often a serial came back: so many holders more may have been told it. */
static uint32_t returns_of(const struct truth_event *event, uint32_t serial) {
    return serial < event->serials_count ? event->serials[serial].round : 0;
}

/* An op that told `user` the serial, or the coupon, `what`. */
static const struct history_op *told_to(const struct history_index *index, uint32_t user,
                                        uint32_t what, bool is_serial) {
    const struct asker *asker = history_asker(index, user);
    for (uint32_t i = asker->first; i < asker->first + asker->count; i++) {
        const struct history_op *op = &index->ops[i];
        if (history_is_pass(op) && (is_serial ? op->serial : op->coupon) == what) return op;
    }
    return &index->ops[asker->pass];
}

/* Looks for serials (or coupons) that were told to more users than may be. */
static void check_once(struct history_checking *checking, bool is_serial) {
    const struct history_index *index = &checking->index;
    uint64_t *keys = checking->keys;
    size_t count = 0;
    for (size_t i = 0; i < index->ops_count; i++) {
        const struct history_op *op = &index->ops[i];
        if (history_is_pass(op))
            keys[count++] = (uint64_t)(is_serial ? op->serial : op->coupon) << 32 | op->user;
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    uint32_t users = 0;
    for (size_t i = 1; i < count; i++) {
        uint32_t what = (uint32_t)(keys[i] >> 32);
        if (what != keys[i - 1] >> 32) users = 0;
        if (what != keys[i - 1] >> 32 || keys[i] == keys[i - 1]) continue;
        users++;
        if (is_serial && users <= returns_of(index->event, what)) continue;
        uint32_t other = (uint32_t)keys[i - 1];
        const struct history_op *first = told_to(index, other, what, is_serial);
        struct slice name = texts_at(&index->truth->texts, other);
        history_finding(checking, CHECK_C1, told_to(index, (uint32_t)keys[i], what, is_serial),
                        "%s that was told to user %.*s too (%s:%" PRIu32 ")",
                        is_serial ? "a serial" : "a coupon", (int)name.n, name.p,
                        index->history->files[first->file].path, first->line);
    }
}

/* ---- C2 ---- */

/* How many users had been told of a coupon that they held behind each entry, by what the log says
 * of them; whoever is not in the log holds from the entry on that was there when it was told. */
static void check_stock(struct history_checking *checking) {
    const struct history_index *index = &checking->index;
    const struct truth_event *event = index->event;
    int64_t *more = calloc(event->count, sizeof *more);
    if (more == NULL) {
        checking->failed = true;
        return;
    }
    for (size_t i = 0; i < index->askers_count; i++) {
        const struct asker *asker = &index->askers[i];
        if (asker->pass == TRUTH_NONE || asker->entry != TRUTH_NONE) continue;
        uint32_t low, high;
        history_window(index, &index->ops[asker->pass], &low, &high);
        more[high]++;
    }
    int64_t held = 0;
    bool was_over = false;
    for (uint32_t i = 0; i < event->count; i++) {
        const struct truth_entry *entry = &event->entries[i];
        const struct asker *asker = history_asker(index, entry->user);
        bool is_told = entry->user != 0 && asker != NULL && asker->pass != TRUTH_NONE;
        if (is_told && entry->kind == DECISION_ISSUED) held++;
        if (is_told && entry->kind == DECISION_RETURNED && entry->issued != TRUTH_NONE) held--;
        held += more[i];
        bool is_over = held > (int64_t)entry->stock;
        if (is_over && !was_over)
            history_finding_entry(checking, CHECK_C2, entry,
                                  "%" PRId64 " coupons had been told, of %" PRIu32, held,
                                  entry->stock);
        was_over = is_over;
    }
    free(more);
}

static void check_serial(struct history_checking *checking, const struct history_op *op) {
    const struct history_index *index = &checking->index;
    uint32_t low, high, stock = 0;
    if (op->return_ns == HISTORY_NEVER || op->serial <= index->event->entries[0].stock) return;
    history_window(index, op, &low, &high);
    for (uint32_t i = 0; i <= high; i++)
        if (index->event->entries[i].stock > stock) stock = index->event->entries[i].stock;
    if (op->serial > stock)
        history_finding(checking, CHECK_C2, op, "of %" PRIu32 " coupons", stock);
}

/* ---- C3 and C10 ---- */

static void check_copied(struct history_checking *checking, const struct history_op *op,
                         const struct truth_entry *entry) {
    if (!checking->options->has_copy || entry->seq > checking->options->copy_seq) return;
    if (!entry->is_copied)
        history_finding(checking, CHECK_C3, op,
                        "the copy does not have it as the log does (seq %" PRIu64 ")", entry->seq);
}

static void check_time(struct history_checking *checking, const struct history_op *op,
                       const struct truth_entry *entry) {
    const struct truth_entry *event = entry; /* an ISSUED has the event's times of before it */
    bool is_early = op->issued_ms < event->starts_ms || entry->ms < event->starts_ms;
    bool is_late = event->ends_ms != DECISION_NO_TIME &&
                   (op->issued_ms >= event->ends_ms || entry->ms >= event->ends_ms);
    if (is_early || is_late)
        history_finding(checking, CHECK_C10, op,
                        "issued at %" PRId64 " (log: %" PRId64 "), %s %" PRId64, op->issued_ms,
                        entry->ms, is_early ? "before the start" : "after the end",
                        is_early ? event->starts_ms : event->ends_ms);
    else if (op->issued_ms != entry->ms)
        history_finding(checking, CHECK_C10, op,
                        "issued_at %" PRId64 " was told, the log has %" PRId64, op->issued_ms,
                        entry->ms);
}

static void check_pass(struct history_checking *checking, const struct asker *asker,
                       const struct history_op *op) {
    const struct history_index *index = &checking->index;
    check_serial(checking, op);
    if (asker->entry == TRUTH_NONE) {
        history_finding(checking, CHECK_C3, op, "the log has no coupon of this user");
        return;
    }
    const struct truth_entry *entry = &index->event->entries[asker->entry];
    struct slice code = texts_at(&index->truth->texts, entry->code);
    if (op->serial != entry->serial)
        history_finding(checking, CHECK_C3, op, "the log has serial %" PRIu32 " (seq %" PRIu64 ")",
                        entry->serial, entry->seq);
    else if (entry->code != 0 && op->coupon != entry->code)
        history_finding(checking, CHECK_C3, op, "coupon %.*s was told, the log's is %.*s",
                        (int)texts_at(&index->truth->texts, op->coupon).n,
                        texts_at(&index->truth->texts, op->coupon).p, (int)code.n, code.p);
    else
        check_copied(checking, op, entry);
    check_time(checking, op, entry);
}

/* All that say the same are one. */
static void check_passes(struct history_checking *checking, const struct asker *asker) {
    const struct history_op *ops = checking->index.ops, *pass = &ops[asker->pass];
    for (uint32_t i = asker->first; i < asker->first + asker->count; i++) {
        const struct history_op *op = &ops[i];
        bool is_same = op->serial == pass->serial && op->coupon == pass->coupon &&
                       op->issued_ms == pass->issued_ms;
        if (history_is_pass(op) && (op == pass || !is_same)) check_pass(checking, asker, op);
    }
}

/* ---- C4 ---- */

/* True when every user of this name that claimed at this time must be in a history. */
static bool is_of_history(const struct history_index *index, const struct truth_entry *entry,
                          struct slice user, bool is_shared) {
    for (size_t i = 0; i < index->history->files_count; i++) {
        const struct history_file *file = &index->history->files[i];
        bool is_named = file->prefix.n != 0 && user.n >= file->prefix.n &&
                        slice_eq(slice_of(user.p, file->prefix.n), file->prefix);
        if (file->event == index->event->id && file->has_end && (is_named || !is_shared) &&
            entry->ms >= file->first_ms && entry->ms <= file->last_ms)
            return true;
    }
    return false;
}

static bool is_cut_off(const struct history_index *index, struct slice user) {
    for (size_t i = 0; i < index->history->files_count; i++) {
        const struct history_file *file = &index->history->files[i];
        if (!file->has_end && user.n >= file->prefix.n &&
            slice_eq(slice_of(user.p, file->prefix.n), file->prefix))
            return true;
    }
    return false;
}

static void check_untold(struct history_checking *checking, const struct truth_entry *entry) {
    const struct history_index *index = &checking->index;
    const struct asker *asker = history_asker(index, entry->user);
    struct slice user = texts_at(&index->truth->texts, entry->user);
    if (is_cut_off(index, user)) return;
    if (asker == NULL) {
        if (is_of_history(index, entry, user, checking->options->is_shared))
            history_finding_entry(checking, CHECK_C4, entry,
                                  "holds a coupon and never asked, by the histories");
        return;
    }
    if (asker->pass != TRUTH_NONE || asker->unsure_ns != HISTORY_NEVER) return;
    if (entry->ms < index->begin_ms && asker->claim_ns == HISTORY_NEVER) return;
    const struct history_op *last = &index->ops[asker->first + asker->count - 1];
    history_finding(checking, CHECK_C4, last,
                    "holds serial %" PRIu32 " in the log (seq %" PRIu64
                    ") and every claim was answered with no",
                    entry->serial, entry->seq);
}

void history_check_coupons(struct history_checking *checking) {
    const struct history_index *index = &checking->index;
    check_once(checking, true);
    check_once(checking, false);
    check_stock(checking);
    for (size_t i = 0; i < index->askers_count; i++)
        if (index->askers[i].pass != TRUTH_NONE) check_passes(checking, &index->askers[i]);
    for (uint32_t i = 0; i < index->event->count; i++)
        if (index->event->entries[i].kind == DECISION_ISSUED)
            check_untold(checking, &index->event->entries[i]);
}
