/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_tail.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/le.h"
#include "lib/logger.h"
#include "log/kafka_conf.h"
#include "log/kafka_offset.h"

enum {
    ASK_MS = 1000,      /* of one question for the end, so that a lost answer is soon made up for */
    ASK_EVERY_MS = 100, /* between two of them */
    CUT_OFF_ANSWERS = 5, /* as many in a row that end before what was read: a new leader may be
                            behind in knowing its end, but not for long */
};

/* What the leader said last. `asked_ns` is before the question: whatever was in the log then has an
 * offset below `end`. `read` is how far the tail had come by then. */
struct end_answer {
    uint64_t number, asked_ns, read, end;
    rd_kafka_resp_err_t code;
};

struct kafka_tail {
    const struct kafka_options *options;
    const struct kafka_log_sink *sink;
    rd_kafka_t *client;
    rd_kafka_queue_t *events;
    bool is_reading, is_broken;
    atomic_uint_least64_t next; /* offset */
    uint64_t end, confirmed_ns;
    struct end_answer goal; /* the answer whose end is being read up to */
    char problem[300];
    struct {
        void *p;
        size_t n;
    } aligned;

    pthread_t asker;
    bool has_asker;
    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t ended;
    bool is_ending;
    struct end_answer answer;
    uint64_t answer_seen;
    unsigned cut_off;
};

static uint64_t now_ns(void) {
    return clock_monotonic_ns(&clock_system);
}

static void break_off(struct kafka_tail *tail, const char *format, ...) PRINTF_LIKE(2, 3);
static void break_off(struct kafka_tail *tail, const char *format, ...) {
    if (tail->is_broken) return;
    tail->is_broken = true;
    va_list list;
    va_start(list, format);
    vsnprintf(tail->problem, sizeof tail->problem, format, list);
    va_end(list);
    logger_line(LOG_ERROR, "kafka", "event=log_broken text=\"%s\"", tail->problem);
}

static void trouble(struct kafka_tail *tail, const char *words) {
    if (tail->is_broken) return;
    snprintf(tail->problem, sizeof tail->problem, "kafka: topic %s at %s: %s", tail->options->topic,
             tail->options->brokers, words);
}

/* ---- Where it ends ---- */

static struct end_answer ask(struct kafka_tail *tail, int wait_ms) {
    struct end_answer answer = {.asked_ns = now_ns(), .read = atomic_load(&tail->next)};
    answer.code = kafka_offset_of(tail->client, tail->options->topic, RD_KAFKA_OFFSET_END, wait_ms,
                                  &answer.end);
    return answer;
}

