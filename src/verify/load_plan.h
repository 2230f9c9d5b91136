/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker sends next: a claim for each of its users in turn, with repeated, doubled and
 * malformed requests mixed in by shares, and whatever was put off until later. One seed gives one
 * sequence. Knows no sockets and no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

struct load_job {
    uint64_t due_ns; /* not before */
    uint32_t user;
    uint8_t kind;   /* enum request_kind, and the bad ones behind it */
    uint8_t rounds; /* times answered with "later" */
};

struct load_plan_setup {
    uint32_t first_user, users; /* the range, users >= 1 */
    uint64_t claims;            /* of the range in turn, again from the start when there are more */
    double retries;             /* extra requests for each claim: for an earlier user */
    double duplicates; /* … for the same user at once, on another connection if possible */
    double bad;        /* … malformed */
    bool is_single_connection;
    uint64_t seed;
};

enum { PLAN_DUPLICATES_MAX = 64 };

struct load_plan {
    struct load_plan_setup setup;
    uint64_t next; /* claims handed out */
    uint64_t random;
    uint32_t retry_below, duplicate_below, bad_below; /* of 2^32 - 1 */
    bool is_retry_next, is_bad_next;
    struct {
        uint32_t user;
        uint32_t connection;
    } duplicates[PLAN_DUPLICATES_MAX]; /* a ring */
    uint32_t duplicates_first, duplicates_count;
    struct load_job *later; /* a heap by due_ns */
    size_t later_count, later_capacity;
};

void plan_init(struct load_plan *plan, const struct load_plan_setup *setup);
void plan_deinit(struct load_plan *plan);

/* The next new request, to be sent on `connection`. False when there is none. */
bool plan_next(struct load_plan *plan, uint32_t connection, struct load_job *job);
/* No new requests from here on, except doubles already promised. */
void plan_stop(struct load_plan *plan);
/* Claims that plan_next has not handed out. */
uint64_t plan_claims_left(const struct load_plan *plan);

/* Puts a request off until job->due_ns. False when there is no memory. */
bool plan_later(struct load_plan *plan, const struct load_job *job) MUST_CHECK;
/* The put-off request that is due first, if it is due at `now_ns`. */
bool plan_due(struct load_plan *plan, uint64_t now_ns, struct load_job *job);
/* When that will be; UINT64_MAX for never. */
uint64_t plan_due_ns(const struct load_plan *plan);

/* plan_next has something. */
bool plan_has_new(const struct load_plan *plan);
/* Nothing is left to be sent, now or later. */
bool plan_is_done(const struct load_plan *plan);
/* Drops everything that was put off. */
void plan_forget_later(struct load_plan *plan);
