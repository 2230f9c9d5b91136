/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes of reconcile.h inside a running server, on a thread of the lowest priority: one every so
 * often, and a second one soon after a pass that shows a difference. What both show is a finding:
 * it is logged, counted, and stays in /health until a pass shows it no more.
 *
 * It rests at least twenty times as long as a pass took, so that a large log costs no more than a
 * twentieth of one processor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/clock.h"
#include "lib/metrics.h"
#include "verify/checks.h"
#include "verify/reconcile.h"

struct reconcile_thread;

struct reconcile_thread_options {
    struct reconcile reconcile; /* copied; its sources must live as long as the thread */
    /* As verify_sources.check_topic, on this thread; NULL: not asked. */
    int (*check_topic)(void *ctx, struct err *err);
    void *ctx;
    const struct clock *clock;
    uint32_t every_ms;   /* from one pass to the next, at least */
    uint32_t recheck_ms; /* … when the first showed a difference */
};

/* NULL when it cannot be started. */
struct reconcile_thread *
reconcile_thread_start(const struct reconcile_thread_options *options) MUST_CHECK;
/* Ends it, also in the middle of a pass. NULL is nothing. */
void reconcile_thread_stop(struct reconcile_thread *thread);

/* What any thread may read. */
struct reconcile_counts {
    struct counter passes, failures;       /* failures: passes that could not read what they must */
    struct counter findings[CHECKS_COUNT]; /* gauge: as of the last pass, confirmed */
    struct counter seq;                    /* gauge: last record of the log that it read */
    struct counter last_ms;                /* gauge: when the last one ended, since 1970; 0: none */
    struct counter last_ns;                /* gauge: how long it took */
};
const struct reconcile_counts *reconcile_thread_counts(const struct reconcile_thread *thread);
/* The sum of the findings. */
uint64_t reconcile_thread_findings(const struct reconcile_thread *thread);
