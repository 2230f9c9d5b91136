/* SPDX-License-Identifier: Apache-2.0
 *
 * One value of one option: text in, number out, or the reason why not. The part of the options that
 * knows types; lib/options.c knows where texts come from.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"

enum { OPTION_NUMBER_BYTES = 32 };

/* Reads `text`, which is borrowed, as the type of `row` into `value` (its source is left alone). 0,
 * or -EINVAL with a line that begins with `label`, the spelling under which the option was given.
 * The text of a secret is not shown. */
int option_value_read(const struct option *row, const char *label, const char *text,
                      struct option_value *value, struct err *err) MUST_CHECK;

/* A number as one would write it for `row`: in the largest unit that keeps it whole ("2500ms"). */
void option_number_format(const struct option *row, int64_t number, char out[OPTION_NUMBER_BYTES]);
/* The value as one would write it, "***" for a secret, NULL when there is none; in `scratch` when
 * it is no text of the value's own. */
const char *option_value_format(const struct option *row, const struct option_value *value,
                                char scratch[OPTION_NUMBER_BYTES]);
