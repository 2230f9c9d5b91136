/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/history_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Who asked what ---- */

static int compare_ops(const void *a, const void *b) {
    const struct history_op *x = a, *y = b;
    if (x->user != y->user) return x->user < y->user ? -1 : 1;
    if (x->invoke_ns != y->invoke_ns) return x->invoke_ns < y->invoke_ns ? -1 : 1;
    return x->return_ns < y->return_ns ? -1 : x->return_ns > y->return_ns;
}

static int take_ops(struct history_index *index) {
    const struct history *history = index->history;
    index->ops = reallocarray(NULL, history->count + 1, sizeof *index->ops);
    if (index->ops == NULL) return -ENOMEM;
    for (size_t i = 0; i < history->count; i++)
        if (history->ops[i].event == index->event->id)
            index->ops[index->ops_count++] = history->ops[i];
    qsort(index->ops, index->ops_count, sizeof *index->ops, compare_ops);
    return 0;
}

static void note(struct asker *asker, const struct history_op *op, uint32_t number) {
    asker->count++;
    /* "returned" tells of a coupon that came and went unheard. */
    bool is_unsure = op->told == HISTORY_LOST || op->told == TOLD_PENDING ||
                     op->told == TOLD_WRONG || op->told == TOLD_RETURNED;
    if (!op->is_query && asker->claim_ns > op->invoke_ns) asker->claim_ns = op->invoke_ns;
    if (!op->is_query && is_unsure && asker->unsure_ns > op->invoke_ns)
        asker->unsure_ns = op->invoke_ns;
    if (!op->is_query && op->told == TOLD_ISSUED) asker->is_issued = true;
    if (!history_is_pass(op) || op->return_ns >= asker->told_ns) return;
    asker->told_ns = op->return_ns;
    asker->pass = number;
}

static int take_askers(struct history_index *index) {
    index->askers = reallocarray(NULL, index->ops_count + 1, sizeof *index->askers);
    if (index->askers == NULL) return -ENOMEM;
    struct asker *asker = NULL;
    for (size_t i = 0; i < index->ops_count; i++) {
        const struct history_op *op = &index->ops[i];
        if (asker == NULL || asker->user != op->user) {
            asker = &index->askers[index->askers_count++];
            *asker = (struct asker){
                .user = op->user,
                .first = (uint32_t)i,
                .entry = truth_issued_to(index->truth, index->event, op->user),
                .pass = TRUTH_NONE,
                .claim_ns = HISTORY_NEVER,
                .told_ns = HISTORY_NEVER,
                .unsure_ns = HISTORY_NEVER,
            };
            pairs_set(&index->numbers, 0, op->user, (uint32_t)(index->askers_count - 1));
        }
        note(asker, op, (uint32_t)i);
    }
    for (uint32_t i = 0; i < index->event->count; i++) {
        const struct truth_entry *entry = &index->event->entries[i];
        asker = entry->kind == DECISION_RETURNED ? history_asker(index, entry->user) : NULL;
        if (asker != NULL) asker->is_returned = true;
    }
    return index->numbers.failed ? -ENOMEM : 0;
}

struct asker *history_asker(const struct history_index *index, uint32_t user) {
    uint32_t number = pairs_get(&index->numbers, 0, user);
    return number == PAIR_UNKNOWN ? NULL : &index->askers[number];
}

/* ---- Between which records ---- */

static int compare_bounds(const void *a, const void *b) {
    const struct bound *x = a, *y = b;
    return x->ns < y->ns ? -1 : x->ns > y->ns;
}

static int take_told(struct history_index *index) {
    index->told = reallocarray(NULL, index->askers_count + 1, sizeof *index->told);
    if (index->told == NULL) return -ENOMEM;
    for (size_t i = 0; i < index->askers_count; i++) {
        const struct asker *asker = &index->askers[i];
        if (asker->entry == TRUTH_NONE || asker->pass == TRUTH_NONE) continue;
        index->told[index->told_count++] =
            (struct bound){.ns = asker->told_ns, .entry = asker->entry};
    }
    qsort(index->told, index->told_count, sizeof *index->told, compare_bounds);
    for (size_t i = 1; i < index->told_count; i++)
        if (index->told[i].entry < index->told[i - 1].entry)
            index->told[i].entry = index->told[i - 1].entry;
    return 0;
}

