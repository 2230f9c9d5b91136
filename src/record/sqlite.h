/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy as one SQLite file (sqlite_schema.h), which anybody who may read it can question while
 * the server writes: WAL, synchronous=FULL, STRICT tables, foreign keys.
 *
 * Opening checks the file: whole (PRAGMA integrity_check; quick_check beyond 64 MiB), of this
 * schema, and in agreement with its own counts. What is no use is STORE_DAMAGED. The database of
 * another program is STORE_CONFLICT and is not touched. reset renames FILE to
 * FILE.aside-<seconds since 1970>, its write-ahead log with it.
 *
 * A file that is deleted or replaced while it is open is STORE_DAMAGED at the next change.
 */
#pragma once

#include "lib/base.h"
#include "lib/clock.h"
#include "record/store.h"

/* A store at `path`, not opened yet. NULL when memory is short. */
struct store *sqlite_store_new(const char *path, const struct clock *clock) MUST_CHECK;
