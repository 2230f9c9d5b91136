/* SPDX-License-Identifier: Apache-2.0
 *
 * The producer of kafka_log: idempotent, each record told of exactly once. For log/ alone, and for
 * the thread that owns the log.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "log/kafka_log.h"

struct kafka_producer;

/* Writes to `wake_fd` (8 bytes, an eventfd) when kafka_producer_poll has something to do. */
int kafka_producer_open(struct kafka_producer **producer, const struct kafka_options *options,
                        const struct kafka_log_sink *sink, int wake_fd, struct err *err) MUST_CHECK;
int kafka_producer_produce(struct kafka_producer *producer, struct slice key, struct slice record,
                           uint64_t nonce) MUST_CHECK;
/* A fresh cluster may take seconds to give a producer its id, without which nothing is written. */
bool kafka_producer_await_id(struct kafka_producer *producer, uint32_t wait_ms);
/* Tells of at most `events_max` events, waiting `wait_ms` for the first; true when there may be
 * more. */
bool kafka_producer_poll(struct kafka_producer *producer, uint32_t events_max, int wait_ms);
uint32_t kafka_producer_in_flight(const struct kafka_producer *producer);
/* The last thing that went wrong and has not gone well since, or "". */
const char *kafka_producer_problem(const struct kafka_producer *producer);
/* What is not told of within `wait_ms` is told as -ESHUTDOWN. NULL is fine. */
void kafka_producer_close(struct kafka_producer *producer, uint32_t wait_ms);