static struct timespec time_to_ask_again(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += ASK_EVERY_MS * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* A thread of its own: the question waits for its answer, and the owner has other things to do. */
static void *ask_again_and_again(void *ctx) {
    struct kafka_tail *tail = ctx;
    pthread_mutex_lock(&tail->mutex);
    while (!tail->is_ending) {
        pthread_mutex_unlock(&tail->mutex);
        struct end_answer answer = ask(tail, ASK_MS);
        pthread_mutex_lock(&tail->mutex);
        answer.number = tail->answer.number + 1;
        tail->answer = answer;
        struct timespec at = time_to_ask_again();
        while (!tail->is_ending && pthread_cond_timedwait(&tail->ended, &tail->mutex, &at) == 0) {
        }
    }
    pthread_mutex_unlock(&tail->mutex);
    return NULL;
}

static void on_new_answer(struct kafka_tail *tail, const struct end_answer *answer) {
    if (answer->code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        trouble(tail, rd_kafka_err2str(answer->code));
        return;
    }
    tail->cut_off = answer->end < answer->read ? tail->cut_off + 1 : 0;
    if (tail->cut_off >= CUT_OFF_ANSWERS)
        break_off(tail,
                  "kafka: topic %s ends at offset %" PRIu64 ", and %" PRIu64
                  " records of it have been read: it was cut off, or made anew",
                  tail->options->topic, answer->end, answer->read);
    if (tail->is_broken || tail->cut_off > 0) return;
    tail->problem[0] = '\0';
    if (answer->end > tail->end) tail->end = answer->end;
}

/* An answer holds once the tail has read up to the end that it tells; until then newer ones are not
 * looked at, whose ends are always a little ahead of a tail that has much to read. */
static void take_answer(struct kafka_tail *tail) {
    pthread_mutex_lock(&tail->mutex);
    struct end_answer answer = tail->answer;
    pthread_mutex_unlock(&tail->mutex);
    if (answer.number != tail->answer_seen) on_new_answer(tail, &answer);
    tail->answer_seen = answer.number;
    bool is_good = answer.number != 0 && answer.code == RD_KAFKA_RESP_ERR_NO_ERROR &&
                   answer.end >= answer.read;
    bool is_reached = atomic_load(&tail->next) >= tail->goal.end;
    if (is_good && (is_reached || answer.end < tail->goal.end)) tail->goal = answer;
    if (tail->is_broken || tail->goal.number == 0) return;
    if (atomic_load(&tail->next) >= tail->goal.end) tail->confirmed_ns = tail->goal.asked_ns;
}

int kafka_tail_ask_end(struct kafka_tail *tail, int wait_ms, uint64_t *end_seq, struct err *err) {
    uint64_t begin = 0;
    struct end_answer answer = ask(tail, wait_ms);
    if (answer.code == RD_KAFKA_RESP_ERR_NO_ERROR)
        answer.code = kafka_offset_of(tail->client, tail->options->topic, RD_KAFKA_OFFSET_BEGINNING,
                                      wait_ms, &begin);
    if (answer.code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, -EAGAIN,
                       "kafka: topic %s at --kafka %s: cannot be asked where it ends: %s",
                       tail->options->topic, tail->options->brokers, rd_kafka_err2str(answer.code));
    if (begin > 0)
        return err_set(err, -EBADMSG,
                       "kafka: topic %s begins at offset %" PRIu64 ": what was before it is lost",
                       tail->options->topic, begin);
    *end_seq = answer.end;
    if (answer.end > tail->end) tail->end = answer.end;
    return 0;
}

/* ---- Reading ---- */

static uint64_t nonce_of(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;
    const void *nonce;
    size_t n;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "nonce", &nonce, &n) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        n != KAFKA_NONCE_BYTES)
        return 0;
    return le64_load(nonce);
}

/* The value where it lies when that is aligned, else a copy. False when there is no memory. */
static bool align(struct kafka_tail *tail, const rd_kafka_message_t *message, struct slice *value) {
    *value = slice_of(message->payload, message->len);
    if ((uintptr_t)message->payload % 8 == 0) return true;
    if (message->len > tail->aligned.n) {
        void *p = realloc(tail->aligned.p, message->len);
        if (p == NULL) return false;
        tail->aligned.p = p;
        tail->aligned.n = message->len;
    }
    memcpy(tail->aligned.p, message->payload, message->len);
    value->p = tail->aligned.p;
    return true;
}

static void on_message(struct kafka_tail *tail, const rd_kafka_message_t *message) {
    uint64_t next = atomic_load(&tail->next);
    struct slice value;
    if (tail->is_broken) return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        trouble(tail, rd_kafka_message_errstr(message));
    else if ((uint64_t)message->offset != next)
        break_off(tail, "kafka: topic %s: offset %" PRId64 " follows %" PRIu64 " records",
                  tail->options->topic, message->offset, next);
    else if (!align(tail, message, &value))
        break_off(tail, "kafka: no memory for a record of %zu bytes", message->len);
    else {
        atomic_store(&tail->next, ++next);
        if (next > tail->end) tail->end = next;
        tail->sink->on_record(tail->sink->ctx, next, nonce_of(message), value);
    }
}

static void on_error(struct kafka_tail *tail, rd_kafka_event_t *event) {
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *words = rd_kafka_event_error_string(event);
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__FATAL)
        break_off(tail, "kafka: topic %s has no record %" PRIu64 " any more: %s",
                  tail->options->topic, atomic_load(&tail->next) + 1, words);
    else
        trouble(tail, words);
}

