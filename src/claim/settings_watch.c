/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/settings_watch.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/logger.h"
#include "lib/redis/slot_map.h"
#include "lib/stopper.h"
#include "log/kafka_members.h"

enum {
    CONSUMERS_MS = 1000,  /* each of two questions, which nothing interrupts */
    REDIS_LOOK_MS = 3000, /* all masters together; who is silent is not waited for any longer */
    POLICY_BYTES = 32,
};

/* What the last look that came to an end has found. */
struct finding {
    bool is_wrong;
    char text[SETTINGS_TEXT_BYTES];
};

struct settings_watch {
    struct settings_watch_options options;
    struct kafka_topic *topic;
    struct kafka_members *consumers;
    struct snapshots redis;
    pthread_t thread;
    bool has_thread;
    struct stopper stopper;
    pthread_mutex_t mutex; /* of what follows */
    struct finding of_topic, of_redis;
};

static uint64_t now_ms(void) {
    return clock_monotonic_ns(&clock_system) / 1000000;
}

/* ---- What is found ---- */

static void keep(struct settings_watch *watch, struct finding *finding, const char *what,
                 const struct err *wrong) {
    bool is_wrong = wrong != NULL;
    pthread_mutex_lock(&watch->mutex);
    bool is_news =
        is_wrong != finding->is_wrong || (is_wrong && strcmp(finding->text, wrong->text) != 0);
    finding->is_wrong = is_wrong;
    if (is_wrong) memcpy(finding->text, wrong->text, sizeof finding->text);
    pthread_mutex_unlock(&watch->mutex);
    if (is_news && is_wrong)
        logger_line(LOG_ERROR, "cluster",
                    "event=setting_wrong text=\"%s\" action=\"no event is opened\"", wrong->text);
    else if (is_news)
        logger_line(LOG_INFO, "cluster", "event=setting_right of=%s", what);
}

static void cannot_ask(const struct err *err) {
    static struct logger_limit limit;
    logger_line_limited(&limit, LOG_WARN, "cluster", "event=settings_not_asked text=\"%s\"",
                        err->text);
}

/* ---- The topic ---- */

/* False when the brokers cannot be asked. */
static bool look_at_topic(struct settings_watch *watch) {
    struct err err = {0};
    int code = kafka_topic_check(watch->topic, &err);
    if (atomic_load(&watch->stopper.is_stopping)) return false;
    if (code == 0)
        keep(watch, &watch->of_topic, "topic", NULL);
    else if (code == -EINVAL)
        keep(watch, &watch->of_topic, "topic", &err);
    else
        cannot_ask(&err);
    return code == 0 || code == -EINVAL;
}

static void look_at_consumers(struct settings_watch *watch) {
    struct err err = {0};
    uint64_t asked_ns = clock_monotonic_ns(&clock_system), seq;
    int code = kafka_members_done(watch->consumers, CONSUMERS_MS, &seq, &err);
    if (atomic_load(&watch->stopper.is_stopping)) return;
    if (code != 0) {
        cannot_ask(&err);
        return;
    }
    atomic_store(&watch->options.consumed->seq, seq); /* the offset behind a record is its seq */
    atomic_store(&watch->options.consumed->asked_ns, asked_ns);
}

/* ---- Redis ---- */

static int on_info(void *ctx, const struct redisReply *reply, struct err *err) {
    static const char field[] = "maxmemory_policy:";
    char *policy = ctx;
    const char *at = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, field) : NULL;
    if (at == NULL) return err_set(err, -EBADMSG, "redis: INFO tells of no maxmemory_policy");
    at += sizeof field - 1;
    size_t n = size_min(strcspn(at, "\r\n"), POLICY_BYTES - 1);
    memcpy(policy, at, n);
    policy[n] = '\0';
    return 0;
}

/* `address` is who was asked, "" when another one took over meanwhile: then nobody knows. */
static int ask_policy(struct settings_watch *watch, uint16_t slot, char policy[POLICY_BYTES],
                      char address[REDIS_ADDRESS_TEXT_BYTES], struct err *err) {
    static const struct slice words[] = {{"INFO", 4}, {"memory", 6}};
    char after[REDIS_ADDRESS_TEXT_BYTES];
    const struct redis_request request = {
        .slot = &slot,
        .words = words,
        .words_count = ARRAY_LEN(words),
        .is_repeatable = true,
    };
    redis_cluster_master_of(watch->redis.redis, slot, address);
    int code = snapshots_ask(&watch->redis, &request, on_info, policy, err);
    redis_cluster_master_of(watch->redis.redis, slot, after);
    if (strcmp(address, after) != 0) address[0] = '\0';
    return code;
}

