/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond serve`: the composition of a server, the one place that sees all its parts and puts them
 * together. They are made in the order in which a coupon travels back (secrets, journal, sockets,
 * copy, engine, network threads) and torn down in the other; between the two it waits for signals.
 * Called by main.c.
 */
#pragma once

#include "lib/err.h"
#include "lib/options.h"

/* What the types of the options of serve do not tell. 0, or a negative errno with the option and
 * what is wrong with it in `err`. */
int serve_check_options(const struct options *options, struct err *err);

/* Runs the command with its options, until a signal ends it; it takes no words. The exit status: 0
 * after a drain, 1 when it could not start, 2 for a wrong use, 70 when the data are damaged. */
int serve_command(const struct options *options, int words, char **word);
