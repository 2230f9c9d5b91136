/* SPDX-License-Identifier: Apache-2.0
 *
 * Control records before they are written: would the judge accept them as the view stands now? The
 * judge has the last word; this keeps what it would refuse out of the log, and tells an operator
 * why. Pure.
 */
#pragma once

#include "claim/engine.h"
#include "claim/view.h"
#include "log/record.h"

/* CONTROL_DONE when nothing speaks against it; else EXISTS, UNKNOWN, CLOSED or REFUSED. */
enum control_outcome control_check(const struct view *view, const struct record *record);
