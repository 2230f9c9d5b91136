/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/truth.h"

#include <inttypes.h>
#include <stdlib.h>

void truth_init(struct truth *truth, const struct hash_key *key) {
    *truth = (struct truth){0};
    texts_init(&truth->texts, key);
}

void truth_deinit(struct truth *truth) {
    for (uint32_t i = 0; i < truth->events_count; i++) {
        free(truth->events[i].entries);
        free(truth->events[i].serials);
    }
    free(truth->events);
    pairs_deinit(&truth->numbers);
    pairs_deinit(&truth->users);
    texts_deinit(&truth->texts);
}

struct truth_event *truth_event(const struct truth *truth, uint32_t id_text) {
    uint32_t number = pairs_get(&truth->numbers, 0, id_text);
    return number == PAIR_UNKNOWN ? NULL : &truth->events[number];
}

static uint32_t number_of(const struct truth *truth, const struct truth_event *event) {
    return (uint32_t)(event - truth->events);
}

uint32_t truth_issued_to(const struct truth *truth, const struct truth_event *event,
                         uint32_t user) {
    uint32_t entry = pairs_get(&truth->users, number_of(truth, event), user);
    return entry == PAIR_UNKNOWN ? TRUTH_NONE : entry;
}

struct truth_entry *truth_entry_at(const struct truth_event *event, uint64_t seq) {
    uint32_t low = 0, high = event->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (event->entries[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < event->count && event->entries[low].seq == seq ? &event->entries[low] : NULL;
}

/* ---- Room ---- */

static struct truth_event *add_event(struct truth *truth, uint32_t id) {
    if (truth->events_count == truth->events_capacity) {
        uint32_t capacity = truth->events_capacity == 0 ? 16 : truth->events_capacity * 2;
        struct truth_event *events = reallocarray(truth->events, capacity, sizeof *events);
        if (events == NULL) return NULL;
        truth->events = events;
        truth->events_capacity = capacity;
    }
    pairs_set(&truth->numbers, 0, id, truth->events_count);
    if (truth->numbers.failed) return NULL;
    struct truth_event *event = &truth->events[truth->events_count++];
    *event = (struct truth_event){.id = id};
    return event;
}

static struct truth_entry *add_entry(struct truth_event *event) {
    if (event->count == event->capacity) {
        uint32_t capacity = event->capacity == 0 ? 16 : event->capacity * 2;
        struct truth_entry *entries = reallocarray(event->entries, capacity, sizeof *entries);
        if (entries == NULL) return NULL;
        event->entries = entries;
        event->capacity = capacity;
    }
    struct truth_entry *entry = &event->entries[event->count];
    if (event->count == 0)
        *entry = (struct truth_entry){0};
    else
        *entry = event->entries[event->count - 1];
    event->count++;
    return entry;
}

static bool reserve_serials(struct truth_event *event, uint32_t last) {
    if (last < event->serials_count) return true;
    struct truth_serial *serials = reallocarray(event->serials, (size_t)last + 1, sizeof *serials);
    if (serials == NULL) return false;
    for (uint32_t i = event->serials_count; i <= last; i++)
        serials[i] = (struct truth_serial){.holder = TRUTH_NONE};
    event->serials = serials;
    event->serials_count = last + 1;
    return true;
}

/* ---- The promises ---- */

#define BROKEN(truth, event, entry, checks, what)                                                  \
    checks_add(                                                                                    \
        checks, CHECK_R4, check_item(what, texts_at(&(truth)->texts, (event)->id), (entry)->seq),  \
        "log seq %" PRIu64 ", event %.*s: user %.*s, serial %u of %u: %s", (entry)->seq,           \
        (int)texts_at(&(truth)->texts, (event)->id).n, texts_at(&(truth)->texts, (event)->id).p,   \
        (int)texts_at(&(truth)->texts, (entry)->user).n,                                           \
        texts_at(&(truth)->texts, (entry)->user).p, (entry)->serial, (entry)->stock, what)

static void issue(struct truth *truth, struct truth_event *event, struct truth_entry *entry,
                  struct checks *checks) {
    if (entry->serial < 1 || entry->serial > entry->stock ||
        entry->serial >= event->serials_count) {
        BROKEN(truth, event, entry, checks, "a serial outside 1..N was issued");
        return;
    }
    struct truth_serial *serial = &event->serials[entry->serial];
    if (serial->holder != TRUTH_NONE)
        BROKEN(truth, event, entry, checks, "a serial was issued that somebody holds");
    if (truth_issued_to(truth, event, entry->user) != TRUTH_NONE)
        BROKEN(truth, event, entry, checks, "a user was issued a second coupon");
    entry->is_held = true;
    entry->taken++;
    truth->issued++;
    serial->holder = event->count - 1;
    pairs_set(&truth->users, number_of(truth, event), entry->user, event->count - 1);
}

static void give_back(struct truth *truth, struct truth_event *event, struct truth_entry *entry,
                      struct checks *checks) {
    uint32_t issued = truth_issued_to(truth, event, entry->user);
    struct truth_serial *serial =
        entry->serial < event->serials_count ? &event->serials[entry->serial] : NULL;
    if (serial == NULL || issued == TRUTH_NONE || serial->holder != issued) {
        BROKEN(truth, event, entry, checks, "a serial was returned by one who does not hold it");
        return;
    }
    event->entries[issued].is_held = false;
    entry->issued = issued;
    entry->taken--;
    serial->holder = TRUTH_NONE;
    serial->round++;
}

/* ---- A record ---- */

static void fill(struct truth *truth, const struct decision *decision, struct truth_entry *entry) {
    entry->seq = decision->place.seq;
    entry->ms = decision->ms;
    entry->kind = (uint8_t)decision->kind;
    entry->ver = decision->ver;
    entry->gen = decision->gen;
    entry->is_held = entry->is_met = entry->is_copied = false;
    entry->issued = TRUTH_NONE;
    entry->serial = entry->round = 0;
    entry->user = entry->code = entry->claim = entry->operator= entry->reason = 0;
    if (decision->kind == DECISION_OPENED || decision->kind == DECISION_CHANGED) {
        entry->state = (uint8_t)decision->state;
        entry->stock = decision->stock;
        entry->starts_ms = decision->starts_ms;
        entry->ends_ms = decision->ends_ms;
        return;
    }
    entry->serial = decision->serial;
    entry->round = decision->round;
    entry->user = texts_number(&truth->texts, decision->user_id);
    entry->code = texts_number(&truth->texts, decision->code);
    entry->claim = texts_number(&truth->texts, decision->claim_id);
    entry->operator= texts_number(&truth->texts, decision->operator);
    entry->reason = texts_number(&truth->texts, decision->reason);
}

static bool add(struct truth *truth, const struct decision *decision, struct checks *checks) {
    uint32_t id = texts_number(&truth->texts, decision->event_id);
    struct truth_event *event = truth_event(truth, id);
    if (event == NULL && decision->kind == DECISION_OPENED) {
        event = add_event(truth, id);
        if (event == NULL) return false;
        event->open_seq = decision->place.seq;
    }
    if (event == NULL) return true; /* claims for an event that nobody opened change nothing */
    struct truth_entry *entry = add_entry(event);
    if (entry == NULL) return false;
    fill(truth, decision, entry);
    if (!reserve_serials(event, entry->stock)) return false;
    if (decision->kind == DECISION_ISSUED) issue(truth, event, entry, checks);
    if (decision->kind == DECISION_RETURNED) give_back(truth, event, entry, checks);
    return true;
}

void truth_add(struct truth *truth, const struct decision *decision, struct checks *checks) {
    truth->end = decision->place;
    truth->records++;
    if (decision->kind == DECISION_NOTHING) return;
    if (!add(truth, decision, checks) || truth->texts.failed || truth->users.failed)
        truth->failed = true;
}
