/* SPDX-License-Identifier: Apache-2.0
 *
 * What is verified in cluster mode, put together: the topic and the database that options name, for
 * `coupond verify`, and for the consumer that verifies itself.
 */
#pragma once

#include <stdint.h>

#include "claim/decisions_topic.h"
#include "claim/repair.h"
#include "claim/snapshot.h"
#include "database.h"
#include "kafka_settings.h"
#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"
#include "record/mariadb_read.h"
#include "redis_settings.h"
#include "verify/verify.h"

struct cluster_proof {
    struct kafka_settings kafka;
    struct database database;
    struct decisions_topic log;
    struct maria_reader copy; /* has a connection of its own; a replica will do */
    struct redis_settings redis;
    struct snapshots reserve;
    struct repair *repair; /* NULL until something is repaired */
    uint32_t timeout_ms;
    struct verify_sources sources;
};

/* `options` must live as long, and `proof`, which is zeroed, stay where it is. A log that says
 * nothing for `stall_ms` cannot be read. 0, or a negative errno with the reason. */
int cluster_proof_init(struct cluster_proof *proof, const struct options *options,
                       uint32_t stall_ms, struct err *err) MUST_CHECK;
/* … and the reservations, when --redis names nodes, and the topic's settings. Each question waits
 * for `timeout_ms`. Of an event with more than `holders_max` holders only the state is read; 0: of
 * any number. For a command that has these options. */
int cluster_proof_reserve(struct cluster_proof *proof, const struct options *options,
                          uint32_t timeout_ms, uint32_t holders_max, struct err *err) MUST_CHECK;
/* Also after a failure, or of zeroed memory. */
void cluster_proof_deinit(struct cluster_proof *proof);
