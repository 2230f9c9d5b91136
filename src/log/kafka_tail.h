/* SPDX-License-Identifier: Apache-2.0
 *
 * The tail of kafka_log: reads partition 0 from its begin, and asks the leader again and again
 * where the log ends, which is how it knows that it has read all there was. For log/ alone, and for
 * the thread that owns the log.
 *
 * It never jumps: where the next record is not to be had (deleted, cut off, a topic made anew) it
 * is broken, says why, and gives no more.
 */
#pragma once

#include "log/kafka_log.h"

struct kafka_tail;

/* Writes to `wake_fd` (8 bytes, an eventfd) when kafka_tail_poll has something to do. */
int kafka_tail_open(struct kafka_tail **tail, const struct kafka_options *options,
                    const struct kafka_log_sink *sink, int wake_fd, struct err *err) MUST_CHECK;
/* Where the log ends now. -EAGAIN: the leader cannot be asked within `wait_ms`. */
int kafka_tail_ask_end(struct kafka_tail *tail, int wait_ms, uint64_t *end_seq,
                       struct err *err) MUST_CHECK;
/* Begins to read; nothing when it has begun. */
int kafka_tail_begin(struct kafka_tail *tail, struct err *err) MUST_CHECK;
/* Takes at most `events_max` events, waiting `wait_ms` for the first; true when there may be more.
 */
bool kafka_tail_poll(struct kafka_tail *tail, uint32_t events_max, int wait_ms);
bool kafka_tail_is_broken(const struct kafka_tail *tail);
/* All but in_flight. */
void kafka_tail_state(struct kafka_tail *tail, struct kafka_log_state *state);
void kafka_tail_close(struct kafka_tail *tail);
