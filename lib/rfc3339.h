/* SPDX-License-Identifier: Apache-2.0
 *
 * Instants as RFC 3339 text (and the Date of HTTP, RFC 9110 section 5.6.7).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/slice.h"

enum { RFC3339_BYTES = 24, HTTP_DATE_BYTES = 29 };

/* "2026-11-23T08:43:00.123Z" at `out`, RFC3339_BYTES bytes, no NUL. 0 <= ms < year 10000. */
void rfc3339_format(int64_t ms, char out[RFC3339_BYTES]);

/* Reads "2026-11-23T08:43:00[.fraction](Z|+hh:mm|-hh:mm)", T and Z in either case, milliseconds
 * kept, a leap second read as the last moment before it. False when it is anything else or before
 * 1970. */
bool rfc3339_parse(struct slice text, int64_t *ms);

/* "Mon, 23 Nov 2026 08:43:00 GMT" at `out`, HTTP_DATE_BYTES bytes, no NUL. */
void http_date_format(int64_t ms, char out[HTTP_DATE_BYTES]);
