/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the copy in a SQLite file as it is at one moment, for whoever checks it: read only, in one
 * transaction, while a server may be writing. Nothing of the file is changed, and the server waits
 * for nothing.
 */
#pragma once

#include "lib/base.h"
#include "verify/decision.h"

struct sqlite_reader {
    const char *path;
    struct sqlite3 *db; /* NULL while closed */
};

/* The three functions of a struct copy_source whose ctx is a struct sqlite_reader. */
int sqlite_reader_open(void *ctx, struct log_place *place, uint64_t *file,
                       struct err *err) MUST_CHECK;
int sqlite_reader_rows(void *ctx, copy_row_fn on_row, void *on_row_ctx, struct err *err) MUST_CHECK;
void sqlite_reader_close(void *ctx);
