/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables in a database server: numbered migrations (deploy/mariadb/NNNN_name.sql, which are in
 * the program), each applied once, in order, and remembered with the SHA-256 of its text in the
 * table coupond_schema. A database that knows a migration that this program does not, or one of
 * another text, is refused by the migration's name.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "record/mariadb.h"

struct maria_migration {
    unsigned number; /* from 1, without a gap */
    const char *name;
    const char *sha256; /* of `text`, hexadecimal */
    struct slice text;  /* statements; each ends with ";\n" */
};

extern const struct maria_migration maria_migrations[];
extern const size_t maria_migrations_count;

/* Asks how many migrations the database has: `*applied`, at most maria_migrations_count. FATAL
 * when it has others than this program, or tables that no migration has made. */
enum maria_class maria_schema_check(struct maria *db, size_t *applied, struct err *err) MUST_CHECK;

/* Applies what is missing; `on_applied` (may be NULL) hears of each. Two that apply at once take
 * turns. A database that has everything is only asked. */
enum maria_class maria_schema_apply(struct maria *db, const struct clock *clock,
                                    void (*on_applied)(void *ctx, const char *name), void *ctx,
                                    struct err *err) MUST_CHECK;
