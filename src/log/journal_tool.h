/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond log check DIR` and `coupond log dump DIR`: what is in a journal, by the loader that the
 * server starts with. Read only; a server may be writing meanwhile. Called by main.c.
 */
#pragma once

#include "lib/options.h"

/* `word[0]` is check or dump, `word[1]` the data folder; `words` of them. Prints to stdout and
 * returns the exit status: 0 a good journal, 1 a damaged one, or none there (what and where on
 * stderr), 2 wrong usage.
 *
 * check prints a summary. dump prints a JSON object a line for each record, in order: seq, type, at
 * (RFC 3339) and the fields of its type; numbers of 64 random bits are strings of 16 hexadecimal
 * digits; an event without start or end has null there. Before damage it prints what is good. Ends
 * quietly when nobody reads on. */
int journal_tool_command(const struct options *options, int words, char **word);
