/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_conf.h"

#include <errno.h>
#include <string.h>

#include "lib/logger.h"

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err) {
    char why[300];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK) return true;
    /* The reason names the setting; a password is never part of it. */
    err_set(err, -EINVAL, "kafka: %s", why);
    return false;
}

/* Librdkafka's own lines: what it says of brokers that come and go is none of ours. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text) {
    static struct logger_limit storms;
    (void)client;
    if (level > 4) return;
    char line[400];
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < sizeof line; n++) line[n] = text[n] == '"' ? '\'' : text[n];
    line[n] = '\0';
    logger_line_limited(&storms, LOG_WARN, "kafka", "event=client_says facility=%s text=\"%s\"",
                        facility, line);
}

static bool set_login(rd_kafka_conf_t *conf, const struct kafka_options *options, struct err *err) {
    bool has_tls = options->ca_file != NULL, has_user = options->user != NULL;
    const char *protocol = has_tls && has_user ? "sasl_ssl"
                           : has_tls           ? "ssl"
                           : has_user          ? "sasl_plaintext"
                                               : "plaintext";
    bool is_good = set(conf, "security.protocol", protocol, err);
    if (is_good && has_tls) is_good = set(conf, "ssl.ca.location", options->ca_file, err);
    if (is_good && options->cert_file != NULL)
        is_good = set(conf, "ssl.certificate.location", options->cert_file, err) &&
                  set(conf, "ssl.key.location", options->key_file, err);
    if (is_good && has_user)
        is_good = set(conf, "sasl.mechanism", options->mechanism, err) &&
                  set(conf, "sasl.username", options->user, err) &&
                  set(conf, "sasl.password", options->password, err);
    return is_good;
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_options *options,
                                const struct kafka_setting *settings, size_t count,
                                struct err *err) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool is_good =
        set(conf, "bootstrap.servers", options->brokers, err) &&
        set(conf, "client.id", "coupond", err) && set(conf, "socket.nagle.disable", "true", err) &&
        set(conf, "reconnect.backoff.ms", "50", err) &&
        set(conf, "reconnect.backoff.max.ms", "1000", err) && set_login(conf, options, err);
    for (size_t i = 0; i < count && is_good; i++)
        is_good = set(conf, settings[i].name, settings[i].value, err);
    if (!is_good) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

/* Librdkafka's own names of what our options say. */
static const char *option_of(const char *why) {
    static const struct {
        const char *theirs, *ours;
    } names[] = {{"ssl.ca.location", "--kafka-ca: "},
                 {"ssl.certificate.location", "--kafka-cert: "},
                 {"ssl.key.location", "--kafka-key: "}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strncmp(why, names[i].theirs, strlen(names[i].theirs)) == 0) return names[i].ours;
    return "";
}

rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct err *err) {
    char why[300];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (client != NULL) return client;
    rd_kafka_conf_destroy(conf);
    err_set(err, -EINVAL, "%skafka: %s", option_of(why), why);
    return NULL;
}
