/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_producer.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/le.h"
#include "lib/logger.h"
#include "log/kafka_conf.h"
#include "log/kafka_pace.h"

#define LINGER_MS 1 /* at 0 every record of a busy moment is a request of its own */
#define BATCH_BYTES 262144
#define TEXT(number) #number
#define DIGITS(number) TEXT(number)

enum {
    IN_FLIGHT_MAX = 20000, /* queue.buffering.max.messages has the same */
    PURGED_MS = 2000,      /* for librdkafka's threads to give back what was purged */
    EVENTS_OF_A_PURGE = 1000,
    WAIT_MS = 50,
    RECORD_EXTRA_BYTES = 100, /* more than a batch has of a record beside key and value */
};

/* A record on its way: what librdkafka keeps for us is its address. That each is told of once is
 * kept here, whatever becomes of the client. */
struct flight {
    uint64_t nonce;
    struct flight *next_free;
    bool is_out;
    bool has_left; /* else it is still kept */
};

/* A record that is kept until it may leave. */
struct kept {
    struct kept *next;
    struct flight *flight;
    uint64_t since_ns;
    uint32_t key_bytes, record_bytes;
    char bytes[];
};

struct kafka_producer {
    const struct kafka_options *options;
    const struct kafka_log_sink *sink;
    int wake_fd;
    rd_kafka_t *client;
    rd_kafka_queue_t *events;
    struct flight *flights, *free;
    uint32_t in_flight;
    struct kafka_pace pace;
    struct kept *first_kept, **last_kept;
    bool has_id;      /* the brokers have given it one: before, nothing is written */
    bool is_shut_out; /* the client will never produce again */
    char problem[sizeof(((struct err *)0)->text)];
};

static uint64_t now_ns(void) {
    return clock_monotonic_ns(&clock_system);
}

static void wake(const struct kafka_producer *producer) {
    const uint64_t one = 1;
    /* It can fail only by being readable already. */
    if (write(producer->wake_fd, &one, sizeof one) < 0) return;
}

static int errno_of(rd_kafka_resp_err_t code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return -ETIMEDOUT;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        return -ECANCELED;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return -EMSGSIZE;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return -EACCES;
    default:
        return -EIO;
    }
}

/* ---- The client ---- */

static int start_client(struct kafka_producer *producer, struct err *err) {
    const struct kafka_options *options = producer->options;
    char message_ms[16], socket_ms[16], in_flight_max[16];
    snprintf(message_ms, sizeof message_ms, "%" PRIu32, options->message_timeout_ms);
    snprintf(socket_ms, sizeof socket_ms, "%" PRIu32, options->socket_timeout_ms);
    snprintf(in_flight_max, sizeof in_flight_max, "%d", IN_FLIGHT_MAX);
    const struct kafka_setting settings[] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"linger.ms", DIGITS(LINGER_MS)},
        {"compression.type", "none"},
        {"message.timeout.ms", message_ms},
        {"request.timeout.ms", message_ms},
        {"socket.timeout.ms", socket_ms},
        /* The topic's max.message.bytes is that of a batch, whatever is in it: a batch above it is
         * refused with all its records. One record that is bigger than a batch goes alone. */
        {"batch.size", DIGITS(BATCH_BYTES)},
        {"message.max.bytes", DIGITS(KAFKA_BATCH_BYTES_MAX)},
        {"retry.backoff.ms", "20"},
        {"queue.buffering.max.messages", in_flight_max},
        {"topic.metadata.refresh.fast.interval.ms", "100"},
        {"statistics.interval.ms", "250"}, /* the only place that tells of the id */
    };
    rd_kafka_conf_t *conf = kafka_conf_new(options, settings, ARRAY_LEN(settings), err);
    if (conf == NULL) return err->code;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
    producer->client = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
    if (producer->client == NULL) return err->code;
    const uint64_t one = 1;
    producer->events = rd_kafka_queue_get_main(producer->client);
    rd_kafka_queue_io_event_enable(producer->events, producer->wake_fd, &one, sizeof one);
    producer->is_shut_out = false;
    return 0;
}

static void end_client(struct kafka_producer *producer) {
    if (producer->client == NULL) return;
    rd_kafka_queue_io_event_enable(producer->events, -1, NULL, 0);
    rd_kafka_queue_destroy(producer->events);
    rd_kafka_destroy(producer->client);
    producer->client = NULL;
    producer->events = NULL;
}

/* ---- What becomes of records ---- */

static void land(struct kafka_producer *producer, struct flight *flight, int code) {
    ASSERT(flight->is_out && producer->in_flight > 0);
    flight->is_out = false;
    if (flight->has_left) kafka_pace_land(&producer->pace);
    flight->next_free = producer->free;
    producer->free = flight;
    producer->in_flight--;
    producer->sink->on_delivered(producer->sink->ctx, flight->nonce, code);
}

