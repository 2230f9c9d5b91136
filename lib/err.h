/* SPDX-License-Identifier: Apache-2.0
 *
 * What went wrong on a cold path, in words a person can act on. Hot paths return a negative errno
 * or an outcome enum instead; the two are never mixed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"

struct err {
    int code;       /* a negative errno, 0 while nothing is wrong */
    bool retriable; /* trying again later may succeed */
    bool fatal;     /* the process must not go on */
    char text[512]; /* one line, says what happened and what to do; NUL-terminated */
};

/* Fills `err` and returns `code` (a negative errno), so that a caller can `return err_set(…)`. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
