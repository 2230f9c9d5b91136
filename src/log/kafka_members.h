/* SPDX-License-Identifier: Apache-2.0
 *
 * Is anybody in a consumer group? For whoever must not begin while a consumer is alive. One that
 * was killed counts until its session has run out, six seconds later.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "log/kafka.h"

/* 0 and how many members the group has; -EAGAIN: the brokers cannot be asked within `wait_ms`. */
int kafka_members_count(const struct kafka_options *options, const char *group_id, uint32_t wait_ms,
                        uint32_t *count, struct err *err) MUST_CHECK;
