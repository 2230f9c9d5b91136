/* SPDX-License-Identifier: Apache-2.0 */
#include "log/dead_letters.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "log/kafka_conf.h"
#include "log/record.h"

struct dead_letters {
    char topic[256], log_topic[256];
    rd_kafka_t *client;
    struct kafka_options options;
    /* Of the one record on its way. */
    uint64_t number, told_number;
    rd_kafka_resp_err_t told;
};

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    struct dead_letters *letters = opaque;
    (void)client;
    letters->told_number = (uint64_t)(uintptr_t)message->_private;
    letters->told = message->err;
}

int dead_letters_open(struct dead_letters **out, const struct kafka_options *options,
                      struct err *err) {
    char timeout[16];
    const struct kafka_setting settings[] = {
        {"acks", "all"}, {"linger.ms", "0"}, {"message.timeout.ms", timeout}};
    snprintf(timeout, sizeof timeout, "%" PRIu32, options->message_timeout_ms);
    struct dead_letters *letters = calloc(1, sizeof *letters);
    if (letters == NULL) return err_set(err, -ENOMEM, "no memory for dead letters");
    letters->options = *options;
    snprintf(letters->topic, sizeof letters->topic, "%.240s.dlt", options->topic);
    snprintf(letters->log_topic, sizeof letters->log_topic, "%.240s", options->topic);
    rd_kafka_conf_t *conf = kafka_conf_new(options, settings, ARRAY_LEN(settings), err);
    if (conf != NULL) {
        rd_kafka_conf_set_opaque(conf, letters);
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
        letters->client = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
    }
    if (letters->client != NULL) {
        *out = letters;
        return 0;
    }
    free(letters);
    return err->code;
}

void dead_letters_close(struct dead_letters *letters) {
    if (letters == NULL) return;
    rd_kafka_purge(letters->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(letters->client);
    free(letters);
}

const char *dead_letters_topic(const struct dead_letters *letters) {
    return letters->topic;
}

static int refuse(const char *topic, rd_kafka_resp_err_t code, struct err *err) {
    return err_set(err, -EAGAIN, "kafka: topic %s: %s", topic, rd_kafka_err2str(code));
}

/* Takes `headers` over, and waits for what becomes of the record. */
static int deliver(struct dead_letters *letters, const char *topic, struct slice key,
                   struct slice value, rd_kafka_headers_t *headers, struct err *err) {
    uint64_t number = ++letters->number;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        letters->client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_KEY(key.p, key.n), RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)number), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
        return refuse(topic, code, err);
    }
    /* The delivery report comes at the latest with the message's own time-out. */
    while (letters->told_number != number) rd_kafka_poll(letters->client, 100);
    return letters->told == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : refuse(topic, letters->told, err);
}

static void add_text(rd_kafka_headers_t *headers, const char *name, const char *text) {
    (void)rd_kafka_header_add(headers, name, -1, text, -1); /* fails for want of memory alone */
}

static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    add_text(headers, name, text);
}

int dead_letters_send(struct dead_letters *letters, const struct dead_letter *letter,
                      struct err *err) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    add_text(headers, "reason", letter->reason);
    add_text(headers, "error", letter->error);
    add_text(headers, "topic", letters->log_topic);
    add_number(headers, "offset", (int64_t)letter->offset);
    add_number(headers, "logged_ms", letter->logged_ms);
    add_number(headers, "record_version", RECORD_VERSION);
    add_number(headers, "attempts", letter->attempts);
    return deliver(letters, letters->topic, slice_of("", 0), letter->raw, headers, err);
}

int dead_letters_replay(struct dead_letters *letters, struct slice event_id, struct slice record,
                        uint64_t nonce, struct err *err) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    unsigned char bytes[KAFKA_NONCE_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(nonce >> (8 * i));
    (void)rd_kafka_header_add(headers, "nonce", -1, bytes, sizeof bytes);
    return deliver(letters, letters->log_topic, event_id, record, headers, err);
}
