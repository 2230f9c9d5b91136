/* SPDX-License-Identifier: Apache-2.0
 *
 * The recording in MariaDB (deploy/mariadb/). One batch is one transaction:
 *
 *     BEGIN
 *     UPDATE log_offsets … WHERE next_off = from AND owner_epoch = mine    must hit one row
 *     SELECT … FROM events … FOR UPDATE                                    in order of their ids
 *     INSERT INTO user_coupons … (many rows), UPDATE events, …             plain, each must hit
 *     INSERT INTO rejects …
 *     COMMIT
 *
 * A session that is lost in COMMIT leaves the row of log_offsets locked until the server has made
 * up its mind; the next try waits for that lock, and then the place says what came of it.
 */
#pragma once

#include "lib/base.h"
#include "lib/clock.h"
#include "record/mariadb.h"
#include "record/recording.h"

/* Takes `db` over (not connected yet). `topic` must outlive it; `owner` says to people who it is.
 * NULL when memory is short (`db` is then freed). */
struct recording *maria_recording_new(struct maria *db, const char *topic, const char *owner,
                                      const struct clock *clock) MUST_CHECK;
