/* SPDX-License-Identifier: Apache-2.0 */
#include "api/export_row.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base.h"
#include "lib/rfc3339.h"

static const char csv[] = "%.*s,%" PRIu32 ",%.*s,%.*s,%.*s\r\n";
static const char ndjson[] =
    "{\"event_id\":\"%.*s\",\"serial\":%" PRIu32
    ",\"user_id\":\"%.*s\",\"coupon_id\":\"%.*s\",\"issued_at\":\"%.*s\"}\n";

struct slice export_heading(enum export_format format) {
    return format == EXPORT_CSV ? SLICE("event_id,serial,user_id,coupon_id,issued_at\r\n")
                                : SLICE("");
}

size_t export_row_format(char *out, enum export_format format, const struct export_row *row) {
    char issued_at[RFC3339_BYTES];
    rfc3339_format(row->issued_ms, issued_at);
    int n =
        snprintf(out, EXPORT_ROW_BYTES_MAX, format == EXPORT_CSV ? csv : ndjson,
                 (int)row->event_id.n, row->event_id.p, row->serial, (int)row->user_id.n,
                 row->user_id.p, (int)row->code.n, row->code.p, (int)sizeof issued_at, issued_at);
    ASSERT(n > 0 && n < EXPORT_ROW_BYTES_MAX);
    return (size_t)n;
}