/* Before anything has been asked nobody is known: the first question waits for the map. */
static uint32_t find_masters(struct settings_watch *watch, uint16_t slots[REDIS_NODES_MAX],
                             struct err *err) {
    char policy[POLICY_BYTES], address[REDIS_ADDRESS_TEXT_BYTES];
    uint32_t count = redis_cluster_masters(watch->redis.redis, slots, REDIS_NODES_MAX);
    if (count > 0) return count;
    if (ask_policy(watch, 0, policy, address, err) != 0) cannot_ask(err);
    return redis_cluster_masters(watch->redis.redis, slots, REDIS_NODES_MAX);
}

/* A master that does not answer is passed over: its slots are about to have another one, and where
 * they have not, nothing is opened anyway. */
static void look_at_redis(struct settings_watch *watch) {
    struct err wrong = {0}, err = {0};
    uint16_t slots[REDIS_NODES_MAX];
    uint64_t until_ms = now_ms() + REDIS_LOOK_MS;
    uint32_t count = find_masters(watch, slots, &err), asked = 0;
    for (uint32_t i = 0; i < count && now_ms() < until_ms; i++) {
        char policy[POLICY_BYTES], address[REDIS_ADDRESS_TEXT_BYTES];
        if (atomic_load(&watch->stopper.is_stopping)) return;
        if (ask_policy(watch, slots[i], policy, address, &err) != 0) {
            cannot_ask(&err);
            continue;
        }
        if (address[0] == '\0') continue;
        asked++;
        if (strcmp(policy, "noeviction") != 0 && wrong.code == 0)
            err_set(&wrong, -EINVAL,
                    "redis: node %s has maxmemory-policy=%s and must have noeviction: change it",
                    address, policy);
    }
    if (asked > 0) keep(watch, &watch->of_redis, "redis", wrong.code != 0 ? &wrong : NULL);
}

/* ---- Life ---- */

/* Consumers are asked after the settings, for which somebody may wait. */
static void look(struct settings_watch *watch) {
    bool answers = look_at_topic(watch);
    look_at_redis(watch);
    if (answers) look_at_consumers(watch);
}

static void *run(void *argument) {
    struct settings_watch *watch = argument;
    (void)pthread_setname_np(pthread_self(), "settings");
    while (stopper_rest(&watch->stopper, watch->options.every_ms)) look(watch);
    return NULL;
}

int settings_watch_start(struct settings_watch **made, const struct settings_watch_options *options,
                         struct err *err) {
    struct settings_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) return err_set(err, -ENOMEM, "no memory for a thread");
    watch->options = *options;
    stopper_init(&watch->stopper);
    pthread_mutex_init(&watch->mutex, NULL);
    int code = kafka_topic_open(&watch->topic, options->kafka, &watch->stopper.is_stopping, err);
    if (code == 0)
        code = kafka_members_open(&watch->consumers, options->kafka, options->group, err);
    if (code == 0) code = snapshots_open(&watch->redis, &options->redis, err);
    if (code == 0) {
        (void)look_at_topic(watch);
        look_at_redis(watch);
        watch->has_thread = pthread_create(&watch->thread, NULL, run, watch) == 0;
        if (!watch->has_thread) code = err_set(err, -EAGAIN, "cannot start a thread");
    }
    if (code == 0)
        *made = watch;
    else
        settings_watch_stop(watch);
    return code;
}

void settings_watch_stop(struct settings_watch *watch) {
    if (watch == NULL) return;
    stopper_stop(&watch->stopper);
    if (watch->has_thread) pthread_join(watch->thread, NULL);
    kafka_members_close(watch->consumers);
    kafka_topic_close(watch->topic);
    snapshots_close(&watch->redis);
    stopper_deinit(&watch->stopper);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}

bool settings_watch_has_wrong(struct settings_watch *watch, char text[SETTINGS_TEXT_BYTES]) {
    pthread_mutex_lock(&watch->mutex);
    const struct finding *finding = watch->of_topic.is_wrong ? &watch->of_topic : &watch->of_redis;
    bool is_wrong = finding->is_wrong;
    if (is_wrong) memcpy(text, finding->text, SETTINGS_TEXT_BYTES);
    pthread_mutex_unlock(&watch->mutex);
    return is_wrong;
}
