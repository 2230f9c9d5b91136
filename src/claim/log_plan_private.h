/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of claim/log_plan.h share: log_plan.c takes the sources in as steps,
 * log_plan_codes.c finds the format of each event's codes, log_plan_make.c makes the records.
 */
#pragma once

#include "claim/log_plan.h"
#include "claim/view.h"
#include "log/record.h"
#include "verify/pairs.h"
#include "verify/texts.h"

/* In the order in which they are written; within one, by `seq`. */
enum rank { OF_COPY, RETURNED_BY_REDIS, OF_AUDIT, OF_REDIS };
enum step_kind { STEP_OPEN, STEP_WIN, STEP_RETURN };

struct step {
    enum rank rank;
    enum step_kind kind;
    uint64_t seq;
    uint32_t event, user, claim; /* the latter two are texts */
    uint32_t serial, gen;        /* gen 0: that of the event then */
    int64_t ms;                  /* -1: not known */
    uint32_t operator, reason, code;
    uint32_t round;
    bool gave_back; /* a WIN of which Redis knows no more than that it was given back */
};

struct planned_event {
    uint32_t id; /* a text */
    bool is_in_copy, is_known;
    enum decided_state state;
    uint32_t total, gen;
    uint32_t reserve_gen; /* of Redis; 0: it has nothing */
    int64_t starts_ms, ends_ms;
    uint64_t open_seq;

    /* Found while making. */
    uint32_t serial_max;         /* of any step */
    int64_t first_ms, latest_ms; /* of the WINs whose time is known; latest_ms < 0: none */
    uint64_t key_id;
    struct code_format code;
    struct coupon_deriver *deriver; /* of its key; NULL: no code has been seen */
};

struct span {
    size_t at, bytes;
    uint32_t event;
};

struct log_plan {
    const struct code_keys *keys;
    struct texts texts;
    struct pairs events_by_id; /* (text, 0) */
    struct pairs holders;      /* (event, user): number of the step that is a WIN of theirs */
    struct pairs returned;     /* (event, user): 1 in the copy's history, 2 by Redis */
    struct planned_event *events;
    uint32_t events_count, events_max;
    struct step *steps;
    size_t steps_count, steps_max;
    struct view *view;
    int64_t made_ms;
    struct log_plan_counts counts;
    bool failed; /* for want of memory */

    char *bytes;
    size_t bytes_used, bytes_max;
    struct span *spans;
    size_t spans_count, spans_max;
    struct err *err;
};

static inline struct slice log_plan_text(const struct log_plan *plan, uint32_t number) {
    return texts_at(&plan->texts, number);
}

/* `all`, or what it has grown to, with room for one more of `size` bytes; NULL: no memory. */
void *log_plan_room(void *all, size_t count, size_t *max, size_t size) MUST_CHECK;

/* The code of a WIN: the first of an event has the format of its codes found, each other is to come
 * out of it. -ENOKEY by name, or -ENOMEM, in plan->err. */
int log_plan_look_at_code(struct log_plan *plan, const struct step *step) MUST_CHECK;
