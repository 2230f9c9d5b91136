/* SPDX-License-Identifier: Apache-2.0
 *
 * The events of a log by id: an open-addressing table of event numbers, at most half full, grown
 * when an event opens. An event is one piece of memory with its texts behind it, and never moves.
 * Called by the engine and by every network thread, each with a view of its own.
 */
#include "claim/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_EVENTS = 4 };

struct entry {
    struct event event;
    char texts[EVENT_ID_BYTES_MAX + CODE_PREFIX_BYTES_MAX + CODE_ALPHABET_BYTES_MAX];
};

struct view {
    struct hash_key key;
    struct entry **entries; /* by number */
    uint32_t count, max;    /* max is a power of two, or 0 */
    uint32_t *slots;        /* number + 1, 0 while empty; 2 * max of them */
    uint64_t offset, digest;
    int64_t latest_ms;
};

struct view *view_new(const struct hash_key *key) {
    struct view *view = calloc(1, sizeof(*view));
    if (view != NULL) view->key = *key;
    return view;
}

void view_free(struct view *view) {
    if (view == NULL) return;
    for (uint32_t i = 0; i < view->count; i++) {
        judge_free(view->entries[i]->event.judge);
        free(view->entries[i]);
    }
    free(view->entries);
    free(view->slots);
    free(view);
}

static size_t slots_mask(const struct view *view) {
    return (size_t)view->max * 2 - 1;
}

/* Comparing a few ids costs less than hashing one. */
static struct event *find_among_few(const struct view *view, struct slice event_id) {
    for (uint32_t i = 0; i < view->count; i++)
        if (slice_eq(view->entries[i]->event.id, event_id)) return &view->entries[i]->event;
    return NULL;
}

struct event *view_find(const struct view *view, struct slice event_id) {
    if (view->count <= FEW_EVENTS) return find_among_few(view, event_id);
    size_t mask = slots_mask(view);
    size_t at = hash_slice(&view->key, event_id) & mask;
    for (; view->slots[at] != 0; at = (at + 1) & mask) {
        struct event *event = &view->entries[view->slots[at] - 1]->event;
        if (slice_eq(event->id, event_id)) return event;
    }
    return NULL;
}

static void put_in_slot(struct view *view, uint32_t number) {
    size_t mask = slots_mask(view);
    size_t at = hash_slice(&view->key, view->entries[number]->event.id) & mask;
    while (view->slots[at] != 0) at = (at + 1) & mask;
    view->slots[at] = number + 1;
}

/* Room for one event more. */
static int reserve_event(struct view *view) {
    if (view->count < view->max) return 0;
    if (view->max > UINT32_MAX / 4) return -ENOMEM;
    uint32_t max = view->max == 0 ? 8 : view->max * 2;
    struct entry **entries = realloc(view->entries, max * sizeof(struct entry *));
    if (entries == NULL) return -ENOMEM;
    view->entries = entries;
    uint32_t *slots = calloc((size_t)max * 2, sizeof(*slots));
    if (slots == NULL) return -ENOMEM;
    free(view->slots);
    view->slots = slots;
    view->max = max;
    for (uint32_t i = 0; i < view->count; i++) put_in_slot(view, i);
    return 0;
}

/* Copies `text` to *end and moves *end behind it. */
static struct slice keep(char **end, struct slice text) {
    char *p = *end;
    if (text.n > 0) memcpy(p, text.p, text.n);
    *end = p + text.n;
    return slice_of(p, text.n);
}

/* Adds a copy of `event` with the next number and its own `judge`, which it takes over. */
static struct event *add_event(struct view *view, const struct event *event, struct judge *judge) {
    struct entry *entry =
        judge != NULL && reserve_event(view) == 0 ? malloc(sizeof(*entry)) : NULL;
    if (entry == NULL) {
        judge_free(judge);
        return NULL;
    }
    char *end = entry->texts;
    entry->event = (struct event){.number = view->count,
                                  .id = keep(&end, event->id),
                                  .key_id = event->key_id,
                                  .created_ms = event->created_ms,
                                  .judge = judge};
    entry->event.code = (struct code_format){.prefix = keep(&end, event->code.prefix),
                                             .alphabet = keep(&end, event->code.alphabet),
                                             .length = event->code.length};
    view->entries[view->count++] = entry;
    put_in_slot(view, entry->event.number);
    return &entry->event;
}

struct view *view_clone(const struct view *view) {
    struct view *clone = view_new(&view->key);
    if (clone == NULL) return NULL;
    clone->offset = view->offset;
    clone->digest = view->digest;
    clone->latest_ms = view->latest_ms;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct event *event = &view->entries[i]->event;
        if (add_event(clone, event, judge_clone(event->judge)) == NULL) {
            view_free(clone);
            return NULL;
        }
    }
    return clone;
}

/* The event that the record is about, added when the record opens it; *event is NULL when there is
 * none. */
static int find_or_open(struct view *view, const struct record *record, struct event **event) {
    *event = view_find(view, record->event_id);
    if (*event != NULL || record->type != RECORD_OPEN) return 0;
    const struct event opened = {.id = record->event_id,
                                 .key_id = record->open.key_id,
                                 .created_ms = record->ms,
                                 .code = record->open.code};
    *event = add_event(view, &opened, judge_new(record, &view->key));
    return *event != NULL ? 0 : -ENOMEM;
}

int view_apply(struct view *view, const struct record *record, enum verdict *verdict) {
    struct event *event;
    if (find_or_open(view, record, &event) != 0) return -ENOMEM;
    enum verdict decided = VERDICT_NOP;
    if (event != NULL) {
        if (record->type != RECORD_WIN && judge_reserve(event->judge, record) != 0) return -ENOMEM;
        decided = judge_apply(event->judge, record->seq, record);
    }
    if (verdict != NULL) *verdict = decided;
    view->offset = record->seq;
    view->digest = hash_mix(view->digest, record->seq);
    if (event != NULL) view->digest = hash_mix(view->digest, judge_digest(event->judge));
    if (record->ms > view->latest_ms) view->latest_ms = record->ms;
    return 0;
}

struct event *view_at(const struct view *view, uint32_t number) {
    return number < view->count ? &view->entries[number]->event : NULL;
}

uint32_t view_events_count(const struct view *view) {
    return view->count;
}

uint64_t view_offset(const struct view *view) {
    return view->offset;
}

uint64_t view_digest(const struct view *view) {
    return view->digest;
}

int64_t view_latest_ms(const struct view *view) {
    return view->latest_ms;
}
