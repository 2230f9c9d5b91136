/* SPDX-License-Identifier: Apache-2.0
 *
 * Options shown: what holds and where it came from, and the table itself, from which documentation
 * is made. Values are as one would write them (75s, 64MiB); those of secrets are ***.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/options.h"

/* A line for each row of `command`, aligned, under its heading: name, value, origin ("default",
 * "file PATH:LINE", "environment VARIABLE", "flag --NAME"). A value that is not there is "-". */
void options_show(struct buf *out, const struct options *options, uint32_t command);

/* The same as a JSON array: {"name","value","number","source","origin"}; value is null when there
 * is none, number (in bytes, ms) is there for what has one, bytes that are no UTF-8 are "?". */
void options_show_json(struct buf *out, const struct options *options, uint32_t command);

/* The table as a JSON array of headings ({"heading"}) and of options with all that the table knows
 * of them; `command_names` are those of the bits 1, 2, 4, …. */
void options_show_table(struct buf *out, const struct option *table, size_t count,
                        const char *const command_names[], size_t commands_count);
