/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond event …`: the admin routes from the command line. Called by main.c.
 */
#pragma once

#include "lib/options.h"

/* Does what the words behind `event` say: word[0] is the verb (create, list, show, restock, pause,
 * resume, reschedule, close, return, export), word[1] the event. What the server says goes to
 * stdout, as a table or (--raw) as it came; what is wrong goes to stderr.
 * The exit status: 0 done; 1 the server refused, could not be reached or its answer is in doubt;
 * 2 the words or options are wrong, and nothing was sent. */
int admin_client_command(const struct options *options, int words, char **word);
