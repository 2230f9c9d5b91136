/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond consume`: the composition of the recording half of cluster mode, from the log in Kafka
 * to the rows in a database server.
 */
#pragma once

#include "lib/err.h"
#include "lib/options.h"
#include "log/dead_letters.h"
#include "record/recording.h"

int consume_command(const struct options *options, int words, char **word);

/* What a consumer (claim/consumer.h) has rejected, as a dead letter; for whoever runs one. 0 once
 * the brokers have it, or a negative errno with words. */
int consume_send_dead_letter(struct dead_letters *letters, const struct recording_reject *reject,
                             uint32_t attempts, struct err *err);
