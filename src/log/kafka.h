/* SPDX-License-Identifier: Apache-2.0
 *
 * How a Kafka cluster is reached, and the one topic that is the log: one partition, so that all of
 * it has one order and one offset. Records are those of record.h with seq, segment and batch 0; the
 * record at offset k is number k + 1 of the log.
 *
 * The topic is made with, and at every start and every event's opening held against, what the
 * promise rests on: replicas, min.insync.replicas, no unclean election, no retention, no
 * compaction, batches of the producer's size.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"

/* What the topic has to take at once, max.message.bytes: a batch of the producer. */
#define KAFKA_BATCH_BYTES_MAX 300000

enum {
    KAFKA_NONCE_BYTES = 8, /* header "nonce" of a record: little-endian, the producer's own */
};

struct kafka_options {
    const char *brokers; /* "host:port,host:port" */
    const char *topic;
    const char *user, *password;      /* NULL: no log-in */
    const char *mechanism;            /* of it: SCRAM-SHA-512 and the like, or PLAIN */
    const char *ca_file;              /* TLS with this CA; NULL: plain text */
    const char *cert_file, *key_file; /* shown to the brokers; NULL: none */
    uint32_t replicas;                /* of the topic, checked and made with */
    uint32_t in_sync_min;
    bool flush_every; /* the topic has flush.messages=1: survives a power cut of all brokers */
    uint32_t message_timeout_ms, socket_timeout_ms;
};

/* Makes the topic where it is missing (only with may_create), then checks it. -EINVAL: it is there
 * and wrong, `err` names setting, value and what to do; -ENOENT: missing; else it cannot be asked
 * now (-EAGAIN), or log-in, certificate or protocol are refused (-EACCES; `err` names the option).
 * Waits up to `wait_ms` for the brokers, and after a refusal only for some seconds more: a broker
 * that is just starting may not know its users yet. */
int kafka_topic_ensure(const struct kafka_options *options, bool may_create, uint32_t wait_ms,
                       struct err *err) MUST_CHECK;

/* The same for whoever looks again and again, over connections that stay: asked once, never made.
 * A question takes seconds when the brokers are silent, about one from when `stops` (which must
 * outlive it) becomes true. */
struct kafka_topic;
int kafka_topic_open(struct kafka_topic **topic, const struct kafka_options *options,
                     const atomic_bool *stops, struct err *err) MUST_CHECK;
int kafka_topic_check(struct kafka_topic *topic, struct err *err) MUST_CHECK;
void kafka_topic_close(struct kafka_topic *topic);