static void land_kept(struct kafka_producer *producer, int code) {
    struct kept *kept = producer->first_kept;
    producer->first_kept = kept->next;
    if (kept->next == NULL) producer->last_kept = &producer->first_kept;
    land(producer, kept->flight, code);
    free(kept);
}

static void land_all_kept(struct kafka_producer *producer, int code) {
    while (producer->first_kept != NULL) land_kept(producer, code);
}

static void land_all(struct kafka_producer *producer, int code) {
    land_all_kept(producer, code);
    for (uint32_t i = 0; i < IN_FLIGHT_MAX && producer->in_flight > 0; i++)
        if (producer->flights[i].is_out) land(producer, &producer->flights[i], code);
}

static void on_reports(struct kafka_producer *producer, rd_kafka_event_t *event) {
    const rd_kafka_message_t *message;
    while ((message = rd_kafka_event_message_next(event)) != NULL) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            producer->problem[0] = '\0';
        else
            snprintf(producer->problem, sizeof producer->problem, "kafka: a record of topic %s: %s",
                     producer->options->topic, rd_kafka_err2str(message->err));
        land(producer, message->_private, errno_of(message->err));
    }
}

static void on_error(struct kafka_producer *producer, rd_kafka_event_t *event) {
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR__FATAL) producer->is_shut_out = true;
    snprintf(producer->problem, sizeof producer->problem, "kafka: producer: %s",
             rd_kafka_event_error_string(event));
}

static void on_statistics(struct kafka_producer *producer, rd_kafka_event_t *event) {
    const char *text = rd_kafka_event_stats(event);
    json_t *statistics = json_loads(text == NULL ? "" : text, 0, NULL);
    const char *state =
        json_string_value(json_object_get(json_object_get(statistics, "eos"), "idemp_state"));
    producer->has_id = state != NULL && strcmp(state, "Assigned") == 0;
    json_decref(statistics);
}

static bool take_events(struct kafka_producer *producer, uint32_t events_max, int wait_ms) {
    for (uint32_t i = 0; i < events_max; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(producer->events, i == 0 ? wait_ms : 0);
        if (event == NULL) return false;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) on_reports(producer, event);
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) on_error(producer, event);
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_STATS) on_statistics(producer, event);
        rd_kafka_event_destroy(event);
    }
    return true;
}

bool kafka_producer_await_id(struct kafka_producer *producer, uint32_t wait_ms) {
    uint64_t until_ns = now_ns() + wait_ms * UINT64_C(1000000);
    while (!producer->has_id && now_ns() < until_ns) take_events(producer, 1, WAIT_MS);
    return producer->has_id;
}

/* Gives back all that is on its way, first with what the brokers said of it. */
static void abandon(struct kafka_producer *producer, int code) {
    rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    uint64_t until_ns = now_ns() + PURGED_MS * UINT64_C(1000000);
    land_all_kept(producer, code);
    while (producer->in_flight > 0 && now_ns() < until_ns)
        take_events(producer, EVENTS_OF_A_PURGE, 10);
    end_client(producer);
    land_all(producer, code);
}

static void replace(struct kafka_producer *producer) {
    static struct logger_limit replacements;
    struct err err = {0};
    if (producer->client != NULL) {
        char why[200] = "";
        (void)rd_kafka_fatal_error(producer->client, why, sizeof why);
        logger_line_limited(&replacements, LOG_WARN, "kafka",
                            "event=producer_replaced in_flight=%" PRIu32 " text=\"%s\"",
                            producer->in_flight, why);
        abandon(producer, -EIO);
    }
    /* Where that fails, the next poll tries again. */
    if (start_client(producer, &err) != 0)
        snprintf(producer->problem, sizeof producer->problem, "%s", err.text);
}

/* ---- Producing ---- */

static struct flight *take_off(struct kafka_producer *producer, uint64_t nonce) {
    struct flight *flight = producer->free;
    producer->free = flight->next_free;
    *flight = (struct flight){.nonce = nonce, .is_out = true};
    producer->in_flight++;
    return flight;
}

static void take_off_never(struct kafka_producer *producer, struct flight *flight) {
    flight->is_out = false;
    if (flight->has_left) kafka_pace_land(&producer->pace);
    flight->next_free = producer->free;
    producer->free = flight;
    producer->in_flight--;
}

static rd_kafka_resp_err_t hand_over(struct kafka_producer *producer, struct slice key,
                                     struct slice record, struct flight *flight) {
    unsigned char nonce[KAFKA_NONCE_BYTES];
    for (unsigned i = 0; i < sizeof nonce; i++)
        nonce[i] = (unsigned char)(flight->nonce >> (8 * i));
    return rd_kafka_producev(
        producer->client, RD_KAFKA_V_TOPIC(producer->options->topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.p, key.n),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record.p, record.n),
        RD_KAFKA_V_HEADER("nonce", nonce, sizeof nonce), RD_KAFKA_V_OPAQUE(flight), RD_KAFKA_V_END);
}

