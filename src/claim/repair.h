/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts the reservations of an event right, as a server does that finds them wrong: a FENCE, of
 * which the log takes one, and then the state of the judge at it in the place of whatever Redis
 * has. For `coupond verify --repair` and `--rebuild redis`: servers find out only when somebody
 * claims, and see no damage that no claim meets.
 *
 * Servers may be running. They hear of the FENCE by the log; who was reserved and not yet in it
 * claims again, and nobody had been told. A repair that ends between the two leaves an event that
 * the next claim recovers.
 */
#pragma once

#include "claim/snapshot.h"
#include "lib/base.h"
#include "lib/err.h"
#include "log/kafka.h"

struct repair;

struct repair_options {
    const struct kafka_options *kafka;
    struct snapshots *redis; /* open */
    uint32_t stall_ms; /* how long reading the log may stand still, and a record be on its way */
};

/* Reads the log. What the options point at must live as long. 0 or a negative errno with words. */
int repair_open(struct repair **repair, const struct repair_options *options,
                struct err *err) MUST_CHECK;
/* NULL is nothing. */
void repair_close(struct repair *repair);

/* The events of the log, as far as it was read: number `n`, from 0. False past the last. `id` lives
 * as long as `repair`. */
struct repair_known {
    struct slice id;
    uint32_t gen;
    bool is_closed;
};
bool repair_known_at(const struct repair *repair, uint32_t n, struct repair_known *known);
/* Waits a moment for the log to come to `gen` of the event: a server may be at it. False when it
 * has not. */
bool repair_follow(struct repair *repair, struct slice event_id, uint32_t gen);

struct repair_done {
    uint32_t gen;     /* of the FENCE */
    uint32_t holders; /* that were installed */
    bool by_server;   /* a server was faster with the install, of this gen or a later one */
};

/* 0; -EEXIST: Redis has a generation that the log has not; -ESTALE: a server's FENCE was first, so
 * it is at it; -EPERM: the event is closed, and nothing was done; or what else is in the way. All
 * but 0 with words. */
int repair_event(struct repair *repair, struct slice event_id, struct repair_done *done,
                 struct err *err) MUST_CHECK;
