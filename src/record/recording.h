/* SPDX-License-Identifier: Apache-2.0
 *
 * Where consumers record what the log has decided: rows, and with them the place in the log up to
 * which they go, in a database that several consumers know and one at a time owns. MariaDB is one
 * (mariadb_recording.h), a unit test's another.
 *
 * Owning is a number, the epoch, which every take-over raises: a consumer that was taken for dead
 * and was not finds another epoch, and changes nothing. The place moves in the transaction that
 * writes the rows, so that neither is ever without the other: what was committed is never made
 * again, what was not is.
 *
 * What comes here has been judged already (store.h). All calls come from one thread, and may wait.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "record/store.h"

struct recording;

/* Up to where the log was recorded: the number of its last record, which is also the offset of the
 * next, and the checksum that tells this log from another. All 0 before the first. */
struct recording_place {
    uint64_t seq;
    uint32_t crc;
};

enum { RECORDING_ERROR_BYTES = 160 };

/* A record of which no row came. */
struct recording_reject {
    uint64_t seq;
    bool is_dead;       /* a person has to look; else the judge refused it, which is usual */
    const char *reason; /* a word, static */
    char error[RECORDING_ERROR_BYTES]; /* ASCII */
    int64_t logged_ms;                 /* by the log's clock */
    struct slice raw;                  /* as it lies in the log */
};

struct recording_batch {
    struct recording_place from, to;
    const struct store_change *changes; /* in log order */
    size_t changes_count;
    const struct recording_reject *rejects;
    size_t rejects_count;
    /* Each coupon by itself, to find the one that is refused; one that is there already, the same
     * serial of the same user, is no disagreement. */
    bool row_by_row;
};

enum recording_status {
    RECORDING_OK,
    RECORDING_LATER,    /* it cannot now, and may have: ask again with the same batch */
    RECORDING_LOST,     /* somebody else owns it, or it is at another place: take it over anew */
    RECORDING_CONFLICT, /* rows and log disagree: nothing was changed */
    RECORDING_FATAL, /* rights, tables, another log's: a person has to look; nothing was changed */
    RECORDING_STATUSES,
};

struct recording_ops {
    /* Makes this consumer the owner; `*place` is where to go on. */
    enum recording_status (*take_over)(struct recording *recording, struct recording_place *place,
                                       struct err *err);
    /* Makes the changes and moves from `from` to `to`, all or nothing. At `to` already, by a commit
     * whose outcome was not heard, it changes nothing and says OK. */
    enum recording_status (*apply)(struct recording *recording, const struct recording_batch *batch,
                                   struct err *err);
    void (*free)(struct recording *recording);
};

/* Every implementation begins with this. */
struct recording {
    const struct recording_ops *ops;
};
