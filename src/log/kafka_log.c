/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "log/kafka_producer.h"
#include "log/kafka_tail.h"

enum {
    EVENTS_OF_A_PUMP = 1000, /* of each of the two: the owner has other things to do */
    WAIT_MS = 100,
};

struct kafka_log {
    struct kafka_options options;
    struct kafka_log_sink sink;
    int fd; /* an eventfd that librdkafka's threads write to */
    struct kafka_tail *tail;
    struct kafka_producer *producer;
};

static uint64_t now_ns(void) {
    return clock_monotonic_ns(&clock_system);
}

int kafka_log_open(struct kafka_log **out, const struct kafka_options *options,
                   const struct kafka_log_sink *sink, struct err *err) {
    struct kafka_log *log = calloc(1, sizeof *log);
    if (log == NULL) return err_set(err, -ENOMEM, "no memory for a log");
    log->options = *options;
    log->sink = *sink;
    log->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int code = log->fd < 0 ? err_set(err, -errno, "eventfd: %s", strerror(errno)) : 0;
    if (code == 0) code = kafka_tail_open(&log->tail, &log->options, &log->sink, log->fd, err);
    if (code == 0)
        code = kafka_producer_open(&log->producer, &log->options, &log->sink, log->fd, err);
    if (code == 0)
        *out = log;
    else
        kafka_log_close(log, 0);
    return code;
}

void kafka_log_close(struct kafka_log *log, uint32_t wait_ms) {
    if (log == NULL) return;
    kafka_producer_close(log->producer, wait_ms);
    kafka_tail_close(log->tail);
    if (log->fd >= 0) close(log->fd);
    free(log);
}

/* ---- At start ---- */

struct replay {
    uint64_t end, moved_ns, told_ns;
    uint32_t stall_ms;
};

static bool has_stalled(const struct replay *replay) {
    return now_ns() - replay->moved_ns > replay->stall_ms * UINT64_C(1000000);
}

/* The first question may come before there is a connection. */
static int find_end(struct kafka_log *log, struct replay *replay, struct err *err) {
    int code;
    do {
        code = kafka_tail_ask_end(log->tail, (int)replay->stall_ms, &replay->end, err);
        if (code == -EAGAIN && !has_stalled(replay)) usleep(WAIT_MS * 1000);
    } while (code == -EAGAIN && !has_stalled(replay));
    return code;
}

static int replay_failed(struct kafka_log *log, const struct kafka_log_state *state,
                         const struct replay *replay, struct err *err) {
    if (kafka_tail_is_broken(log->tail)) return err_set(err, -EBADMSG, "%s", state->problem);
    return err_set(err, -EAGAIN,
                   "kafka: topic %s at --kafka %s: no progress for %" PRIu32
                   " ms at record %" PRIu64 " of %" PRIu64 "%s%s",
                   log->options.topic, log->options.brokers, replay->stall_ms, state->seq,
                   replay->end, state->problem[0] == '\0' ? "" : ": ", state->problem);
}

int kafka_log_replay(struct kafka_log *log, uint32_t stall_ms,
                     void (*on_progress)(void *ctx, uint64_t seq, uint64_t end_seq),
                     struct err *err) {
    struct replay replay = {.moved_ns = now_ns(), .told_ns = now_ns(), .stall_ms = stall_ms};
    int code = find_end(log, &replay, err);
    if (code == 0) code = kafka_tail_begin(log->tail, err);
    struct kafka_log_state state = {0};
    if (code == 0) kafka_tail_state(log->tail, &state);
    while (code == 0 && (state.seq < replay.end || state.confirmed_ns == 0)) {
        uint64_t before = state.seq;
        kafka_tail_poll(log->tail, EVENTS_OF_A_PUMP, WAIT_MS);
        kafka_tail_state(log->tail, &state);
        uint64_t now = now_ns();
        if (state.seq > before) replay.moved_ns = now;
        if (kafka_tail_is_broken(log->tail) || has_stalled(&replay))
            code = replay_failed(log, &state, &replay, err);
        if (on_progress != NULL && now - replay.told_ns >= 1000000000) {
            replay.told_ns = now;
            on_progress(log->sink.ctx, state.seq, replay.end);
        }
    }
    if (code == 0 && !kafka_producer_await_id(log->producer, stall_ms))
        code = err_set(err, -EAGAIN, "kafka: the brokers at --kafka %s give no id to write with",
                       log->options.brokers);
    return code;
}

/* ---- Later ---- */

int kafka_log_produce(struct kafka_log *log, struct slice event_id, struct slice record,
                      uint64_t nonce) {
    return kafka_producer_produce(log->producer, event_id, record, nonce);
}

int kafka_log_fd(const struct kafka_log *log) {
    return log->fd;
}

/* The descriptor is emptied before the queues: what comes in between is written to it again. */
void kafka_log_pump(struct kafka_log *log) {
    uint64_t count;
    if (read(log->fd, &count, sizeof count) < 0) count = 0; /* nothing had been written */
    bool has_more = kafka_producer_poll(log->producer, EVENTS_OF_A_PUMP, 0);
    if (kafka_tail_poll(log->tail, EVENTS_OF_A_PUMP, 0)) has_more = true;
    count = 1;
    if (has_more && write(log->fd, &count, sizeof count) < 0) return; /* is readable already */
}

void kafka_log_state(struct kafka_log *log, struct kafka_log_state *state) {
    kafka_tail_state(log->tail, state);
    state->in_flight = kafka_producer_in_flight(log->producer);
    if (state->problem[0] == '\0') state->problem = kafka_producer_problem(log->producer);
}
