/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the record in MariaDB as it is at one moment, for whoever checks it: in one read-only
 * transaction over a consistent snapshot, while consumers write. Nobody waits for it. A replica
 * will do.
 */
#pragma once

#include "lib/base.h"
#include "record/mariadb.h"
#include "verify/decision.h"

struct maria_reader {
    struct maria *db; /* the caller's */
    const char *topic;
};

/* The three functions of a struct copy_source whose ctx is a struct maria_reader. `*file` is the
 * server's number: another server in its place may be behind it. */
int maria_reader_open(void *ctx, struct log_place *place, uint64_t *file,
                      struct err *err) MUST_CHECK;
int maria_reader_rows(void *ctx, copy_row_fn on_row, void *on_row_ctx, struct err *err) MUST_CHECK;
void maria_reader_close(void *ctx);
