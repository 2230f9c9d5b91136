/* SPDX-License-Identifier: Apache-2.0
 *
 * A history of one event beside the log of that event: who asked what in which order, which record
 * made whose coupon, and between which records an answer must have been thought up.
 *
 *     log      . . . W(a) . . . . . W(b) . . . . . W(c) . .
 *                     |                             |
 *     clients     a told, before X is sent      c sends for the first time, after X is answered
 *                     \_____ X was answered in here /
 *
 * A record is in front of X when somebody had been told of it before X was sent (low), and behind X
 * when its user sent nothing before X was answered (high). Records whose users are not in the
 * history, or held their coupons before it began, bound nothing.
 *
 * For history_check*.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "verify/history.h"
#include "verify/truth.h"

/* A user who is in the history of the event. */
struct asker {
    uint32_t user;
    uint32_t first, count; /* ops, by the time they were sent */
    uint32_t entry;        /* of the log, that issued to the user; or TRUTH_NONE */
    uint32_t pass;         /* op: the coupon that was told first; or TRUTH_NONE */
    int64_t claim_ns;      /* when the first claim was sent; HISTORY_NEVER for none */
    int64_t told_ns;       /* when a coupon was first told; HISTORY_NEVER for never */
    int64_t unsure_ns;     /* when a claim was sent that may have been decided unheard; or NEVER */
    bool is_issued;        /* told "issued" by a claim: the record was made meanwhile */
    bool is_returned;      /* the log has a RETURN of the user */
};

struct bound {
    int64_t ns;
    uint32_t entry;
};

struct history_index {
    const struct history *history;
    struct truth *truth;
    struct truth_event *event;
    struct slice event_id;
    int64_t begin_ms;       /* of the first history of this event */
    struct history_op *ops; /* of this event, by user and time; owned */
    size_t ops_count;
    struct asker *askers;
    size_t askers_count;
    struct pairs numbers; /* (0, user) -> asker */
    struct bound *told;   /* by ns: the highest entry that had been told of by then */
    size_t told_count;
    int64_t *asked; /* by entry: the latest first claim of any entry up to here */
    int64_t *room;  /* a tree of the least room (stock - taken) between two entries */
    size_t room_leaves;
};

/* 0 or -ENOMEM. `event` is not empty. */
int history_index_init(struct history_index *index, const struct history *history,
                       struct truth *truth, struct truth_event *event) MUST_CHECK;
void history_index_deinit(struct history_index *index);

struct asker *history_asker(const struct history_index *index, uint32_t user);

/* The entries after which an answer may have been thought up: low..high. */
void history_window(const struct history_index *index, const struct history_op *op, uint32_t *low,
                    uint32_t *high);
/* The least room behind any entry of low..high. */
int64_t history_room(const struct history_index *index, uint32_t low, uint32_t high);
/* The first entry of low..high behind which there is no room, or TRUTH_NONE. */
uint32_t history_full(const struct history_index *index, uint32_t low, uint32_t high);
