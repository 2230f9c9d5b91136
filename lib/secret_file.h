/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets of a program in small files that nobody else may read: keys, tokens.
 */
#pragma once

#include <sys/types.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/random.h"

/* 32 random bytes as hexadecimal digits, and a newline. */
enum { SECRET_RANDOM_BYTES = 32, SECRET_FILE_BYTES = 2 * SECRET_RANDOM_BYTES + 1 };

/* Makes FOLDER/NAME with a new secret, mode 600. It gets its name once its bytes are durable, and
 * only if nobody else was quicker: a process that dies here leaves no half a secret, and two that
 * start together agree on one. */
int secret_file_create(const char *folder, const char *name, struct random_source *random,
                       struct err *err) MUST_CHECK;

/* Opens the file at `path` for reading, once nobody else can: a file that others may read is refused
 * with a sentence that says chmod. A descriptor, or a negative errno (-ENOENT when there is none). */
int secret_file_open(const char *path, struct err *err) MUST_CHECK;

/* 0 when the open file is a regular one and has none of the permission bits `others`; else a negative
 * errno with the same sentence. */
int secret_file_check(int fd, const char *path, mode_t others, struct err *err) MUST_CHECK;
