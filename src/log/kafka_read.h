/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the topic that is the log from its begin to where it ended when it was asked, for whoever
 * checks it: a member of no group, and in nobody's way.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "log/kafka.h"

/* `value` lies as in the log, checked by nobody, and lives during the call; `logged_ms` is when the
 * log took it. Other than 0 stops. */
typedef int (*kafka_read_fn)(void *ctx, uint64_t offset, int64_t logged_ms, struct slice value);

/* 0; what `on_record` returned when that was not 0; -EAGAIN when nothing has come for `stall_ms`;
 * -EBADMSG when the log does not begin at offset 0 or has a gap. */
int kafka_read(const struct kafka_options *options, uint32_t stall_ms, kafka_read_fn on_record,
               void *ctx, struct err *err) MUST_CHECK;
