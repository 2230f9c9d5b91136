/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the rows of the record away, so that a consumer makes them anew from the begin of the log
 * (`coupond verify --rebuild`). One transaction: rows and place go together, or not at all, and
 * what is left after a kill is a database that an ordinary consumer goes on with.
 *
 * What a person has settled of the rejects stays, as only people know it; unless the log is another
 * one, of which these offsets say nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "record/mariadb.h"
#include "record/recording.h"

/* Where the database is in the log `topic`: all 0 when it has recorded nothing. FATAL: it records
 * another topic. */
enum maria_class maria_place(struct maria *db, const char *topic, struct recording_place *place,
                             struct err *err) MUST_CHECK;

struct maria_emptying {
    const char *topic, *owner;
    struct recording_place from; /* where the database has to be: elsewhere, somebody is at work */
    bool is_another_log;
    /* Hears how many rows are gone, again and again; may be NULL. */
    void (*on_progress)(void *ctx, uint64_t rows);
    void *ctx;
};

/* On failure nothing was changed. CONFLICT: the database is at another place than `from`. */
enum maria_class maria_empty(struct maria *db, const struct maria_emptying *emptying,
                             uint64_t *rows, struct err *err) MUST_CHECK;
