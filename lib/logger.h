/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines for people and machines, on stderr: `time level unit key=value …`, one write(2) each.
 * Nothing is logged for a request that went well.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are dropped. Set once, before threads start; LOG_INFO until then. */
void logger_set_level(enum log_level level);

/* logger_line(LOG_WARN, "journal", "event=torn_tail_cut file=%s bytes=%llu", …). Values with spaces
 * are the caller's to quote. Lines longer than 1,024 bytes are cut. Thread-safe. */
void logger_line(enum log_level level, const char *unit, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* For storms: at most one line a second for each `limit`, which then tells how many it stood for. */
struct logger_limit {
    atomic_uint_least64_t next_ns;
    atomic_uint_least32_t dropped;
};
void logger_line_limited(struct logger_limit *limit, enum log_level level, const char *unit,
                         const char *format, ...) PRINTF_LIKE(4, 5);
