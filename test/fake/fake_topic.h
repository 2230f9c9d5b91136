/* SPDX-License-Identifier: Apache-2.0
 *
 * log/kafka_log.h without Kafka: one topic in memory and any number of logs on it, in the place of
 * the real ones. What a test does to it: records land or are dropped, acknowledgements lie, readers
 * are held up. Included by one .c.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log/kafka_log.h"

enum { TOPIC_RECORDS_MAX = 4096, TOPIC_WAITING_MAX = 256, TOPIC_RECORD_BYTES = 512 };

struct topic_record {
    const struct kafka_log *producer;
    uint64_t life, nonce; /* a log's place in memory may be used again */
    size_t bytes;
    _Alignas(8) char value[TOPIC_RECORD_BYTES];
};

struct kafka_log {
    struct kafka_log_sink sink;
    uint64_t life, read, confirmed_ns;
    struct topic_record waiting[TOPIC_WAITING_MAX]; /* produced, not in the topic */
    size_t waiting_count;
    int fd;
    bool is_used;
};

/* One for all logs. */
static struct {
    struct topic_record records[TOPIC_RECORDS_MAX];
    uint64_t count, lives;
    struct kafka_log logs[8];
    const uint64_t *now_ns;
    bool is_away; /* nothing lands, nothing is read */
    /* How many records a pump may read; UINT64_MAX: all. */
    uint64_t (*read_max)(void);
} topic;

/* The first record that waits at `log` is in the topic. */
static inline void topic_land(struct kafka_log *log) {
    ASSERT(topic.count < TOPIC_RECORDS_MAX);
    topic.records[topic.count++] = log->waiting[0];
    memmove(log->waiting, log->waiting + 1, --log->waiting_count * sizeof log->waiting[0]);
}

/* It never will be. */
static inline void topic_drop(struct kafka_log *log) {
    memmove(log->waiting, log->waiting + 1, --log->waiting_count * sizeof log->waiting[0]);
}

int kafka_log_open(struct kafka_log **log, const struct kafka_options *options,
                   const struct kafka_log_sink *sink, struct err *err) {
    (void)options, (void)err;
    struct kafka_log *made = topic.logs;
    while (made->is_used) made++;
    *made = (struct kafka_log){.sink = *sink, .is_used = true, .life = ++topic.lives};
    made->fd = eventfd(0, EFD_CLOEXEC);
    *log = made;
    return 0;
}

static inline void topic_read(struct kafka_log *log, uint64_t max) {
    for (; log->read < topic.count && max > 0; max--) {
        const struct topic_record *record = &topic.records[log->read++];
        bool is_own = record->producer == log && record->life == log->life;
        log->sink.on_record(log->sink.ctx, log->read, is_own ? record->nonce : 0,
                            slice_of(record->value, record->bytes));
    }
    if (log->read == topic.count) log->confirmed_ns = *topic.now_ns;
}

int kafka_log_replay(struct kafka_log *log, uint32_t stall_ms,
                     void (*on_progress)(void *ctx, uint64_t seq, uint64_t end_seq),
                     struct err *err) {
    (void)stall_ms, (void)on_progress;
    if (topic.is_away) return err_set(err, -EAGAIN, "the topic is away");
    topic_read(log, UINT64_MAX);
    return 0;
}

int kafka_log_produce(struct kafka_log *log, struct slice event_id, struct slice record,
                      uint64_t nonce) {
    (void)event_id;
    if (log->waiting_count == TOPIC_WAITING_MAX) return -EAGAIN;
    ASSERT(record.n <= TOPIC_RECORD_BYTES);
    struct topic_record *waiting = &log->waiting[log->waiting_count++];
    *waiting = (struct topic_record){
        .producer = log, .life = log->life, .nonce = nonce, .bytes = record.n};
    memcpy(waiting->value, record.p, record.n);
    return 0;
}

int kafka_log_fd(const struct kafka_log *log) {
    return log->fd;
}

void kafka_log_pump(struct kafka_log *log) {
    if (!topic.is_away) topic_read(log, topic.read_max == NULL ? UINT64_MAX : topic.read_max());
}

void kafka_log_state(struct kafka_log *log, struct kafka_log_state *state) {
    *state = (struct kafka_log_state){.seq = log->read,
                                      .end_seq = topic.count,
                                      .confirmed_ns = log->confirmed_ns,
                                      .in_flight = (uint32_t)log->waiting_count,
                                      .problem = ""};
}

/* A process that dies: what waited is lost. */
void kafka_log_close(struct kafka_log *log, uint32_t wait_ms) {
    (void)wait_ms;
    close(log->fd);
    *log = (struct kafka_log){0};
}
