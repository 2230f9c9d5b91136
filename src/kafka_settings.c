/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka_settings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "password_file.h"

enum { MESSAGE_TIMEOUT_MS = 5000, SOCKET_TIMEOUT_MS = 3000 };

int kafka_settings_init(struct kafka_settings *settings, const struct options *options,
                        struct err *err) {
    const char *brokers = options_get(options, "kafka")->text;
    const char *user = options_get(options, "kafka-user")->text;
    const char *password_file = options_get(options, "kafka-password-file")->text;
    const char *ca_file = options_get(options, "kafka-ca")->text;
    *settings = (struct kafka_settings){0};
    if (brokers == NULL) return err_set(err, -EINVAL, "--kafka HOST:PORT says where the log is");
    if ((user == NULL) != (password_file == NULL))
        return err_set(err, -EINVAL, "--kafka-user and --kafka-password-file need each other");
    if (ca_file != NULL && access(ca_file, R_OK) != 0)
        return err_set(err, -EINVAL, "--kafka-ca: cannot read %s: %s", ca_file, strerror(errno));
    settings->options = (struct kafka_options){
        .brokers = brokers,
        .topic = options_get(options, "kafka-topic")->text,
        .user = user,
        .password = user == NULL ? NULL : settings->password,
        .ca_file = ca_file,
        .replicas = (uint32_t)options_get(options, "kafka-replicas")->number,
        .in_sync_min = (uint32_t)options_get(options, "kafka-min-isr")->number,
        .flush_every = options_get(options, "kafka-flush")->number != 0,
        .message_timeout_ms = MESSAGE_TIMEOUT_MS,
        .socket_timeout_ms = SOCKET_TIMEOUT_MS,
    };
    if (password_file == NULL) return 0;
    return password_file_read("kafka-password-file", password_file, settings->password, err);
}

void kafka_settings_deinit(struct kafka_settings *settings) {
    explicit_bzero(settings->password, sizeof settings->password);
}
