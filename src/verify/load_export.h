/* SPDX-License-Identifier: Apache-2.0
 *
 * The export of the event against what was told: who was told a coupon has that coupon there, who
 * was told no has none, and no serial or coupon is there twice (I1, I4). Knows no network: lines
 * come in, findings go into the verdict.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"
#include "verify/load_verdict.h"

/* Zero but for `verdict` to begin with. */
struct load_export {
    struct load_verdict *verdict;
    uint64_t *serials_seen; /* a bit for each serial */
    int64_t stock;
    uint64_t *coupons; /* a digest of each coupon_id */
    size_t coupons_count, coupons_capacity;
    char foreign_example[80];
    bool out_of_memory;
};

/* 0 or -ENOMEM. */
int load_export_begin(struct load_export *exported) MUST_CHECK;
/* One line {"event_id","serial","user_id","coupon_id",…}. */
void load_export_line(struct load_export *exported, struct slice line);
/* After the last line: what is missing, and the verdict's export_text. */
void load_export_end(struct load_export *exported);
void load_export_deinit(struct load_export *exported);
