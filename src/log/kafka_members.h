/* SPDX-License-Identifier: Apache-2.0
 *
 * Is anybody in a consumer group? For whoever must not begin while a consumer is alive. One that
 * was killed counts until its session has run out, six seconds later.
 */
#pragma once

#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include "lib/base.h"
#include "lib/err.h"
#include "log/kafka.h"

/* Asked once, by a client that is there. A broker that says nothing may have had the group: an
 * answer of only some is none. */
rd_kafka_resp_err_t kafka_members_ask(rd_kafka_t *client, const char *group_id, uint32_t wait_ms,
                                      uint32_t *count) MUST_CHECK;

/* 0 and how many members the group has; -EAGAIN: the brokers cannot be asked within `wait_ms`. */
int kafka_members_count(const struct kafka_options *options, const char *group_id, uint32_t wait_ms,
                        uint32_t *count, struct err *err) MUST_CHECK;
