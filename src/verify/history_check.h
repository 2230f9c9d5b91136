/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients were told against what the log decided and the copy holds: C1 to C10 of checks.h.
 * Copes with answers that never came, 202, users that ask again, pauses, restocks, returns, and
 * servers that were killed in between: none of them is a reason for being told anything untrue.
 * Takes time n log n.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "verify/checks.h"
#include "verify/history.h"
#include "verify/truth.h"

struct history_check_options {
    bool is_shared;    /* others claimed too: holders who are in no history are no finding */
    bool has_copy;     /* the truth was compared with a copy … */
    uint64_t copy_seq; /* … that had come to this record */
};

/* Checks all events of the histories. `truth` is that of the whole log, and shares its texts with
 * the history. 0 or -ENOMEM. */
int history_check(const struct history *history, struct truth *truth,
                  const struct history_check_options *options, struct checks *checks,
                  struct err *err) MUST_CHECK;