bool kafka_tail_poll(struct kafka_tail *tail, uint32_t events_max, int wait_ms) {
    const rd_kafka_message_t *message;
    bool has_more = true;
    for (uint32_t i = 0; i < events_max && has_more; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(tail->events, i == 0 ? wait_ms : 0);
        has_more = event != NULL;
        if (!has_more) break;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH)
            while ((message = rd_kafka_event_message_next(event)) != NULL)
                on_message(tail, message);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
            on_error(tail, event);
        rd_kafka_event_destroy(event);
    }
    take_answer(tail);
    return has_more;
}

bool kafka_tail_is_broken(const struct kafka_tail *tail) {
    return tail->is_broken;
}

void kafka_tail_state(struct kafka_tail *tail, struct kafka_log_state *state) {
    take_answer(tail);
    state->seq = atomic_load(&tail->next);
    state->end_seq = tail->end;
    state->confirmed_ns = tail->confirmed_ns;
    state->problem = tail->problem;
}

/* ---- Life ---- */

int kafka_tail_begin(struct kafka_tail *tail, struct err *err) {
    if (!tail->is_reading) {
        rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(one, tail->options->topic, 0)->offset = 0;
        rd_kafka_resp_err_t code = rd_kafka_assign(tail->client, one);
        rd_kafka_topic_partition_list_destroy(one);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return err_set(err, -EIO, "kafka: topic %s cannot be read: %s", tail->options->topic,
                           rd_kafka_err2str(code));
        tail->is_reading = true;
    }
    if (!tail->has_asker) {
        int code = pthread_create(&tail->asker, NULL, ask_again_and_again, tail);
        if (code != 0) return err_set(err, -code, "kafka: no thread: %s", strerror(code));
        tail->has_asker = true;
    }
    return 0;
}

static int start_client(struct kafka_tail *tail, int wake_fd, struct err *err) {
    char socket_ms[16];
    snprintf(socket_ms, sizeof socket_ms, "%" PRIu32, tail->options->socket_timeout_ms);
    const struct kafka_setting settings[] = {
        {"group.id", "coupond-tail"}, /* has to be there; nothing is committed */
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"check.crcs", "true"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "10"},
        {"queued.max.messages.kbytes", "16384"},
        {"socket.timeout.ms", socket_ms},
        {"topic.metadata.refresh.fast.interval.ms", "100"},
    };
    rd_kafka_conf_t *conf = kafka_conf_new(tail->options, settings, ARRAY_LEN(settings), err);
    if (conf == NULL) return err->code;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR);
    tail->client = kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
    if (tail->client == NULL) return err->code;
    const uint64_t one = 1;
    rd_kafka_poll_set_consumer(tail->client);
    tail->events = rd_kafka_queue_get_consumer(tail->client);
    rd_kafka_queue_io_event_enable(tail->events, wake_fd, &one, sizeof one);
    return 0;
}

int kafka_tail_open(struct kafka_tail **out, const struct kafka_options *options,
                    const struct kafka_log_sink *sink, int wake_fd, struct err *err) {
    struct kafka_tail *tail = calloc(1, sizeof *tail);
    if (tail == NULL) return err_set(err, -ENOMEM, "no memory for the tail of a log");
    tail->options = options;
    tail->sink = sink;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&tail->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&tail->mutex, NULL);
    int code = start_client(tail, wake_fd, err);
    if (code == 0)
        *out = tail;
    else
        kafka_tail_close(tail);
    return code;
}

static void end_asker(struct kafka_tail *tail) {
    pthread_mutex_lock(&tail->mutex);
    tail->is_ending = true;
    pthread_cond_signal(&tail->ended);
    pthread_mutex_unlock(&tail->mutex);
    if (tail->has_asker) pthread_join(tail->asker, NULL);
}

void kafka_tail_close(struct kafka_tail *tail) {
    if (tail == NULL) return;
    end_asker(tail);
    if (tail->client != NULL) {
        rd_kafka_queue_io_event_enable(tail->events, -1, NULL, 0);
        rd_kafka_queue_destroy(tail->events);
        rd_kafka_consumer_close(tail->client);
        rd_kafka_destroy(tail->client);
    }
    pthread_cond_destroy(&tail->ended);
    pthread_mutex_destroy(&tail->mutex);
    free(tail->aligned.p);
    free(tail);
}
