/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the journal of a folder from its first record to its last, and leaves its end fit to be
 * written behind. Called by journal_open; what may be opened and what is refused is decided here.
 */
#pragma once

#include "lib/base.h"
#include "log/journal.h"
#include "log/journal_scan.h"

struct journal_recovery {
    struct journal_segment *last; /* the one to write on; NULL when there is none, or read_only */
    struct journal_scan scan;     /* where the next record goes */
    struct journal_summary summary;
};

/* 0 also when the folder has no segment (summary.segments is then 0). Unless read_only, everything
 * that was read is durable on return, and nothing but zeros is behind it. On failure err says where
 * and what, nothing is left open, and of the journal nothing was changed that had been durable. */
int journal_recover(struct journal_recovery *recovery, const struct journal_options *options,
                    const struct journal_reader *reader, struct err *err) MUST_CHECK;
