/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond verify`: holds log, copy, views and, with --history, what clients were told against each
 * other, and says what disagrees. docs/verify.md is its manual. Reads only, without --repair; a
 * server may be running or not. Called by main.c, which brings the functions that know journals and
 * SQLite.
 */
#pragma once

#include "lib/err.h"
#include "lib/options.h"
#include "verify/decision.h"

enum { VERIFY_SAID_BYTES = 512 };

struct verify_sources {
    struct log_source log;
    struct copy_source copy;       /* .open == NULL: not wanted */
    bool is_cluster;               /* what is below is for that alone */
    struct reserve_source reserve; /* .read == NULL: not wanted */
    /* Holds the settings of the log's topic against what they must be: 0; -EINVAL: one is not, as
     * err says; else it cannot be asked. NULL: not wanted. */
    int (*check_topic)(void *ctx, struct err *err);
    /* Puts what the log has into the place of the reservations of an event, and says in one line
     * what was done, or why not. NULL: there is nothing to repair. */
    void (*repair)(void *ctx, struct slice event_id, char said[VERIFY_SAID_BYTES]);
    void *ctx;
};

/* `word` are more histories. The exit status: 0 everything agrees; 1 something does not, or could
 * not be read; 2 wrong usage. */
int verify_command(const struct options *options, int words, char **word,
                   const struct verify_sources *sources);
