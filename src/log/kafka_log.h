/* SPDX-License-Identifier: Apache-2.0
 *
 * The log in Kafka, for one thread that owns it: what is produced, and the tail that reads back
 * everything that anybody has produced. Only the tail tells what is in the log: an acknowledgement
 * may be lost and the record be there.
 *
 * Librdkafka's own threads work behind it; nothing of the sink is called but from within
 * kafka_log_replay and kafka_log_pump.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "log/kafka.h"

struct kafka_log;

struct kafka_log_sink {
    void *ctx;
    /* The next record of the log, whoever wrote it: number `seq` (offset + 1), in order, each once.
     * `value` is what lies there, checked by nobody, aligned to 8 bytes, and valid during the call.
     * `nonce` is what it was produced with, 0 when it has none. */
    void (*on_record)(void *ctx, uint64_t seq, uint64_t nonce, struct slice value);
    /* What the brokers said of a record of ours: 0, all in-sync replicas have it; else a negative
     * errno, and it may be in the log all the same, now or later. Each produce has one. */
    void (*on_delivered)(void *ctx, uint64_t nonce, int code);
};

/* Nothing is read yet. The options' texts must outlive it. 0 or a negative errno with words. */
int kafka_log_open(struct kafka_log **log, const struct kafka_options *options,
                   const struct kafka_log_sink *sink, struct err *err) MUST_CHECK;

/* Reads from the begin to where the log ended when it was called: at start, before anything is
 * answered. `on_progress` (may be NULL) hears about every second. -EAGAIN when there is no progress
 * for `stall_ms`. */
int kafka_log_replay(struct kafka_log *log, uint32_t stall_ms,
                     void (*on_progress)(void *ctx, uint64_t seq, uint64_t end_seq),
                     struct err *err) MUST_CHECK;

/* Takes a copy of an encoded record. The key is the event's id. 0, or -EAGAIN when too many are on
 * their way: nothing was taken, and there will be no on_delivered. A producer that the brokers have
 * shut out for good is replaced; what it had on its way is told as failed. */
int kafka_log_produce(struct kafka_log *log, struct slice event_id, struct slice record,
                      uint64_t nonce) MUST_CHECK;

/* Readable (level) when kafka_log_pump has something to do. */
int kafka_log_fd(const struct kafka_log *log);
void kafka_log_pump(struct kafka_log *log);

struct kafka_log_state {
    uint64_t seq; /* last given to on_record */
    uint64_t end_seq; /* last known to be in the log */
    /* Monotonic instant for which it is known that the tail had read all there was: a fetch was
     * answered then and left nothing. 0: never. */
    uint64_t confirmed_ns;
    uint32_t in_flight;  /* produced, not yet told of */
    const char *problem; /* the last error, "" when all is well; lives until the next call */
};
void kafka_log_state(struct kafka_log *log, struct kafka_log_state *state);

/* Waits up to `wait_ms` for what is on its way, then ends; what is still unknown is told as failed
 * by on_delivered (code -ESHUTDOWN). */
void kafka_log_close(struct kafka_log *log, uint32_t wait_ms);
