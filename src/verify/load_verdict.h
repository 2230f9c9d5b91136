/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of a load run: everything the workers found, put together, and the checks that need all
 * of it at once: serials and coupons told twice, more told than there are, sold out too early or
 * taken back. It takes for granted that no coupon is returned while the run lasts; a restock is
 * seen.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "verify/load_config.h"
#include "verify/load_finding.h"
#include "verify/load_status.h"
#include "verify/load_tally.h"
#include "verify/load_told.h"
#include "verify/load_worker.h"

struct load_verdict {
    const struct load_config *config;
    struct load_worker *workers; /* config->threads of them, ended */
    struct load_status before, after;
    bool is_after_known;

    struct load_tally tally;
    uint64_t told[TOLD_COUNT];
    uint64_t queries;
    struct findings findings;

    /* Users, by the last that each was told. */
    uint64_t users_asked;
    uint64_t users_holding;     /* told a coupon */
    uint64_t users_sold_out;    /* told sold out, final */
    uint64_t users_denied;      /* told another no */
    uint64_t users_undecided;   /* asked and told nothing that decides */
    uint64_t users_held_before; /* told already_issued, of coupons from before this run */

    bool is_export_equal;
    char export_text[600]; /* "export equal", "export not compared: no admin token …" */
    uint64_t export_rows;
    uint64_t export_foreign; /* … of users who are not of this run */
    uint64_t export_unheard; /* … of users of this run who got no answer that tells it */
    bool was_interrupted;
};

/* Merges what the ended workers found and judges it. 0 or -ENOMEM. */
int load_verdict_judge(struct load_verdict *verdict) MUST_CHECK;
void load_verdict_deinit(struct load_verdict *verdict);

/* The worker whose range has this user, or NULL. */
struct load_worker *load_verdict_worker(const struct load_verdict *verdict, uint32_t user);
