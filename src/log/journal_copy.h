/* SPDX-License-Identifier: Apache-2.0
 *
 * A copy of a journal that may be written meanwhile: all of it up to a moment after the call began.
 * Used by the backup; the server has no part in it.
 */
#pragma once

#include "lib/base.h"
#include "lib/disk.h"
#include "lib/err.h"
#include "log/journal.h"

/* Copies the journal of the folder `from` into the folder `to`, which holds none. Verifies it with
 * the loader that a server starts with first, then copies exactly what was verified: every record
 * that was durable when the call began is in the copy, and nothing torn. The files are synced, the
 * folder is the caller's to sync. `*summary` is what was copied. On failure err says what and
 * where; files may be left in `to`. */
int journal_copy(struct disk *disk, const char *from, const char *to,
                 struct journal_summary *summary, struct err *err) MUST_CHECK;
