/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_read.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/clock.h"
#include "log/kafka_conf.h"
#include "log/kafka_obstacle.h"
#include "log/kafka_offset.h"

enum { POLL_MS = 100, ASK_MS = 1000 };

struct reading {
    const struct kafka_options *options;
    uint32_t stall_ms;
    kafka_read_fn on_record;
    void *ctx;
    rd_kafka_t *client;
    uint64_t next, end;
    struct kafka_obstacle obstacle;
};

static int failed(const struct reading *reading, const char *what, rd_kafka_resp_err_t code,
                  struct err *err) {
    return err_set(err, -EAGAIN, "kafka: topic %s at %s: %s: %s", reading->options->topic,
                   reading->options->brokers, what, rd_kafka_err2str(code));
}

static uint64_t now_ms(void) {
    return clock_monotonic_ns(&clock_system) / 1000000;
}

/* Asked again while there is time: the first question may come before there is a connection. */
static rd_kafka_resp_err_t ask(struct reading *reading, int64_t time, uint64_t until_ms,
                               uint64_t *offset) {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (uint64_t now = now_ms(); now < until_ms; now = now_ms()) {
        int wait_ms = (int)(until_ms - now < ASK_MS ? until_ms - now : ASK_MS);
        code = kafka_offset_of(reading->client, reading->options->topic, time, wait_ms, offset);
        kafka_obstacle_listen(&reading->obstacle, reading->client);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_obstacle_is_final(&reading->obstacle))
            break;
        (void)rd_kafka_poll(reading->client, POLL_MS); /* a rest */
    }
    return code;
}

static int find_end(struct reading *reading, struct err *err) {
    uint64_t begin = 0, until_ms = now_ms() + reading->stall_ms;
    rd_kafka_resp_err_t code = ask(reading, RD_KAFKA_OFFSET_END, until_ms, &reading->end);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = ask(reading, RD_KAFKA_OFFSET_BEGINNING, until_ms, &begin);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)failed(reading, "cannot be asked where it ends", code, err);
        return kafka_obstacle_tell(&reading->obstacle, err);
    }
    if (begin > 0)
        return err_set(err, -EBADMSG,
                       "kafka: topic %s begins at offset %" PRIu64 ": what was before it is lost",
                       reading->options->topic, begin);
    return 0;
}

static int begin(struct reading *reading, struct err *err) {
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(one, reading->options->topic, 0)->offset = 0;
    rd_kafka_resp_err_t code = rd_kafka_assign(reading->client, one);
    rd_kafka_topic_partition_list_destroy(one);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : failed(reading, "cannot be read", code, err);
}

static int hand_on(struct reading *reading, const rd_kafka_message_t *message, struct err *err) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return 0; /* it goes on, or stalls */
    if ((uint64_t)message->offset != reading->next)
        return err_set(err, -EBADMSG, "kafka: topic %s: offset %" PRId64 " follows %" PRIu64,
                       reading->options->topic, message->offset, reading->next);
    reading->next++;
    rd_kafka_timestamp_type_t type;
    int64_t logged_ms = rd_kafka_message_timestamp(message, &type);
    return reading->on_record(reading->ctx, (uint64_t)message->offset,
                              logged_ms < 0 ? 0 : logged_ms,
                              slice_of(message->payload, message->len));
}

static int read_all(struct reading *reading, struct err *err) {
    uint64_t moved_ns = clock_monotonic_ns(&clock_system);
    int code = 0;
    while (code == 0 && reading->next < reading->end) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reading->client, POLL_MS);
        uint64_t now_ns = clock_monotonic_ns(&clock_system), before = reading->next;
        if (message != NULL) {
            code = hand_on(reading, message, err);
            rd_kafka_message_destroy(message);
        }
        if (reading->next != before) moved_ns = now_ns;
        if (code == 0 && now_ns - moved_ns > reading->stall_ms * UINT64_C(1000000))
            code = failed(reading, "nothing comes", RD_KAFKA_RESP_ERR__TIMED_OUT, err);
    }
    return code;
}

int kafka_read(const struct kafka_options *options, uint32_t stall_ms, kafka_read_fn on_record,
               void *ctx, struct err *err) {
    const struct kafka_setting settings[] = {
        {"group.id", "coupond-reads"}, /* the library wants a name; the group is never joined */
        {"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},  {"check.crcs", "true"},
        {"fetch.wait.max.ms", "100"},
    };
    struct reading reading = {
        .options = options, .stall_ms = stall_ms, .on_record = on_record, .ctx = ctx};
    rd_kafka_conf_t *conf = kafka_conf_new(options, settings, ARRAY_LEN(settings), err);
    if (conf != NULL) {
        kafka_obstacle_watch(&reading.obstacle, options, conf);
        reading.client = kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
    }
    if (reading.client == NULL) return err->code;
    int code = find_end(&reading, err);
    if (code == 0) code = begin(&reading, err);
    if (code == 0) code = read_all(&reading, err);
    rd_kafka_consumer_close(reading.client);
    rd_kafka_destroy(reading.client);
    return code;
}
