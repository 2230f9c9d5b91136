/* SPDX-License-Identifier: Apache-2.0
 *
 * Brings a log that several consumers read into a recording that one of them owns at a time:
 *
 *     idle --take_over--> replaying --the place it was recorded up to--> recording
 *      ^                      |                                              |
 *      +------- let_go -------+------------- let_go, or it was lost ---------+     stopped, for
 * good
 *
 * From the begin of the log to the recorded place it only judges (the judge's state is nowhere but
 * in the log); from there on it collects what each record changes into batches, and commits each
 * together with its place. Nothing is ever dropped because time passed.
 *
 * What no row can come of is rejected: a reservation that the judge refused is noted beside the
 * rows; what is no record, or of an event that nobody opened, is sent to the dead letters first,
 * and noted, and waits for a person. A record of a version that this program does not know stops
 * it: who skips what a newer program applies is wrong from then on.
 *
 * Has no thread, never sleeps, knows neither Kafka nor MariaDB. One thread calls it, but
 * consumer_health is anybody's. It lives in this stage because it judges; what it hands on to
 * record/ has been judged.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "claim/coupon_code.h"
#include "claim/view_mark.h"
#include "lib/base.h"
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/metrics.h"
#include "lib/random.h"
#include "lib/slice.h"
#include "record/recording.h"

struct consumer;

enum {
    CONSUMER_BATCH_RECORDS = 500,
    CONSUMER_BATCH_MS = 20, /* no change waits longer for others to share its commit */
    CONSUMER_WAIT_FIRST_MS = 50,
    CONSUMER_WAIT_MAX_MS = 10000,
};

enum consumer_next {
    CONSUMER_GO_ON,
    CONSUMER_WAIT,    /* it cannot now: call the same again after consumer_wait_ms */
    CONSUMER_LOST,    /* the recording is another's, or elsewhere: let go, and take over anew */
    CONSUMER_STOPPED, /* a person has to look; nothing more is written */
};

/* Why it stopped. */
enum consumer_stop {
    CONSUMER_RUNS,
    CONSUMER_STOP_NEWER,       /* a record of a newer version: deploy */
    CONSUMER_STOP_CONFLICT,    /* database and log disagree */
    CONSUMER_STOP_ANOTHER_LOG, /* the database is of another log, or records are missing in this */
    CONSUMER_STOP_DATABASE,    /* rights, tables */
    CONSUMER_STOP_MEMORY,
    CONSUMER_STOPS,
};
const char *consumer_stop_name(enum consumer_stop stop);

/* Where dead letters go. */
struct dead_letters_sink {
    void *ctx;
    /* Sends the reject, and waits until it is safe there: 0, or a negative errno with words. */
    int (*send)(void *ctx, const struct recording_reject *reject, uint32_t attempts,
                struct err *err);
};

struct consumer_options {
    struct recording *recording;  /* taken over */
    const struct code_keys *keys; /* must live as long */
    struct dead_letters_sink dead_letters;
    const struct clock *clock;
    struct random_source *random; /* of pauses */
    struct hash_key hash_key;
};

/* NULL when memory is short (the recording is then freed). */
struct consumer *consumer_new(const struct consumer_options *options) MUST_CHECK;
void consumer_free(struct consumer *consumer);

/* The log is ours to record now. GO_ON: read it from the record behind `*from_seq` on, which is
 * also the offset to seek. */
enum consumer_next consumer_take_over(struct consumer *consumer, uint64_t *from_seq) MUST_CHECK;
/* It is ours no longer: what was not committed is forgotten, the next owner does it. */
void consumer_let_go(struct consumer *consumer);

/* The next record of the log, number `seq`; `value` lives during the call. */
enum consumer_next consumer_take(struct consumer *consumer, uint64_t seq, int64_t logged_ms,
                                 struct slice value) MUST_CHECK;

/* True when consumer_commit must be called before the next consumer_take. */
bool consumer_is_full(const struct consumer *consumer);
/* Monotonic instant at which what was collected is to be committed; 0 while there is nothing. */
uint64_t consumer_due_ns(const struct consumer *consumer);
enum consumer_next consumer_commit(struct consumer *consumer) MUST_CHECK;

/* How long to wait before what said CONSUMER_WAIT is called again: random, up to a bound that
 * doubles to ten seconds. */
uint32_t consumer_wait_ms(const struct consumer *consumer);

/* ---- how it is: any thread ---- */

enum consumer_state {
    CONSUMER_IDLE, /* another owns the log, or nobody yet */
    CONSUMER_REPLAYING,
    CONSUMER_RECORDING,
    CONSUMER_WAITING, /* for its database, or for the dead letters' topic */
    CONSUMER_IS_STOPPED,
    CONSUMER_STATES,
};
const char *consumer_state_name(enum consumer_state state);

enum consumer_retry { RETRY_DATABASE, RETRY_LOST, RETRY_CONFLICT, RETRY_DEAD_LETTERS, RETRIES };
const char *consumer_retry_name(enum consumer_retry retry);

/* Words that its thread changes and any other reads. */
struct consumer_health {
    struct counter state, stop; /* enum consumer_state, consumer_stop */
    struct counter applied_seq; /* of the last commit, or of the last take-over */
    struct counter judged_seq;
    struct counter records; /* taken, those of a replay among them */
    struct counter commits, changes, rejects_void, rejects_dead, take_overs;
    struct counter retries[RETRIES];
    struct histogram batch_records; /* histogram_sizes */
    struct histogram commit_ns;     /* histogram_seconds; failed ones among them */
};
const struct consumer_health *consumer_health(const struct consumer *consumer);
/* How far its view has judged the log. */
const struct view_mark *consumer_mark(const struct consumer *consumer);
