/* SPDX-License-Identifier: Apache-2.0
 *
 * A member of a consumer group of the topic that is the log: one member at a time is given its one
 * partition. Where to read from is said by the caller, who keeps the place where his rows are; what
 * is committed to Kafka only tells people.
 *
 *     on_assigned -> kafka_group_start(offset) -> on_record … -> on_revoked
 *
 * For one thread, and nothing of the sink is called but from within kafka_group_poll and
 * kafka_group_close. Whoever does not poll for five minutes is taken for dead.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "log/kafka.h"

struct kafka_group;

struct kafka_group_sink {
    void *ctx;
    /* The partition is ours; nothing is read before kafka_group_start. */
    void (*on_assigned)(void *ctx);
    /* It is ours no longer (or, after a silence, has been another's for a while). */
    void (*on_revoked)(void *ctx);
    /* The next record, as it lies there; `value` is checked by nobody and lives during the call.
     * False to hear no more of them in this poll; the next one begins behind this record. */
    bool (*on_record)(void *ctx, uint64_t offset, int64_t logged_ms, struct slice value);
};

/* Joins the group `group_id`. The options' texts must outlive it. 0 or a negative errno. */
int kafka_group_open(struct kafka_group **group, const struct kafka_options *options,
                     const char *group_id, const struct kafka_group_sink *sink,
                     struct err *err) MUST_CHECK;
/* Leaves it, so that another member is given the partition at once. */
void kafka_group_close(struct kafka_group *group);

/* Waits up to `wait_ms` for something to happen, and tells the sink. */
void kafka_group_poll(struct kafka_group *group, int wait_ms);

/* Reads on from `offset`. Only while assigned. */
void kafka_group_start(struct kafka_group *group, uint64_t offset);
void kafka_group_pause(struct kafka_group *group);
void kafka_group_resume(struct kafka_group *group);

/* The next to be read by whoever reads: for people and their tools. */
void kafka_group_commit(struct kafka_group *group, uint64_t offset);

/* The offset behind the last record known to be in the log; 0 before it is known. */
uint64_t kafka_group_end(struct kafka_group *group);

/* Leaves the group for good, and goes on answering kafka_group_poll with nothing. */
void kafka_group_leave(struct kafka_group *group);
/* Leaves it, and joins it again as a new member. */
void kafka_group_rejoin(struct kafka_group *group);
