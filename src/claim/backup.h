/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond backup DIR`: all that a server needs to go on elsewhere as it was, and to give every
 * coupon the same code: the journal, the key files; when asked for the admin token, the
 * configuration and the keys of tokens that it names. Works on the files alone, whether a server is running or not. Called by main.c.
 */
#pragma once

#include "lib/options.h"

/* `word[0]` is DIR, which must not exist; `words` of them. Copies into DIR.tmp, syncs, reads the
 * copy as a server would at its start, and only then calls it DIR: a DIR that exists is whole and
 * good. A claim that was answered before the call began is in it. Folder of mode 700, files of mode
 * 600. Prints what it holds to stdout. The exit status: 0 done; 1 not done (DIR.tmp is removed
 * again), or done but without a key that an event needs, which the data folder does not have
 * either; 2 wrong usage. */
int backup_command(const struct options *options, int words, char **word);
