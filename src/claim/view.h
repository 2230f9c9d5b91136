/* SPDX-License-Identifier: Apache-2.0
 *
 * A view is what a log has decided so far, for all its events: a judge for each, found by id. Every
 * network thread owns one, the engine owns one, all are fed the same records and so agree. Not
 * thread-safe, and need not be.
 */
#pragma once

#include <stdint.h>

#include "claim/judge.h"
#include "lib/base.h"
#include "lib/hash.h"
#include "log/record.h"

struct view;

/* An event of a view. `number` counts OPENs from 0, the same in every view of a log. */
struct event {
    uint32_t number;
    struct slice id;
    struct code_format code;
    uint64_t key_id;
    int64_t created_ms;
    struct judge *judge;
};

struct view *view_new(const struct hash_key *key) MUST_CHECK;
void view_free(struct view *view);
/* A view that has applied what `view` has: at start the log is read once, for all threads. NULL when
 * memory is short. */
struct view *view_clone(const struct view *view) MUST_CHECK;

/* Applies the next record of the log: an OPEN of an unknown id adds an event; any other goes to its
 * event's judge, with room made first. A record of an unknown event is NOP. 0, or -ENOMEM: the view
 * is then behind its log and must not answer any more. `*verdict` may be NULL. */
int view_apply(struct view *view, const struct record *record, enum verdict *verdict) MUST_CHECK;

/* The event, or NULL. No allocation, no lock. The pointer stays valid for the life of the view. */
struct event *view_find(const struct view *view, struct slice event_id);
struct event *view_at(const struct view *view, uint32_t number);
uint32_t view_events_count(const struct view *view);

/* seq of the last record applied; 0 before the first. */
uint64_t view_offset(const struct view *view);
/* A number that is equal whenever the same records were applied to the same effect. */
uint64_t view_digest(const struct view *view);
/* The greatest ms of any record: no clock of this log may be behind it (I9). */
int64_t view_latest_ms(const struct view *view);
