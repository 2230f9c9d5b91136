/* SPDX-License-Identifier: Apache-2.0
 *
 * The database server that options name, for every command that uses one; and `coupond schema`.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"
#include "lib/token.h"
#include "record/mariadb.h"

struct database {
    struct maria_options options;
    char password[TOKEN_BYTES_MAX];
};

/* Reads --database…; `options` must live as long, and `database` stay where it is. 0, or -EINVAL
 * with the option's name, or the failure to read the password. */
int database_init(struct database *database, const struct options *options,
                  struct err *err) MUST_CHECK;
void database_deinit(struct database *database);

/* Runs `coupond schema`. */
int schema_command(const struct options *options, int words, char **word);
