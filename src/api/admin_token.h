/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin token: `admin.token` in the data folder, one line, mode 600, made at first start.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"
#include "lib/random.h"

enum { ADMIN_TOKEN_BYTES_MAX = 256 };

/* Reads the token of `folder`, making one of 256 random bits where there is none. A file that others
 * may read is refused. */
int admin_token_load(char token[ADMIN_TOKEN_BYTES_MAX + 1], const char *folder,
                     struct random_source *random, struct err *err) MUST_CHECK;
