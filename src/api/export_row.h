/* SPDX-License-Identifier: Apache-2.0
 *
 * The two formats of an export, row by row, wherever the rows come from.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/slice.h"

enum export_format { EXPORT_CSV, EXPORT_NDJSON };

/* Of one coupon. Ids and codes are of letters that neither format needs to quote. */
struct export_row {
    struct slice event_id, user_id, code;
    uint32_t serial;
    int64_t issued_ms;
};

enum { EXPORT_ROW_BYTES_MAX = 512 };

/* What stands above the rows, or nothing. */
struct slice export_heading(enum export_format format);
/* Writes a row with its end; its length, below EXPORT_ROW_BYTES_MAX, which `out` has room for. */
size_t export_row_format(char *out, enum export_format format, const struct export_row *row);
