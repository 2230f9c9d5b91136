/* SPDX-License-Identifier: Apache-2.0
 *
 * What the judge makes of the log in Kafka, in the words of the last stage: decisions.h for a
 * topic.
 */
#pragma once

#include "claim/decisions.h"
#include "log/kafka.h"

/* A topic, as a source for verify/. */
struct decisions_topic {
    const struct kafka_options *options;
    uint32_t stall_ms;
    struct code_keys keys;
    struct hash_key hash_key;
};

/* With the keys that are in `folder` (none is no failure: then codes are not compared). */
int decisions_topic_init(struct decisions_topic *from, const struct kafka_options *options,
                         const char *folder, uint32_t stall_ms, struct err *err) MUST_CHECK;
void decisions_topic_deinit(struct decisions_topic *from);
/* log_source.read; `ctx` is a struct decisions_topic. Each call is a reading of its own. A record
 * that cannot be decoded is NOTHING, as for every reader of the log; one of a newer version fails.
 */
int decisions_topic_read(void *ctx, decision_fn on_decision, void *on_decision_ctx,
                         struct err *err);
