/* SPDX-License-Identifier: Apache-2.0
 *
 * Gets the export of the event from the admin listener, when there is a token for it, and has it
 * compared (load_export.h).
 */
#pragma once

#include "verify/load_verdict.h"

/* Everything goes into the verdict: findings, and its export_text, which says why when nothing
 * could be compared. That is a finding only when --admin or --token-file was given. */
void load_fetch_and_compare(struct load_verdict *verdict);
