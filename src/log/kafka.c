/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/logger.h"
#include "log/kafka_conf.h"
#include "log/kafka_obstacle.h"

enum {
    LOOK_MS = 2000,
    WATCH_LOOK_MS = 1000, /* of who may be told to end, which nothing interrupts */
    CALL_MS = 5000,
    SLICE_MS = 100,
    PAUSE_MS = 200,
    TELL_EVERY_MS = 10000,
    SETTINGS = 7,
};

/* What the topic is made with, and has to have. */
struct wanted {
    char in_sync_min[12];
    struct {
        const char *name, *value;
        bool is_needed;
    } settings[SETTINGS];
};

static void want(struct wanted *wanted, const struct kafka_options *options) {
    snprintf(wanted->in_sync_min, sizeof wanted->in_sync_min, "%" PRIu32, options->in_sync_min);
    const struct wanted all = {.settings = {
                                   {"min.insync.replicas", wanted->in_sync_min, true},
                                   {"unclean.leader.election.enable", "false", true},
                                   {"cleanup.policy", "delete", true},
                                   {"retention.ms", "-1", true},
                                   {"retention.bytes", "-1", true},
                                   {"message.timestamp.type", "LogAppendTime", true},
                                   {"flush.messages", "1", options->flush_every},
                               }};
    memcpy(wanted->settings, all.settings, sizeof wanted->settings);
}

struct kafka_topic {
    const struct kafka_options *options;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct wanted wanted;
    struct kafka_obstacle obstacle;
    uint64_t until_ns, tell_ns;
    const atomic_bool *stops; /* NULL, or becomes true to end a question early */
};

static int code_of(rd_kafka_resp_err_t code) {
    bool is_refused = code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
                      code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
                      code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                      code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    return is_refused ? -EACCES : -EAGAIN;
}

static int cannot(const struct kafka_topic *ask, const char *what, rd_kafka_resp_err_t code,
                  struct err *err) {
    return err_set(err, code_of(code), "kafka: %s: topic %s %s: %s%s", ask->options->brokers,
                   ask->options->topic, what, rd_kafka_err2str(code),
                   code_of(code) == -EACCES
                       ? ": whoever --kafka-user or --kafka-cert names may not do that"
                       : "");
}

static int wrong(const struct kafka_topic *ask, const char *setting, const char *found,
                 const char *right, struct err *err) {
    return err_set(err, -EINVAL,
                   "kafka: topic %s has %s=%s and must have %s: change it, or name another topic "
                   "(--kafka-topic)",
                   ask->options->topic, setting, found, right);
}

static int number_is(const struct kafka_topic *ask, const char *setting, int found, uint32_t right,
                     struct err *err) {
    char found_text[16], right_text[16];
    if (found == (int)right) return 0;
    snprintf(found_text, sizeof found_text, "%d", found);
    snprintf(right_text, sizeof right_text, "%" PRIu32, right);
    return wrong(ask, setting, found_text, right_text, err);
}

/* ---- Is it there? ---- */

static int check_shape(const struct kafka_topic *ask, const rd_kafka_metadata_topic_t *topic,
                       struct err *err) {
    if (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        (topic->err == RD_KAFKA_RESP_ERR_NO_ERROR && topic->partition_cnt == 0))
        return err_set(err, -ENOENT, "kafka: %s: there is no topic %s", ask->options->brokers,
                       ask->options->topic);
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cannot(ask, "cannot be asked for", topic->err, err);
    int code = number_is(ask, "partitions", topic->partition_cnt, 1, err);
    if (code == 0)
        code = number_is(ask, "replicas", topic->partitions[0].replica_cnt, ask->options->replicas,
                         err);
    return code;
}

static int look(const struct kafka_topic *ask, struct err *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(ask->client, ask->options->topic, NULL);
    if (topic == NULL) return cannot(ask, "cannot be named", rd_kafka_last_error(), err);
    const int wait_ms = ask->stops == NULL ? LOOK_MS : WATCH_LOOK_MS;
    rd_kafka_resp_err_t code = rd_kafka_metadata(ask->client, 0, topic, &metadata, wait_ms);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return cannot(ask, "cannot be asked for", code, err);
    int result = metadata->topic_cnt == 1
                     ? check_shape(ask, &metadata->topics[0], err)
                     : cannot(ask, "is not told of", RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, err);
    rd_kafka_metadata_destroy(metadata);
    return result;
}

