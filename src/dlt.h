/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond dlt`: the dead letters of cluster mode, as the database keeps them. docs/pipeline.md is
 * its manual.
 */
#pragma once

#include "lib/options.h"

int dlt_command(const struct options *options, int words, char **word);
