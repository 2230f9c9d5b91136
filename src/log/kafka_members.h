/* SPDX-License-Identifier: Apache-2.0
 *
 * A consumer group, seen by somebody who does not join it: is anybody in it, and how far have they
 * come? One that was killed counts until its session has run out, six seconds later.
 *
 * Asked as consumers ask: the questions of librdkafka's administration about a group end the
 * process when the broker that sees to it dies meanwhile (2.0.2, rd_kafka_enq_once).
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "log/kafka.h"

struct kafka_members;

/* The options' texts must outlive it. 0 or a negative errno. */
int kafka_members_open(struct kafka_members **members, const struct kafka_options *options,
                       const char *group_id, struct err *err) MUST_CHECK;
void kafka_members_close(struct kafka_members *members);

/* 0 and how many they are; -EAGAIN: the brokers cannot be asked, tried again for `wait_ms`. */
int kafka_members_count(struct kafka_members *members, uint32_t wait_ms, uint32_t *count,
                        struct err *err) MUST_CHECK;

/* How far they have come, as they committed it: the offset behind the last record that they are
 * done with; 0 when there are some and none has committed, UINT64_MAX when there is nobody and
 * never was. Asked once, up to `wait_ms` for each of two questions; -EAGAIN as above. */
int kafka_members_done(struct kafka_members *members, uint32_t wait_ms, uint64_t *offset,
                       struct err *err) MUST_CHECK;
