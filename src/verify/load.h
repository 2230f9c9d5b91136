/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond load`: plays the crowd. Sends claims of a million users as fast as told, checks every
 * answer against all others, compares the export with what was told, and prints what came of it.
 *
 *     status ----> workers (connect, send, judge each answer) ----> status, verdict, export, report
 *
 * Called by main.c only.
 */
#pragma once

#include "lib/options.h"

/* Runs the command with its options; it takes no words. The exit status: 0 when everything was
 * true, 1 for any finding or when it could not be run to its end, 2 for a wrong use. */
int load_command(const struct options *options, int words, char **word);
