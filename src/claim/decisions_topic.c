/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/decisions_topic.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/random.h"
#include "log/kafka_read.h"

int decisions_topic_init(struct decisions_topic *from, const struct kafka_options *options,
                         const char *folder, uint32_t stall_ms, struct err *err) {
    struct err no_key = {0};
    *from = (struct decisions_topic){.options = options, .stall_ms = stall_ms};
    random_fill(&random_system, &from->hash_key, sizeof from->hash_key);
    int code = code_keys_load(&from->keys, folder, false, &random_system, &no_key);
    if (code == 0) return 0;
    from->keys.count = 0;
    if (code == -ENOENT) return 0;
    *err = no_key;
    return code;
}

void decisions_topic_deinit(struct decisions_topic *from) {
    explicit_bzero(&from->keys, sizeof from->keys);
}

struct reading {
    struct decisions *decisions;
    decision_fn on_decision;
    void *ctx;
    struct err *err;
    uint64_t digest; /* after the last good record */
    _Alignas(RECORD_ALIGN) char value[RECORD_BYTES_MAX];
};

static int on_record(void *ctx, uint64_t offset, int64_t logged_ms, struct slice value) {
    struct reading *reading = ctx;
    (void)logged_ms;
    struct record record;
    struct decision decision;
    struct log_place place = {.seq = offset + 1};
    enum record_status status = record_read(reading->value, value, &record);
    if (status == RECORD_NEWER)
        return err_set(reading->err, -EPROTO,
                       "the record at offset %" PRIu64
                       " is of a newer version than this program knows",
                       offset);
    if (status == RECORD_BAD) {
        decision = (struct decision){.place = place, .digest = reading->digest};
        return reading->on_decision(reading->ctx, &decision);
    }
    place.crc = record_crc(reading->value);
    record.seq = place.seq;
    int code = decisions_next(reading->decisions, &record, &place, &decision);
    if (code != 0) return code;
    reading->digest = decision.digest;
    return reading->on_decision(reading->ctx, &decision);
}

int decisions_topic_read(void *ctx, decision_fn on_decision, void *on_decision_ctx,
                         struct err *err) {
    const struct decisions_topic *from = ctx;
    struct reading reading = {.on_decision = on_decision, .ctx = on_decision_ctx, .err = err};
    reading.decisions = decisions_new(&from->keys, &from->hash_key);
    if (reading.decisions == NULL) return err_set(err, -ENOMEM, "no memory to read the log");
    int code = kafka_read(from->options, from->stall_ms, on_record, &reading, err);
    decisions_free(reading.decisions);
    return code;
}