/* ---- Its settings ---- */

static int check_batch(const struct kafka_topic *ask, const char *name, const char *value,
                       struct err *err) {
    char right[32];
    if (strcmp(name, "max.message.bytes") != 0 || atoll(value) >= KAFKA_BATCH_BYTES_MAX) return 0;
    snprintf(right, sizeof right, "%d or more", KAFKA_BATCH_BYTES_MAX);
    return wrong(ask, name, value, right, err);
}

static int check_setting(const struct kafka_topic *ask, const char *name, const char *value,
                         struct err *err) {
    for (size_t i = 0; i < SETTINGS; i++)
        if (ask->wanted.settings[i].is_needed && strcmp(ask->wanted.settings[i].name, name) == 0 &&
            strcmp(ask->wanted.settings[i].value, value) != 0)
            return wrong(ask, name, value, ask->wanted.settings[i].value, err);
    return check_batch(ask, name, value, err);
}

static int check_settings(const struct kafka_topic *ask, const rd_kafka_event_t *event,
                          struct err *err) {
    size_t count = 0, entries_count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)(uintptr_t)event), &count);
    rd_kafka_resp_err_t code =
        count == 1 ? rd_kafka_ConfigResource_error(resources[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cannot(ask, "cannot be asked for its settings", code, err);
    const rd_kafka_ConfigEntry_t **entries =
        rd_kafka_ConfigResource_configs(resources[0], &entries_count);
    int result = 0;
    for (size_t i = 0; i < entries_count && result == 0; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        result = check_setting(ask, rd_kafka_ConfigEntry_name(entries[i]),
                               value == NULL ? "" : value, err);
    }
    return result;
}

static bool has_to_end(const struct kafka_topic *ask) {
    return ask->stops != NULL && atomic_load(ask->stops);
}

/* NULL when there is none in time. */
static rd_kafka_event_t *next_event(const struct kafka_topic *ask) {
    rd_kafka_event_t *event = NULL;
    for (int ms = 0; event == NULL && ms < 2 * CALL_MS && !has_to_end(ask); ms += SLICE_MS)
        event = rd_kafka_queue_poll(ask->queue, SLICE_MS);
    return event;
}

/* The answer, or NULL with the reason. */
static rd_kafka_event_t *await(const struct kafka_topic *ask, const char *what, int *code,
                               struct err *err) {
    rd_kafka_event_t *event = next_event(ask);
    rd_kafka_resp_err_t error =
        event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return event;
    *code = cannot(ask, what, error, err);
    if (event != NULL) rd_kafka_event_destroy(event);
    return NULL;
}

static rd_kafka_AdminOptions_t *admin_options(const struct kafka_topic *ask,
                                              rd_kafka_admin_op_t operation) {
    char unheard[100];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(ask->client, operation);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, CALL_MS, unheard, sizeof unheard);
    return options;
}

