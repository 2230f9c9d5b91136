/* SPDX-License-Identifier: Apache-2.0
 *
 * Stories: a small model of a server and its clients, told by a seed, with the real judge in it.
 * What clients were told and what the log holds come out as the history checker reads them, and are
 * true; a test then damages one of them and looks who notices.
 *
 * The model is not the engine: it reserves the lowest free serial, commits in batches, loses
 * replies, answers 202, crashes with any part of a batch written, and takes control records between
 * batches.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "claim/decisions.h"
#include "lib/base.h"
#include "log/record.h"
#include "verify/history_check.h"

enum {
    STORY_USERS_MAX = 160,
    STORY_OPS_MAX = 4096,
    STORY_RECORDS_MAX = 1024,
    STORY_FILES_MAX = 3,
    STORY_WAITING_MAX = 64,
};

struct story_record {
    struct record record; /* texts are below, or live as long as the story */
    char user_id[32], claim_id[32];
};

struct story_op {
    struct history_op op; /* without its texts */
    uint32_t user;        /* number of the user */
    char coupon[COUPON_CODE_BYTES_MAX + 1];
};

enum story_count {
    STORY_PAUSES,
    STORY_RESTOCKS,
    STORY_RETURNS,
    STORY_RESCHEDULES,
    STORY_CLOSES,
    STORY_FENCES,
    STORY_RETRIES,
    STORY_PENDINGS,
    STORY_LOST,
    STORY_CRASHES,
    STORY_QUERIES,
    STORY_HELD_BEFORE,
    STORY_COUNTS,
};

struct story {
    uint64_t random;
    uint32_t files_count, users_count;
    uint64_t counts[STORY_COUNTS];

    bool is_judged_early; /* story_check: the log has every win before the start of the event */
    struct story_record records[STORY_RECORDS_MAX];
    uint32_t records_count;
    struct story_op ops[STORY_OPS_MAX];
    uint32_t ops_count;

    /* While it is told. */
    struct code_keys keys;
    struct decisions *decisions;
    struct truth truth; /* of what is durable */
    struct checks promises;
    int64_t now_us;
    uint64_t begin_us; /* of the histories */
    struct story_waiting {
        uint32_t op;
        bool is_win; /* made the record with the same place in the batch */
        uint32_t serial;
    } waiting[STORY_WAITING_MAX];
    uint32_t waiting_count;
    uint32_t batch_first; /* the records from here on are not durable */
};

/* Tells the story of `seed`. */
void story_tell(struct story *story, uint64_t seed);
void story_free(struct story *story);

/* Judges the story's records anew, as they are now, and checks the history, as it is now. Copies
 * count as having everything that the log has, but for the record `uncopied_seq`. */
void story_check(struct story *story, const struct history_check_options *options,
                 uint64_t uncopied_seq, struct checks *checks);

uint32_t story_random(struct story *story, uint32_t below);
