/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond consume`: the composition of the recording half of cluster mode, from the log in Kafka to
 * the rows in a database server.
 */
#pragma once

#include "lib/options.h"

int consume_command(const struct options *options, int words, char **word);
