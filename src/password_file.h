/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords of other servers come from files that nobody else may read, and from nowhere else.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"
#include "lib/token.h"

/* The first line of the file at `path`, which the option --`option` names. 0, or a negative errno
 * with the reason, the option and the file. */
int password_file_read(const char *option, const char *path, char password[TOKEN_BYTES_MAX],
                       struct err *err) MUST_CHECK;
