/* SPDX-License-Identifier: Apache-2.0
 *
 * What a log has decided, kept: of each event every record that changed it or claimed something, in
 * order, and who holds what. It is what copies and clients' stories are held against.
 *
 * Decisions come from the judge; that they keep the promises (I1, I2) is checked here once more, by
 * nothing but the serials and the users (CHECK_R4).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "verify/checks.h"
#include "verify/decision.h"
#include "verify/pairs.h"
#include "verify/texts.h"

enum { TRUTH_NONE = UINT32_MAX };

/* One record of an event. Texts are numbers of truth->texts. */
struct truth_entry {
    uint64_t seq;
    int64_t ms;
    int64_t starts_ms, ends_ms;         /* the event's, after it */
    uint32_t gen, ver, stock, taken;    /* the event's, after it */
    uint32_t serial, round, user, code; /* ISSUED, RETURNED, VOID */
    uint32_t claim, operator, reason;
    uint32_t issued; /* RETURNED: the entry that had issued it */
    uint8_t kind;    /* enum decision_kind */
    uint8_t state;   /* enum decided_state, after it */
    bool is_held;    /* ISSUED and not returned since */
    bool is_met;     /* ISSUED, RETURNED: a row of the copy is about it */
    bool is_copied;  /* ISSUED: … and has it as it is */
};

struct truth_serial {
    uint32_t holder; /* entry, or TRUTH_NONE */
    uint32_t round;
    bool is_copied;
};

struct truth_event {
    uint32_t id;
    uint64_t open_seq;
    struct truth_entry *entries;
    uint32_t count, capacity;
    struct truth_serial *serials; /* [0] is unused */
    uint32_t serials_count;       /* with [0] */
    bool is_copied;
};

struct truth {
    struct texts texts;
    struct truth_event *events; /* in order of their opening */
    uint32_t events_count, events_capacity;
    struct pairs numbers; /* (0, text of an event's id) -> number of the event */
    struct pairs users;   /* (number, user) -> the last entry that issued to the user */
    struct log_place end; /* of the last record added */
    uint64_t records, issued;
    bool failed; /* memory was short: it must not be judged by */
};

void truth_init(struct truth *truth, const struct hash_key *key);
void truth_deinit(struct truth *truth);

/* Adds the next record. What breaks I1 or I2 becomes a finding. */
void truth_add(struct truth *truth, const struct decision *decision, struct checks *checks);

/* NULL, or TRUTH_NONE, when there is none. */
struct truth_event *truth_event(const struct truth *truth, uint32_t id_text);
uint32_t truth_issued_to(const struct truth *truth, const struct truth_event *event, uint32_t user);
/* The entry with the record number `seq`. */
struct truth_entry *truth_entry_at(const struct truth_event *event, uint64_t seq);

static inline struct truth_entry *truth_last(const struct truth_event *event) {
    return &event->entries[event->count - 1];
}