static int64_t first_ms(const struct history_index *index) {
    int64_t first_ms = INT64_MAX;
    for (size_t i = 0; i < index->history->files_count; i++) {
        const struct history_file *file = &index->history->files[i];
        if (file->event == index->event->id && file->first_ms < first_ms) first_ms = file->first_ms;
    }
    return first_ms;
}

/* Not before when the record can have been made. */
static int64_t asked_ns(const struct history_index *index, const struct truth_entry *entry) {
    if (entry->kind != DECISION_ISSUED || entry->ms < index->begin_ms) return INT64_MIN;
    const struct asker *asker = history_asker(index, entry->user);
    if (asker == NULL || asker->claim_ns == HISTORY_NEVER) return INT64_MIN;
    return asker->is_issued || asker->unsure_ns != HISTORY_NEVER ? asker->claim_ns : INT64_MIN;
}

static int take_asked(struct history_index *index) {
    const struct truth_event *event = index->event;
    index->asked = reallocarray(NULL, event->count, sizeof *index->asked);
    if (index->asked == NULL) return -ENOMEM;
    int64_t latest_ns = INT64_MIN;
    for (uint32_t i = 0; i < event->count; i++) {
        int64_t ns = asked_ns(index, &event->entries[i]);
        if (ns > latest_ns) latest_ns = ns;
        index->asked[i] = latest_ns;
    }
    return 0;
}

void history_window(const struct history_index *index, const struct history_op *op, uint32_t *low,
                    uint32_t *high) {
    size_t from = 0, to = index->told_count;
    while (from < to) { /* the first that was told at or after the sending */
        size_t middle = from + (to - from) / 2;
        if (index->told[middle].ns < op->invoke_ns)
            from = middle + 1;
        else
            to = middle;
    }
    *low = from == 0 ? 0 : index->told[from - 1].entry;
    uint32_t begin = 0, end = index->event->count;
    while (begin < end) { /* the first entry that was asked for after the answer */
        uint32_t middle = begin + (end - begin) / 2;
        if (index->asked[middle] <= op->return_ns)
            begin = middle + 1;
        else
            end = middle;
    }
    *high = begin == 0 ? 0 : begin - 1;
    if (*high < *low) *high = *low;
}

/* ---- Room ---- */

static int take_room(struct history_index *index) {
    const struct truth_event *event = index->event;
    index->room_leaves = 1;
    while (index->room_leaves < event->count) index->room_leaves *= 2;
    index->room = reallocarray(NULL, index->room_leaves * 2, sizeof *index->room);
    if (index->room == NULL) return -ENOMEM;
    for (size_t i = 0; i < index->room_leaves; i++)
        index->room[index->room_leaves + i] =
            i < event->count ? (int64_t)event->entries[i].stock - (int64_t)event->entries[i].taken
                             : INT64_MAX;
    for (size_t i = index->room_leaves - 1; i > 0; i--) {
        int64_t left = index->room[2 * i], right = index->room[2 * i + 1];
        index->room[i] = left < right ? left : right;
    }
    return 0;
}

int64_t history_room(const struct history_index *index, uint32_t low, uint32_t high) {
    int64_t least = INT64_MAX;
    size_t from = index->room_leaves + low, to = index->room_leaves + high + 1;
    for (; from < to; from /= 2, to /= 2) {
        if (from % 2 == 1 && index->room[from++] < least) least = index->room[from - 1];
        if (to % 2 == 1 && index->room[--to] < least) least = index->room[to];
    }
    return least;
}

uint32_t history_full(const struct history_index *index, uint32_t low, uint32_t high) {
    if (history_room(index, low, high) > 0) return TRUTH_NONE;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (history_room(index, low, middle) <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- Life ---- */

int history_index_init(struct history_index *index, const struct history *history,
                       struct truth *truth, struct truth_event *event) {
    *index = (struct history_index){.history = history, .truth = truth, .event = event};
    index->event_id = texts_at(&truth->texts, event->id);
    index->begin_ms = first_ms(index);
    int code = take_ops(index);
    if (code == 0) code = take_askers(index);
    if (code == 0) code = take_told(index);
    if (code == 0) code = take_asked(index);
    if (code == 0) code = take_room(index);
    if (code != 0) history_index_deinit(index);
    return code;
}

void history_index_deinit(struct history_index *index) {
    free(index->ops);
    free(index->askers);
    free(index->told);
    free(index->asked);
    free(index->room);
    pairs_deinit(&index->numbers);
    *index = (struct history_index){0};
}
