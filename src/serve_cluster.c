/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "claim/install.h"
#include "log/kafka.h"

enum {
    BROKERS_MS = 30000,
    STALL_MS = 15000,
    FLUSH_MS = 5000,
    SETTINGS_EVERY_MS = 3000,
    SETTINGS_REDIS_MS = 1000, /* a node's answer */
};

static const char *text(const struct options *options, const char *name) {
    return options_get(options, name)->text;
}

bool serve_is_cluster(const struct options *options) {
    return strcmp(text(options, "mode"), "cluster") == 0;
}

int serve_cluster_check(const struct options *options, struct err *err) {
    static const char *const needed[] = {"redis", "kafka"};
    bool is_cluster = serve_is_cluster(options);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        bool is_there = text(options, needed[i]) != NULL;
        if (is_cluster && !is_there)
            return err_set(err, -EINVAL, "--mode cluster needs --%s HOST:PORT,…", needed[i]);
        if (!is_cluster && is_there)
            return err_set(err, -EINVAL, "--%s is for --mode cluster", needed[i]);
    }
    const char *audit = text(options, "audit");
    bool has_file = strcmp(audit, "on") != 0 && strcmp(audit, "off") != 0;
    if (!is_cluster && has_file) return err_set(err, -EINVAL, "--audit FILE is for --mode cluster");
    return redis_settings_check(options, err);
}

static int watch_settings(struct serve_cluster *cluster, const struct options *options,
                          struct err *err) {
    const struct settings_watch_options watched = {
        .kafka = &cluster->kafka.options,
        .redis = redis_settings_snapshots(&cluster->redis, SETTINGS_REDIS_MS),
        .every_ms = SETTINGS_EVERY_MS,
        .group = text(options, "kafka-group"),
        .consumed = &cluster->consumed,
    };
    return settings_watch_start(&cluster->settings, &watched, err);
}

int serve_cluster_open(struct serve_cluster *cluster, const struct options *options,
                       struct view *view, const struct hash_key *hash_key, uint32_t claims_max,
                       struct err *err) {
    int code = kafka_settings_init(&cluster->kafka, options, err);
    if (code == 0) code = redis_settings_init(&cluster->redis, options, err);
    if (code == 0) code = kafka_topic_ensure(&cluster->kafka.options, true, BROKERS_MS, err);
    if (code != 0) return code;
    code = cluster_new(
        &cluster->cluster,
        &(struct cluster_options){
            .view = view,
            .hash_key = *hash_key,
            .clock = &clock_system,
            .random = &random_system,
            .kafka = cluster->kafka.options,
            .redis = cluster->redis.seeds,
            .redis_user = cluster->redis.user,
            .redis_password = cluster->redis.password,
            .redis_tls = cluster->redis.tls,
            .claims_max = claims_max,
            .winners_max = (uint32_t)options_get(options, "winners-max")->number,
            /* A little less than a client's connection waits, so that "not now" and
             * "perhaps" are told apart. */
            .answer_ms = (uint32_t)options_get(options, "answer-timeout")->number * 9 / 10,
            .install_part = INSTALL_PART_HOLDERS,
            .archive_s = ((uint64_t)options_get(options, "archive-ttl")->number + 999) / 1000,
            .consumed = &cluster->consumed,
            .stall_ms = STALL_MS,
        },
        err);
    return code != 0 ? code : watch_settings(cluster, options, err);
}

int serve_cluster_audit(struct serve_cluster *cluster, const struct options *options,
                        uint32_t threads, struct err *err) {
    const char *wanted = text(options, "audit");
    if (strcmp(wanted, "off") == 0) return 0;
    bool is_usual = strcmp(wanted, "on") == 0;
    int n = snprintf(cluster->audit_path, sizeof cluster->audit_path, "%s%s",
                     is_usual ? text(options, "data-dir") : wanted, is_usual ? "/audit.log" : "");
    if (n < 0 || (size_t)n >= sizeof cluster->audit_path)
        return err_set(err, -EINVAL, "--audit: the name is too long");
    cluster->audit = audit_start(
        &(struct audit_options){.path = cluster->audit_path,
                                .topic = cluster->kafka.options.topic,
                                .file_bytes_max =
                                    (uint64_t)options_get(options, "audit-size")->number,
                                .threads_count = threads},
        err);
    return cluster->audit != NULL ? 0 : err->code;
}

void serve_cluster_close(struct serve_cluster *cluster) {
    settings_watch_stop(cluster->settings);
    cluster->settings = NULL;
    audit_stop(cluster->audit);
    cluster->audit = NULL;
    cluster_free(cluster->cluster, FLUSH_MS);
    cluster->cluster = NULL;
    redis_settings_deinit(&cluster->redis);
    kafka_settings_deinit(&cluster->kafka);
}
