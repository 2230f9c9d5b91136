/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of a copy against what the log had decided by the record that the copy says it is at:
 * each row field by field, and none missing (R1); and the rows among themselves (R6).
 */
#pragma once

#include "lib/base.h"
#include "verify/checks.h"
#include "verify/decision.h"
#include "verify/truth.h"

/* `truth` is that of the log up to the copy's place. Marks in it what the copy has as it is. 0, or
 * the failure of the source. */
int compare_copy(struct truth *truth, const struct copy_source *copy, struct checks *checks,
                 struct err *err) MUST_CHECK;
