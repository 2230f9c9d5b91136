/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of history_check.c: each looks through one event for a few of the checks.
 */
#pragma once

#include "verify/history_check.h"
#include "verify/history_index.h"

struct history_checking {
    const struct history_check_options *options;
    struct history_index index;
    struct checks *checks;
    uint64_t *keys; /* room for a number for each op and one more */
    bool failed;    /* memory was short */
};

/* A finding about `op`, whose place, user and answer are told, and the words behind. */
void history_finding(struct history_checking *checking, enum check check,
                     const struct history_op *op, const char *format, ...) PRINTF_LIKE(4, 5);
/* A finding about an entry of the log. */
void history_finding_entry(struct history_checking *checking, enum check check,
                           const struct truth_entry *entry, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* history_check_coupons.c: C1 to C4 and C10, whose coupon is it. */
void history_check_coupons(struct history_checking *checking);
/* history_check_order.c: C5, C6 and C9, what came before what. */
void history_check_order(struct history_checking *checking);
/* history_check_users.c: C7 and C8, what one user was told over time. */
void history_check_users(struct history_checking *checking);
