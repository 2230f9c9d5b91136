/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the log begins and ends, asked of the leader of its partition. For log/ alone.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdint.h>

#include "lib/base.h"

/* `time` is RD_KAFKA_OFFSET_END or RD_KAFKA_OFFSET_BEGINNING. Waits at most `wait_ms`, however long
 * a broker is silent. */
rd_kafka_resp_err_t kafka_offset_of(rd_kafka_t *client, const char *topic, int64_t time,
                                    int wait_ms, uint64_t *offset) MUST_CHECK;
