/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the copy up with the log, on a thread of its own:
 *
 *     start ----> open the store ----> where the log was when we began? --yes--> follow
 *                  ^                       | no
 *                  | put aside             v
 *                  +--- not of this log -- read the log again from its begin, write what is missing
 *
 * Following, it is one more receiver of the engine's decided records, but one that nobody waits for
 * (engine_thread_options.followers_count): however long the store takes, no claim and no admin
 * write is held up. What has come meanwhile stays in its mailbox, no more than the coupons that
 * were issued. Reading again is the one way for a store that is new, late, damaged or another's;
 * the server serves meanwhile.
 *
 * It lives in this stage because it judges; what it hands on to record/ has been judged.
 */
#pragma once

#include <stdint.h>

#include "claim/coupon_code.h"
#include "claim/view.h"
#include "claim/view_mark.h"
#include "lib/base.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/mailbox.h"
#include "log/record.h"
#include "record/recorder.h"

struct copy_thread;

/* Called for a log's records in order (journal_open's on_record). */
typedef int (*copy_record_fn)(void *ctx, const struct record *record, struct slice encoded);

struct copy_thread_options {
    struct store *store;          /* taken over */
    const struct code_keys *keys; /* must live as long as the thread */
    const struct clock *clock;
    struct hash_key hash_key;
    struct view *view;              /* of the log as it was when it was opened; taken over */
    struct store_position position; /* the last record that `view` has applied */
    /* Reads the log from its begin, also while it is being written: 0, or what on_record returned,
     * or a failure of its own. On the copy's thread. */
    int (*read_log)(void *ctx, copy_record_fn on_record, void *on_record_ctx, struct err *err);
    void *read_log_ctx;
    uint32_t stop_timeout_ms; /* how long copy_thread_stop may wait for the store */
};

/* Starts it. NULL when memory is short (what was taken over is freed). */
struct copy_thread *copy_thread_start(const struct copy_thread_options *options) MUST_CHECK;

/* Where the engine's thread sends decided records to. */
struct mailbox *copy_thread_mailbox(struct copy_thread *copy);

/* Any thread. What is missing is the last record that a view has applied minus applied_seq. */
void copy_thread_health(const struct copy_thread *copy, struct recorder_health *health);

/* Any thread. How far the copy's view has judged the log. */
const struct view_mark *copy_thread_mark(const struct copy_thread *copy);

/* Writes what has come, as far as the store allows within its time, and ends. The engine's thread
 * must have ended. What is missing then, the next start writes. */
void copy_thread_stop(struct copy_thread *copy);

/* The place of an encoded, placed record in its log. */
struct store_position copy_position(const struct record *record, struct slice encoded);
