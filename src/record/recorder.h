/* SPDX-License-Identifier: Apache-2.0
 *
 * Brings decided changes into a store: collects them into batches, commits each together with the
 * position in the log that it brings the store to, and says what to do when the store cannot.
 *
 *     closed --open--> ready --place, advance--> ready --commit--> ready
 *        ^                |                                  |
 *        +----- reset ----+------ damaged, another log ------+       conflict: stopped, for good
 *
 * Nothing is ever dropped because time passed: a batch is kept until the store has it, and after a
 * reset the caller reads the log again. Has no thread and never sleeps. One thread calls it, but
 * recorder_health is anybody's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "record/store.h"

struct recorder;

enum { RECORDER_BATCH_MAX = 500 };

enum recorder_next {
    RECORDER_GO_ON,
    RECORDER_WAIT,    /* the store cannot now: call the same again after recorder_wait_ms */
    RECORDER_REBUILD, /* what the store holds is no use: call recorder_reset */
    RECORDER_STOPPED, /* store and log disagree: nothing more is written */
};

/* Takes over `store`. NULL when memory is short (the store is then freed). */
struct recorder *recorder_new(struct store *store) MUST_CHECK;
void recorder_free(struct recorder *recorder);

/* Opens the store; then recorder_applied is how far it has come. */
enum recorder_next recorder_open(struct recorder *recorder) MUST_CHECK;

/* Puts aside what the store holds: the next recorder_open finds it empty. What was put and not
 * committed is dropped. */
enum recorder_next recorder_reset(struct recorder *recorder) MUST_CHECK;

/* The position of the last commit. */
const struct store_position *recorder_applied(const struct recorder *recorder);

/* The caller found that the store does not belong to its log, for `why`. */
enum recorder_next recorder_refuse(struct recorder *recorder, const char *why) MUST_CHECK;

/* The caller cannot go on, for `why`. */
enum recorder_next recorder_stop(struct recorder *recorder, const char *why) MUST_CHECK;

/* The place for the next change, which recorder_advance takes. The batch must not be full. */
struct store_change *recorder_place(struct recorder *recorder);

/* The log has been read up to `position`, and the change for it, if there is one (`has_change`),
 * was written into recorder_place. */
void recorder_advance(struct recorder *recorder, const struct store_position *position,
                      bool has_change);

bool recorder_is_full(const struct recorder *recorder);
bool recorder_is_dirty(const struct recorder *recorder); /* has something to commit */

/* Commits what was put. */
enum recorder_next recorder_commit(struct recorder *recorder) MUST_CHECK;

/* How long to wait before what said RECORDER_WAIT is called again: grows to a second. */
uint32_t recorder_wait_ms(const struct recorder *recorder);

enum recorder_state {
    RECORDER_CATCHING_UP, /* from the start until recorder_caught_up */
    RECORDER_FOLLOWING,
    RECORDER_WAITING, /* for its store */
    RECORDER_IS_STOPPED,
};
const char *recorder_state_name(enum recorder_state state);

/* The log was read to its end, and only what is decided from now on is to come. */
void recorder_caught_up(struct recorder *recorder);

/* Where it stands, for /health and metrics. Any thread may ask. */
struct recorder_health {
    enum recorder_state state;
    uint64_t applied_seq; /* of the last commit; behind the log's last is what is missing */
    uint64_t commits, changes, retries, rebuilds;
};
void recorder_health(const struct recorder *recorder, struct recorder_health *health);
