/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a client gets nowhere. Librdkafka tries on and on, and its calls say no more than "transport
 * failure"; that a log-in, a certificate or a protocol is refused it tells in passing. This keeps
 * that, in words that name the option. For log/ alone.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdint.h>

#include "lib/err.h"
#include "log/kafka.h"

struct kafka_obstacle {
    const struct kafka_options *options;
    int code;               /* 0: none is known; -EACCES: waiting does not help; -EAGAIN: it may */
    uint64_t refused_ns;    /* since when it has been -EACCES */
    atomic_int certificate; /* OpenSSL's number of what is wrong with the brokers' */
    char text[sizeof(((struct err *)0)->text)];
};

/* Before the client is made of `conf`, whose opaque this takes. The client's lines are not logged
 * then: its owner says what came of it. */
void kafka_obstacle_watch(struct kafka_obstacle *obstacle, const struct kafka_options *options,
                          rd_kafka_conf_t *conf);
/* Hears what there is to hear, without waiting. */
void kafka_obstacle_listen(struct kafka_obstacle *obstacle, rd_kafka_t *client);
/* The brokers have answered. */
void kafka_obstacle_forget(struct kafka_obstacle *obstacle);
/* Whether it has been refused for so long that it is no broker that is just starting. */
bool kafka_obstacle_is_final(const struct kafka_obstacle *obstacle);
/* Puts it into the place of `err`, when there is one; returns the code of what stands there. */
int kafka_obstacle_tell(const struct kafka_obstacle *obstacle, struct err *err);