static int look_at_settings(const struct kafka_topic *ask, struct err *err) {
    int code = 0;
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, ask->options->topic);
    rd_kafka_AdminOptions_t *options = admin_options(ask, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(ask->client, &resource, 1, options, ask->queue);
    rd_kafka_event_t *event = await(ask, "cannot be asked for its settings", &code, err);
    if (event != NULL) {
        code = check_settings(ask, event, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return code;
}

/* ---- Making it ---- */

/* That another has just made it is as good. */
static int check_made(const struct kafka_topic *ask, const rd_kafka_event_t *event,
                      struct err *err) {
    size_t count = 0;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result((rd_kafka_event_t *)(uintptr_t)event), &count);
    rd_kafka_resp_err_t code =
        count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    return cannot(ask, "cannot be made", code, err);
}

static int make(const struct kafka_topic *ask, struct err *err) {
    char why[200];
    int code = 0;
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(ask->options->topic, 1, (int)ask->options->replicas, why, sizeof why);
    if (topic == NULL)
        return err_set(err, -EINVAL, "kafka: topic %s cannot be made: %s", ask->options->topic,
                       why);
    for (size_t i = 0; i < SETTINGS; i++)
        if (ask->wanted.settings[i].is_needed)
            (void)rd_kafka_NewTopic_set_config(topic, ask->wanted.settings[i].name,
                                               ask->wanted.settings[i].value);
    rd_kafka_AdminOptions_t *options = admin_options(ask, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(ask->client, &topic, 1, options, ask->queue);
    rd_kafka_event_t *event = await(ask, "cannot be made", &code, err);
    if (event != NULL) {
        code = check_made(ask, event, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return code;
}

/* ---- Until it is known ---- */

static int ensure_once(struct kafka_topic *ask, bool may_create, struct err *err) {
    int code = look(ask, err);
    if (code != -EAGAIN) kafka_obstacle_forget(&ask->obstacle);
    if (code == -ENOENT && may_create) {
        code = make(ask, err);
        /* The brokers tell each other: asked again after a pause. */
        return code == 0 ? err_set(err, -EAGAIN, "kafka: topic %s has just been made",
                                   ask->options->topic)
                         : code;
    }
    return code == 0 ? look_at_settings(ask, err) : code;
}

/* False when it is time to give up. Whoever waits for long says for what. */
static bool goes_on(struct kafka_topic *ask, const struct err *err) {
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    kafka_obstacle_listen(&ask->obstacle, ask->client);
    if (now_ns >= ask->until_ns || kafka_obstacle_is_final(&ask->obstacle)) return false;
    if (now_ns >= ask->tell_ns) {
        ask->tell_ns = now_ns + TELL_EVERY_MS * UINT64_C(1000000);
        logger_line(LOG_WARN, "kafka", "event=brokers_awaited text=\"%s\"",
                    ask->obstacle.code != 0 ? ask->obstacle.text : err->text);
    }
    return true;
}

static int start(struct kafka_topic *ask, const struct kafka_options *options, struct err *err) {
    *ask = (struct kafka_topic){.options = options};
    want(&ask->wanted, options);
    rd_kafka_conf_t *conf = kafka_conf_new(options, NULL, 0, err);
    if (conf == NULL) return err->code;
    kafka_obstacle_watch(&ask->obstacle, options, conf);
    ask->client = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
    return ask->client == NULL ? err->code : 0;
}

int kafka_topic_ensure(const struct kafka_options *options, bool may_create, uint32_t wait_ms,
                       struct err *err) {
    struct kafka_topic ask;
    int code = start(&ask, options, err);
    if (code != 0) return code;
    ask.queue = rd_kafka_queue_new(ask.client);
    ask.until_ns = clock_monotonic_ns(&clock_system) + wait_ms * UINT64_C(1000000);
    ask.tell_ns = clock_monotonic_ns(&clock_system) + TELL_EVERY_MS * UINT64_C(1000000);
    while ((code = ensure_once(&ask, may_create, err)) == -EAGAIN && goes_on(&ask, err))
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    if (code == -EAGAIN) code = kafka_obstacle_tell(&ask.obstacle, err);
    rd_kafka_queue_destroy(ask.queue);
    rd_kafka_destroy(ask.client);
    return code;
}

/* ---- Again and again ---- */

int kafka_topic_open(struct kafka_topic **topic, const struct kafka_options *options,
                     const atomic_bool *stops, struct err *err) {
    struct kafka_topic *made = malloc(sizeof *made);
    if (made == NULL) return err_set(err, -ENOMEM, "no memory for a client of Kafka");
    int code = start(made, options, err);
    made->stops = stops;
    if (code == 0)
        *topic = made;
    else
        free(made);
    return code;
}

/* With a queue of its own: what is answered too late is no answer to the next question. */
int kafka_topic_check(struct kafka_topic *topic, struct err *err) {
    kafka_obstacle_listen(&topic->obstacle, topic->client);
    topic->queue = rd_kafka_queue_new(topic->client);
    int code = ensure_once(topic, false, err);
    if (code == -EAGAIN) code = kafka_obstacle_tell(&topic->obstacle, err);
    rd_kafka_queue_destroy(topic->queue);
    return code;
}

void kafka_topic_close(struct kafka_topic *topic) {
    if (topic == NULL) return;
    rd_kafka_destroy(topic->client);
    free(topic);
}
