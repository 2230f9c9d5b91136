/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond verify --rebuild redis|database|log`: makes one of the three that cluster mode consists
 * of anew from the others, because it was lost. docs/verify.md is its manual.
 *
 *     redis     every event: FENCE, and the judge's state in the place of what is there
 *     database  no row, and then the log from its begin by the consumer's own code
 *     log       the records that say again what database, audits and Redis know; then the database
 *
 * Each looks first and refuses what would do harm, with nothing changed; each may be killed at any
 * point and run again.
 */
#pragma once

#include <stdint.h>

#include "claim/coupon_code.h"
#include "claim/snapshot.h"
#include "database.h"
#include "kafka_settings.h"
#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"
#include "record/recording.h"
#include "redis_settings.h"

/* The exit status: 0 done; 1 refused, or not all of it was done; 2 wrong usage. */
int rebuild_command(const struct options *options, int words, char **word);

/* ---- for the rebuild_….c files ---- */

struct rebuild {
    const struct options *options;
    int words;
    char **word;
    uint32_t timeout_ms; /* of what is asked */
    struct kafka_settings kafka;
    struct database database;
    struct redis_settings redis;
    uint64_t began_ns, told_ns;
};

/* A line of what is, was or will be done. */
void rebuild_say(const char *format, ...) PRINTF_LIKE(1, 2);
/* … of what takes longer than two seconds, once a second: is it time for one? */
void rebuild_begins(struct rebuild *rebuild);
bool rebuild_is_slow(struct rebuild *rebuild);

/* 0, or a negative errno with words; -EINVAL is a mistake in the options. */
int rebuild_redis(struct rebuild *rebuild, struct err *err) MUST_CHECK;
int rebuild_database(struct rebuild *rebuild, struct err *err) MUST_CHECK;
int rebuild_log(struct rebuild *rebuild, struct err *err) MUST_CHECK;

/* The rows by a log that was just made of them. With `empties` the database is at `place` of the
 * lost one, and its rows are taken away first; else it follows this one already. */
int rebuild_database_follow(struct rebuild *rebuild, const struct recording_place *place,
                            bool empties, struct err *err) MUST_CHECK;

/* Refuses while a consumer is in the group. */
int rebuild_check_consumers(const struct rebuild *rebuild, struct err *err) MUST_CHECK;
