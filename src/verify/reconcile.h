/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over everything that must agree: the log is read from its begin, and on the way the
 * views of the running threads and the rows of the copy are held against what it had decided by
 * then. In this order, so that nothing under way looks like a difference:
 *
 *     1. how far each view is     2. the copy, as it is at this moment
 *     3. the reservations of each event     4. the log, to its end
 *
 * (Which events there are only the log tells: for the reservations' sake it is read once before.)
 * What was asked first is behind what is read last, and both a view and a copy say exactly how far
 * they are; so a pass compares like with like however much is written meanwhile. All the same a
 * difference counts only when two passes in a row have it (checks_keep_common): a thread may stand
 * between two words, a file may be replaced under our eyes.
 *
 * Takes memory for all that the log decided, some 200 bytes a coupon, while it runs.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "verify/checks.h"
#include "verify/decision.h"
#include "verify/truth.h"

enum { RECONCILE_VIEWS_MAX = 80 };

struct reconcile {
    struct log_source log;
    struct copy_source copy;       /* .open == NULL: there is none to be checked */
    struct view_source views;      /* .points == NULL: nobody to ask */
    struct reserve_source reserve; /* .read == NULL: there is none to be checked */
    bool is_copy_optional;         /* that it is missing is no finding */
    bool is_reserve_optional;      /* that it cannot be read ends no pass: seen.reserve_err */
    struct hash_key hash_key;
    const atomic_bool *stops; /* NULL, or becomes true to end a pass early (-ECANCELED) */

    /* Of the passes before, for what must never go back. */
    uint64_t file, seq_max;
};

/* What a pass has read, for people. */
struct reconcile_seen {
    uint64_t records, last_seq, events, coupons;
    uint64_t copy_seq;
    bool has_copy;
    uint32_t views;
    uint32_t reserved_events;
    uint64_t reservations;
    struct err reserve_err; /* .code != 0: the reservations could not be read */
};

/* Reads and compares. The findings are added to `checks`, and what the log has decided is left in
 * `truth` (initialised by the caller). 0, or a failure to read that is no finding. */
int reconcile_pass(struct reconcile *reconcile, struct truth *truth, struct checks *checks,
                   struct reconcile_seen *seen, struct err *err) MUST_CHECK;
