/* SPDX-License-Identifier: Apache-2.0
 *
 * The log, as the engine sees it: totally ordered, append only, read back. The journal is one, a
 * Kafka partition another, the simulator's a third; serve.c chooses.
 *
 * One batch at a time is on its way; the engine collects the next one meanwhile (group commit). All
 * calls come from the engine's thread, and so do the sink's: a log with threads of its own brings
 * what they did back through log_ops.pump.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"

struct log;

struct log_sink {
    void *ctx;
    /* The records `records` (encoded, back to back, placed) are durable, and this is what the log
     * holds. Valid during the call. Called in log order, each record exactly once. */
    void (*on_records)(void *ctx, struct slice records);
    /* The log cannot be written any more (a negative errno): whether the batch on its way is in it
     * only the next start will tell. Nothing of this log is called again. */
    void (*on_failed)(void *ctx, int code);
};

struct log_ops {
    /* Takes a batch of `count` encoded records (seq, segment and batch are the log's to fill in).
     * The bytes are the log's until on_records or on_failed. Only while is_idle. */
    void (*append)(struct log *log, void *records, size_t bytes, size_t count);
    bool (*is_idle)(const struct log *log); /* no batch is on its way */
    /* Bytes of records that are sure to find room. A batch larger than this is never handed over. */
    uint64_t (*room_bytes)(const struct log *log);
    /* False when space has run short so that no new event should be opened. */
    bool (*has_reserve)(const struct log *log);
    /* Lets the sink know what has happened since; called by the engine's thread when woken. */
    void (*pump)(struct log *log);
};

/* Every implementation begins with this. */
struct log {
    const struct log_ops *ops;
    struct log_sink sink;
};