static bool may_leave(struct kafka_producer *producer, struct flight *flight, size_t bytes) {
    flight->has_left = kafka_pace_take(&producer->pace, bytes + RECORD_EXTRA_BYTES, now_ns());
    return flight->has_left;
}

static bool keep(struct kafka_producer *producer, struct slice key, struct slice record,
                 struct flight *flight) {
    struct kept *kept = malloc(sizeof *kept + key.n + record.n);
    if (kept == NULL) return false;
    *kept = (struct kept){.flight = flight,
                          .since_ns = now_ns(),
                          .key_bytes = (uint32_t)key.n,
                          .record_bytes = (uint32_t)record.n};
    memcpy(kept->bytes, key.p, key.n);
    memcpy(kept->bytes + key.n, record.p, record.n);
    *producer->last_kept = kept;
    producer->last_kept = &kept->next;
    return true;
}

/* Hands over what may leave by now. What librdkafka does not take, and what has waited as long as a
 * record may take, is told of as such. */
static void let_kept_leave(struct kafka_producer *producer) {
    while (producer->first_kept != NULL && !producer->is_shut_out) {
        struct kept *kept = producer->first_kept;
        struct slice key = slice_of(kept->bytes, kept->key_bytes);
        struct slice record = slice_of(kept->bytes + kept->key_bytes, kept->record_bytes);
        bool is_late =
            now_ns() - kept->since_ns >= producer->options->message_timeout_ms * UINT64_C(1000000);
        if (is_late) {
            land_kept(producer, -ETIMEDOUT);
            continue;
        }
        if (!may_leave(producer, kept->flight, key.n + record.n)) return;
        rd_kafka_resp_err_t code = hand_over(producer, key, record, kept->flight);
        if (code == RD_KAFKA_RESP_ERR__FATAL) producer->is_shut_out = true;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            land_kept(producer, errno_of(code));
            continue;
        }
        producer->first_kept = kept->next;
        if (kept->next == NULL) producer->last_kept = &producer->first_kept;
        free(kept);
    }
}

int kafka_producer_produce(struct kafka_producer *producer, struct slice key, struct slice record,
                           uint64_t nonce) {
    if (producer->client == NULL || producer->is_shut_out || producer->free == NULL) return -EAGAIN;
    struct flight *flight = take_off(producer, nonce);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    if (producer->first_kept == NULL && may_leave(producer, flight, key.n + record.n))
        code = hand_over(producer, key, record, flight);
    else if (keep(producer, key, record, flight))
        code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
    take_off_never(producer, flight);
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        producer->is_shut_out = true; /* the next poll replaces it: here the sink is not called */
        wake(producer);
    }
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? -EMSGSIZE : -EAGAIN;
}

/* ---- Turns ---- */

bool kafka_producer_poll(struct kafka_producer *producer, uint32_t events_max, int wait_ms) {
    if (producer->client == NULL) replace(producer);
    if (producer->client == NULL) return false;
    bool has_more = take_events(producer, events_max, wait_ms);
    let_kept_leave(producer);
    if (producer->is_shut_out) replace(producer);
    return has_more;
}

uint32_t kafka_producer_in_flight(const struct kafka_producer *producer) {
    return producer->in_flight;
}

const char *kafka_producer_problem(const struct kafka_producer *producer) {
    return producer->problem;
}

/* ---- Life ---- */

int kafka_producer_open(struct kafka_producer **out, const struct kafka_options *options,
                        const struct kafka_log_sink *sink, int wake_fd, struct err *err) {
    struct kafka_producer *producer = calloc(1, sizeof *producer);
    struct flight *flights = calloc(IN_FLIGHT_MAX, sizeof *flights);
    if (producer == NULL || flights == NULL) {
        free(producer);
        free(flights);
        return err_set(err, -ENOMEM, "no memory for a producer");
    }
    *producer = (struct kafka_producer){
        .options = options,
        .sink = sink,
        .wake_fd = wake_fd,
        .flights = flights,
        .pace = {.linger_ns = LINGER_MS * UINT64_C(1000000), .bytes_max = BATCH_BYTES}};
    producer->last_kept = &producer->first_kept;
    for (uint32_t i = IN_FLIGHT_MAX; i-- > 0;) {
        flights[i].next_free = producer->free;
        producer->free = &flights[i];
    }
    int code = start_client(producer, err);
    if (code == 0)
        *out = producer;
    else
        kafka_producer_close(producer, 0);
    return code;
}

void kafka_producer_close(struct kafka_producer *producer, uint32_t wait_ms) {
    if (producer == NULL) return;
    uint64_t until_ns = now_ns() + wait_ms * UINT64_C(1000000);
    while (producer->client != NULL && producer->in_flight > 0 && now_ns() < until_ns) {
        take_events(producer, EVENTS_OF_A_PURGE, 10);
        let_kept_leave(producer);
    }
    /* What is purged now would come back as cancelled: it is told as what it is. */
    end_client(producer);
    land_all(producer, -ESHUTDOWN);
    free(producer->flights);
    free(producer);
}
