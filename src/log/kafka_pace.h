/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of what is produced may be with librdkafka at a time: one batch. Of a partition of an
 * idempotent producer librdkafka 2.0 has one request under way, and when the next one is due it
 * asks the socket again and again until that is back, for half a processor (seen by strace). What
 * comes while a batch is under way is kept instead: it leaves as soon, and as one.
 *
 * Pure: no I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kafka_pace {
    uint64_t linger_ns; /* of the producer: what comes so long after the first leaves with it */
    size_t bytes_max;   /* of a batch */

    /* The batch under way. */
    uint32_t records; /* that nothing was heard of yet; 0: there is none */
    size_t bytes;
    uint64_t begun_ns;
};

/* Whether a record of `bytes` may leave; then kafka_pace_land is due for it. */
bool kafka_pace_take(struct kafka_pace *pace, size_t bytes, uint64_t now_ns);
/* A record that had left is told of, or was not taken after all. */
void kafka_pace_land(struct kafka_pace *pace);
