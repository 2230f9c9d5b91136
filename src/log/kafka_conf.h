/* SPDX-License-Identifier: Apache-2.0
 *
 * What every client of librdkafka here has in common: brokers, log-in, TLS, and where its lines go.
 * For log/ alone.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "lib/base.h"
#include "lib/err.h"
#include "log/kafka.h"

struct kafka_setting {
    const char *name, *value;
};

/* A configuration with `settings` too. NULL, and the reason, when a value is not taken. */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_options *options,
                                const struct kafka_setting *settings, size_t count,
                                struct err *err) MUST_CHECK;

/* A client made of `conf`, which it takes over. NULL with the reason. */
rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                             struct err *err) MUST_CHECK;
