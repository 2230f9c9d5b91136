/* SPDX-License-Identifier: Apache-2.0
 *
 * What came before what: C5 (sold out when it was), C6 (and then nobody new), C9 (first come, first
 * served).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "verify/history_check_private.h"

static int compare_ns(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* ---- C5 ---- */

/* When claims were sent, one for each user, that may have reserved a coupon which the log did not
 * get then: a crash took the reservation, and nobody heard. Sorted. */
static int64_t *unheard(const struct history_index *index, size_t *count) {
    int64_t *sent_ns = reallocarray(NULL, index->askers_count + 1, sizeof *sent_ns);
    *count = 0;
    for (size_t i = 0; sent_ns != NULL && i < index->askers_count; i++) {
        const struct asker *asker = &index->askers[i];
        if (asker->unsure_ns != HISTORY_NEVER) sent_ns[(*count)++] = asker->unsure_ns;
    }
    if (sent_ns != NULL) qsort(sent_ns, *count, sizeof *sent_ns, compare_ns);
    return sent_ns;
}

static size_t count_before(const int64_t *sorted, size_t count, int64_t ns) {
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (sorted[middle] < ns)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

static void check_sold_out(struct history_checking *checking, const struct history_op *op,
                           const int64_t *lost, size_t lost_count) {
    const struct history_index *index = &checking->index;
    uint32_t low, high;
    history_window(index, op, &low, &high);
    int64_t room = history_room(index, low, high);
    if (room <= 0) return;
    if (op->told == TOLD_SOLD_OUT && room <= (int64_t)count_before(lost, lost_count, op->return_ns))
        return;
    const struct truth_entry *entries = index->event->entries;
    history_finding(checking, CHECK_C5, op,
                    "between log seq %" PRIu64 " and %" PRIu64 " at least %" PRId64
                    " coupons were free",
                    entries[low].seq, entries[high].seq, room);
}

/* ---- C6 ---- */

/* A final sold out: when it was answered, and the stock version that it was true of. */
struct end_of_stock {
    int64_t ns;
    uint32_t ver, op;
};

static int compare_ends(const void *a, const void *b) {
    const struct end_of_stock *x = a, *y = b;
    return x->ns < y->ns ? -1 : x->ns > y->ns;
}

/* All of them by time, each with the highest version of any before it. */
static struct end_of_stock *ends_of_stock(const struct history_index *index, size_t *count) {
    struct end_of_stock *ends = reallocarray(NULL, index->ops_count + 1, sizeof *ends);
    *count = 0;
    for (size_t i = 0; ends != NULL && i < index->ops_count; i++) {
        const struct history_op *op = &index->ops[i];
        if (op->told != TOLD_SOLD_OUT_FINAL) continue;
        uint32_t low, high;
        history_window(index, op, &low, &high);
        uint32_t full = history_full(index, low, high);
        uint32_t entry = full == TRUTH_NONE ? low : full;
        ends[(*count)++] = (struct end_of_stock){
            .ns = op->return_ns, .ver = index->event->entries[entry].ver, .op = (uint32_t)i};
    }
    if (ends == NULL) return NULL;
    qsort(ends, *count, sizeof *ends, compare_ends);
    for (size_t i = 1; i < *count; i++)
        if (ends[i].ver < ends[i - 1].ver) {
            ends[i].ver = ends[i - 1].ver;
            ends[i].op = ends[i - 1].op;
        }
    return ends;
}

static void check_nobody_new(struct history_checking *checking, const struct asker *asker,
                             const struct end_of_stock *ends, size_t count) {
    const struct history_index *index = &checking->index;
    if (asker->pass == TRUTH_NONE || asker->entry == TRUTH_NONE || !asker->is_issued) return;
    size_t low = 0;
    while (low < count) { /* the first end that was answered when the user had asked already */
        size_t middle = low + (count - low) / 2;
        if (ends[middle].ns < asker->claim_ns)
            low = middle + 1;
        else
            count = middle;
    }
    const struct truth_entry *entry = &index->event->entries[asker->entry];
    if (low == 0 || ends[low - 1].ver < entry->ver) return;
    const struct history_op *end = &index->ops[ends[low - 1].op];
    history_finding(checking, CHECK_C6, &index->ops[asker->pass],
                    "asked after a final sold out of the same version %" PRIu32 " (%s:%" PRIu32 ")",
                    entry->ver, index->history->files[end->file].path, end->line);
}

/* ---- C9 ---- */

struct served {
    int64_t ns;
    uint32_t gen, serial, op;
};

static int compare_served(const void *a, const void *b) {
    const struct served *x = a, *y = b;
    if (x->gen != y->gen) return x->gen < y->gen ? -1 : 1;
    return x->ns < y->ns ? -1 : x->ns > y->ns;
}

/* Who was told a coupon, by generation and time; each with the highest serial before it. */
static struct served *in_order(const struct history_index *index, size_t *count) {
    struct served *served = reallocarray(NULL, index->askers_count + 1, sizeof *served);
    *count = 0;
    for (size_t i = 0; served != NULL && i < index->askers_count; i++) {
        const struct asker *asker = &index->askers[i];
        if (asker->pass == TRUTH_NONE || asker->entry == TRUTH_NONE) continue;
        served[(*count)++] = (struct served){.ns = asker->told_ns,
                                             .gen = index->event->entries[asker->entry].gen,
                                             .serial = index->ops[asker->pass].serial,
                                             .op = asker->pass};
    }
    if (served == NULL) return NULL;
    qsort(served, *count, sizeof *served, compare_served);
    for (size_t i = 1; i < *count; i++)
        if (served[i].gen == served[i - 1].gen && served[i].serial < served[i - 1].serial) {
            served[i].serial = served[i - 1].serial;
            served[i].op = served[i - 1].op;
        }
    return served;
}

/* Serials that had been handed out before: returned, or refused by the judge. They go out again
 * before any that never was. A bit for each. */
static uint8_t *handed_out_again(const struct history_index *index) {
    const struct truth_event *event = index->event;
    uint8_t *again = calloc((size_t)event->serials_count + 1, 1);
    for (uint32_t i = 0; again != NULL && i < event->count; i++) {
        const struct truth_entry *entry = &event->entries[i];
        bool is_again = entry->kind == DECISION_RETURNED || entry->kind == DECISION_VOID;
        if (is_again && entry->serial < event->serials_count) again[entry->serial] = 1;
    }
    return again;
}

static void check_served(struct history_checking *checking, const struct asker *asker,
                         const struct served *served, size_t count, const uint8_t *again) {
    const struct history_index *index = &checking->index;
    if (asker->pass == TRUTH_NONE || asker->entry == TRUTH_NONE || !asker->is_issued) return;
    const struct history_op *op = &index->ops[asker->pass];
    uint32_t gen = index->event->entries[asker->entry].gen;
    if (op->serial < index->event->serials_count && again[op->serial] != 0) return;
    size_t low = 0;
    const struct served wanted = {.gen = gen, .ns = asker->claim_ns};
    while (low < count) { /* the first who was told when the user had asked already */
        size_t middle = low + (count - low) / 2;
        if (compare_served(&served[middle], &wanted) < 0)
            low = middle + 1;
        else
            count = middle;
    }
    if (low == 0 || served[low - 1].gen != gen || served[low - 1].serial < op->serial) return;
    if (served[low - 1].op == asker->pass) return;
    const struct history_op *first = &index->ops[served[low - 1].op];
    history_finding(checking, CHECK_C9, op,
                    "asked after serial %" PRIu32 " had been told (%s:%" PRIu32 ")",
                    served[low - 1].serial, index->history->files[first->file].path, first->line);
}

/* ---- All ---- */

void history_check_order(struct history_checking *checking) {
    const struct history_index *index = &checking->index;
    size_t lost_count = 0, ends_count = 0, served_count = 0;
    int64_t *lost = unheard(index, &lost_count);
    struct end_of_stock *ends = ends_of_stock(index, &ends_count);
    struct served *served = in_order(index, &served_count);
    uint8_t *again = handed_out_again(index);
    checking->failed |= lost == NULL || ends == NULL || served == NULL || again == NULL;
    for (size_t i = 0; !checking->failed && i < index->ops_count; i++)
        if (index->ops[i].told == TOLD_SOLD_OUT || index->ops[i].told == TOLD_SOLD_OUT_FINAL)
            check_sold_out(checking, &index->ops[i], lost, lost_count);
    for (size_t i = 0; !checking->failed && i < index->askers_count; i++) {
        check_nobody_new(checking, &index->askers[i], ends, ends_count);
        check_served(checking, &index->askers[i], served, served_count, again);
    }
    free(lost);
    free(ends);
    free(served);
    free(again);
}
