/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_group.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/logger.h"
#include "log/kafka_conf.h"

enum {
    RECORDS_OF_A_POLL = 1000,
    CLOSE_MS = 3000,
    CALL_MS = 5000, /* of a seek: it is answered by a thread of our own */
};

struct kafka_group {
    struct kafka_options options;
    struct kafka_group_sink sink;
    rd_kafka_t *client;
    rd_kafka_topic_partition_list_t *one; /* the partition */
    bool is_assigned, is_reading;
    bool joins_again; /* once what we had has been taken back */
    struct logger_limit errors;
};

/* ---- The partition comes and goes ---- */

static void take_back(struct kafka_group *group) {
    if (group->is_assigned) group->sink.on_revoked(group->sink.ctx);
    group->is_assigned = group->is_reading = false;
}

/* What is assigned is paused until it is known where to begin. */
static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct kafka_group *group = opaque;
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take_back(group);
        rd_kafka_assign(client, NULL);
        return;
    }
    for (int i = 0; i < partitions->cnt; i++) partitions->elems[i].offset = 0;
    rd_kafka_assign(client, partitions);
    if (partitions->cnt == 0) return;
    rd_kafka_pause_partitions(client, partitions);
    group->is_assigned = true;
    group->is_reading = false;
    group->sink.on_assigned(group->sink.ctx);
}

static void tell(struct kafka_group *group, const char *what, rd_kafka_resp_err_t code) {
    logger_line_limited(&group->errors, LOG_WARN, "kafka", "%s text=\"%s\"", what,
                        rd_kafka_err2str(code));
}

void kafka_group_start(struct kafka_group *group, uint64_t offset) {
    ASSERT(group->is_assigned);
    group->one->elems[0].offset = (int64_t)offset;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(group->client, group->one, CALL_MS);
    rd_kafka_resp_err_t code =
        error != NULL ? rd_kafka_error_code(error) : group->one->elems[0].err;
    if (error != NULL) rd_kafka_error_destroy(error);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) tell(group, "event=seek_failed", code);
    group->is_reading = true;
    kafka_group_resume(group);
}

void kafka_group_pause(struct kafka_group *group) {
    rd_kafka_pause_partitions(group->client, group->one);
}

void kafka_group_resume(struct kafka_group *group) {
    rd_kafka_resume_partitions(group->client, group->one);
}

/* ---- Reading ---- */

/* False when there is no more for now. */
static bool hand_on(struct kafka_group *group, const rd_kafka_message_t *message) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            tell(group, "event=group_error", message->err);
        return false;
    }
    if (!group->is_reading) return true; /* of a time before a seek */
    rd_kafka_timestamp_type_t type;
    int64_t logged_ms = rd_kafka_message_timestamp(message, &type);
    return group->sink.on_record(group->sink.ctx, (uint64_t)message->offset,
                                 logged_ms < 0 ? 0 : logged_ms,
                                 slice_of(message->payload, message->len));
}

void kafka_group_poll(struct kafka_group *group, int wait_ms) {
    if (group->joins_again && !group->is_assigned) {
        group->joins_again = false;
        kafka_group_rejoin(group);
    }
    bool goes_on = true;
    for (int i = 0; i < RECORDS_OF_A_POLL && goes_on; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(group->client, i == 0 ? wait_ms : 0);
        if (message == NULL) return;
        goes_on = hand_on(group, message);
        rd_kafka_message_destroy(message);
    }
}

void kafka_group_commit(struct kafka_group *group, uint64_t offset) {
    group->one->elems[0].offset = (int64_t)offset;
    (void)rd_kafka_commit(group->client, group->one, 1); /* only told */
}

uint64_t kafka_group_end(struct kafka_group *group) {
    int64_t low = 0, high = 0;
    if (rd_kafka_get_watermark_offsets(group->client, group->options.topic, 0, &low, &high) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return 0;
    return (uint64_t)high;
}

/* ---- Membership ---- */

static int join(struct kafka_group *group, struct err *err) {
    rd_kafka_resp_err_t code = rd_kafka_subscribe(group->client, group->one);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
    return err_set(err, -EIO, "kafka: cannot join the group: %s", rd_kafka_err2str(code));
}

void kafka_group_leave(struct kafka_group *group) {
    rd_kafka_unsubscribe(group->client);
}

void kafka_group_rejoin(struct kafka_group *group) {
    struct err err = {0};
    if (group->is_assigned) {
        rd_kafka_unsubscribe(group->client);
        group->joins_again = true;
        return;
    }
    if (join(group, &err) != 0)
        logger_line(LOG_ERROR, "kafka", "event=group_error text=\"%s\"", err.text);
}

int kafka_group_open(struct kafka_group **out, const struct kafka_options *options,
                     const char *group_id, const struct kafka_group_sink *sink, struct err *err) {
    const struct kafka_setting settings[] = {
        {"group.id", group_id},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"check.crcs", "true"},
        {"isolation.level", "read_committed"},
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "1500"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "20"},
        {"partition.assignment.strategy", "range"},
    };
    struct kafka_group *group = calloc(1, sizeof *group);
    if (group == NULL) return err_set(err, -ENOMEM, "no memory for a consumer group");
    group->options = *options;
    group->sink = *sink;
    rd_kafka_conf_t *conf = kafka_conf_new(options, settings, ARRAY_LEN(settings), err);
    if (conf != NULL) {
        rd_kafka_conf_set_opaque(conf, group);
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
        group->client = kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
    }
    if (group->client == NULL) {
        free(group);
        return err->code;
    }
    rd_kafka_poll_set_consumer(group->client);
    group->one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(group->one, options->topic, 0);
    int code = join(group, err);
    if (code == 0)
        *out = group;
    else
        kafka_group_close(group);
    return code;
}

/* False when the brokers have not answered in time: rd_kafka_consumer_close would wait for frozen
 * ones for minutes. The group then waits for the end of our session, as after a kill. */
static bool leave_in_time(struct kafka_group *group) {
    uint64_t until_ns = clock_monotonic_ns(&clock_system) + CLOSE_MS * UINT64_C(1000000);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(group->client);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(group->client, queue);
    bool has_begun = error == NULL;
    if (error != NULL) rd_kafka_error_destroy(error);
    while (has_begun && !rd_kafka_consumer_closed(group->client) &&
           clock_monotonic_ns(&clock_system) < until_ns) {
        /* Calls on_rebalance; records that were on their way come out of it too. */
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 20);
        if (message != NULL) rd_kafka_message_destroy(message);
    }
    rd_kafka_queue_destroy(queue);
    return rd_kafka_consumer_closed(group->client);
}

void kafka_group_close(struct kafka_group *group) {
    if (group == NULL) return;
    bool has_left = leave_in_time(group);
    if (!has_left)
        logger_line(LOG_WARN, "kafka",
                    "event=group_not_left text=\"no answer of the brokers\" hint=\"they take this "
                    "consumer for dead in some seconds\"");
    take_back(group);
    rd_kafka_topic_partition_list_destroy(group->one);
    rd_kafka_destroy_flags(group->client, has_left ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(group);
}
