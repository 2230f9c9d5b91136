/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal as the engine's log: one thread that commits, one that prepares the next segment.
 */
#pragma once

#include "lib/base.h"
#include "lib/clock.h"
#include "lib/metrics.h"
#include "log/journal.h"
#include "log/log.h"

struct journal_thread; /* begins with a struct log */

/* Starts both threads over an opened journal (not owned). `wake(wake_ctx)` is called from the
 * commit thread when log_ops.pump has something to do. `clock` times the commits. NULL when threads
 * cannot be started. Preparing is retried every few seconds while the disk is full, with a log line
 * for each change. */
struct log *journal_thread_start(struct journal *journal, const struct clock *clock,
                                 void (*wake)(void *ctx), void *wake_ctx) MUST_CHECK;

/* What both threads have counted since the start. */
struct journal_counts {
    struct histogram commit_ns;      /* histogram_seconds: a batch's way to the disk */
    struct histogram commit_records; /* histogram_sizes */
    struct counter written_bytes;    /* of records */
    struct counter segments_prepared, segments_failed;
};

/* Of a log that journal_thread_start made. Any thread may read them, until journal_thread_stop. */
const struct journal_counts *journal_thread_counts(const struct log *log);

/* Waits for a batch on its way, ends and joins both threads, frees `log`. */
void journal_thread_stop(struct log *log);
