/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a line of an audit. What is taken is made of four words of the line, in order.
 */
#include "fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>

#include "verify/audits.h"

/* Written again, a line is itself but for leading zeros. */
static void check_again(const struct audit_line *told, struct slice line) {
    char text[200];
    struct audit_line again;
    if (line.n > 100) return;
    int n = snprintf(text, sizeof text, "%" PRIu64 " %.*s %" PRIu64 " %.*s", told->seq,
                     (int)told->event_id.n, told->event_id.p, told->serial, (int)told->user_id.n,
                     told->user_id.p);
    if (memchr(line.p, 0, line.n) != NULL) return;
    ASSERT(audit_line_read(slice_of(text, (size_t)n), &again));
    ASSERT(again.seq == told->seq && again.serial == told->serial);
    ASSERT(slice_eq(again.event_id, told->event_id) && slice_eq(again.user_id, told->user_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = fuzz_copy(data, size);
    const struct slice line = slice_of(copy, size);
    struct audit_line told;
    if (audit_line_read(line, &told)) {
        ASSERT(told.event_id.n > 0 && told.user_id.n > 0);
        ASSERT(told.event_id.p > line.p && told.user_id.p > told.event_id.p);
        ASSERT(told.user_id.p + told.user_id.n == line.p + line.n);
        check_again(&told, line);
    }
    free(copy);
    return 0;
}
