/* SPDX-License-Identifier: Apache-2.0
 *
 * The records that a log has to consist of so that it says again what is left of a lost one: the
 * rows of its copy, what servers noted that they told, and what Redis has. For `coupond verify
 * --rebuild log`.
 *
 * - OPEN, WIN, RETURN of the copy, in the order of their lost offsets, with FENCEs before the WINs
 *   of a later generation;
 * - RETURNs that Redis knows and the copy does not;
 * - WINs that somebody was told, in the order of the telling, then the rest of what Redis has;
 * - of each event RESTOCK, RESCHEDULE, PAUSE or CLOSE where needed, and FENCEs to a generation that
 *   nobody has seen.
 *
 * No record has a higher number than it had in the lost log, as far as the copy or an audit knows
 * it, so that what was told "at seq 17" stays true. Who was told keeps the coupon, who only may
 * have been (a reservation in Redis, at a generation that is not behind the copy's) does, too.
 *
 * The judge reads along: two sources that contradict each other make a WIN that it refuses, and
 * that is told by name. The same sources and the same instant give the same bytes, so that a log
 * that was written in part is known, and gone on with.
 *
 * Pure: no I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "claim/coupon_code.h"
#include "lib/base.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/slice.h"
#include "verify/decision.h"

struct log_plan;

/* Of whom the records are, in their field `operator`. */
#define LOG_PLAN_OPERATOR "verify --rebuild log"

/* `keys` derive the codes of coupons, which have to come out as the copy has them. NULL: no memory.
 */
struct log_plan *log_plan_new(const struct code_keys *keys,
                              const struct hash_key *hash_key) MUST_CHECK;
void log_plan_free(struct log_plan *plan);

/* ---- sources; all of the copy first ---- */

/* copy_row_fn; `ctx` is the plan. */
void log_plan_row(void *ctx, const struct copy_row *row);

/* The events, number `n` from 0, for whoever asks Redis for each: false past the last. */
bool log_plan_event(const struct log_plan *plan, uint32_t n, struct slice *event_id);

/* Somebody was told: by a line of an audit. An event that the copy has not comes with it; Redis has
 * to have it. */
void log_plan_told(struct log_plan *plan, struct slice event_id, struct slice user_id,
                   uint32_t serial, uint64_t seq);

/* What Redis has of event `n`: given to the sink, whose ctx is to live as long. */
struct log_plan_reserve {
    struct log_plan *plan;
    uint32_t event;
    bool counts; /* it is of a generation that is not behind the copy's */
};
struct reserve_sink log_plan_reserve_sink(struct log_plan_reserve *reserve, struct log_plan *plan,
                                          uint32_t event);

/* ---- what comes of them ---- */

struct log_plan_counts {
    uint32_t events;
    uint64_t copied, told, reserved; /* coupons, by the source that is the first to have them */
    uint64_t dead_letters;           /* that wait in the copy, and are in no log then */
    uint64_t unknown_returns;        /* Redis knows that they gave a coupon back, but not which */
    uint64_t guessed_codes;          /* events without a coupon, of which the format is not known */
};

/* Makes the records, as written at `made_ms`. -EEXIST: two sources contradict each other; -ENOKEY:
 * codes would come out otherwise; both by name. -ENOMEM. Once. */
int log_plan_make(struct log_plan *plan, int64_t made_ms, struct log_plan_counts *counts,
                  struct err *err) MUST_CHECK;

/* Is this the first record of such a log, and of how many? It says so itself: a log that was
 * written in part is known by having fewer. */
struct record;
bool log_plan_is_first(const struct record *record, uint64_t *count);

struct log_plan_record {
    struct slice event_id, value; /* encoded */
};
size_t log_plan_count(const struct log_plan *plan);
struct log_plan_record log_plan_at(const struct log_plan *plan, size_t n);
