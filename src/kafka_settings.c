/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka_settings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/secret_file.h"
#include "password_file.h"

enum { MESSAGE_TIMEOUT_MS = 5000, SOCKET_TIMEOUT_MS = 3000 };

static const char *mechanism_of(const char *chosen) {
    return strcmp(chosen, "plain") == 0           ? "PLAIN"
           : strcmp(chosen, "scram-sha-256") == 0 ? "SCRAM-SHA-256"
                                                  : "SCRAM-SHA-512";
}

static int check_file(const char *option, const char *path, struct err *err) {
    if (path == NULL || access(path, R_OK) == 0) return 0;
    return err_set(err, -EINVAL, "--%s: cannot read %s: %s", option, path, strerror(errno));
}

/* It is a secret: a file that others may read is none. */
static int check_key(const char *path, struct err *err) {
    struct err why = {0};
    if (path == NULL) return 0;
    int fd = secret_file_open(path, &why);
    if (fd < 0) return err_set(err, -EINVAL, "--kafka-key: %s", why.text);
    close(fd);
    return 0;
}

int kafka_settings_init(struct kafka_settings *settings, const struct options *options,
                        struct err *err) {
    const char *brokers = options_get(options, "kafka")->text;
    const char *user = options_get(options, "kafka-user")->text;
    const char *password_file = options_get(options, "kafka-password-file")->text;
    const char *ca_file = options_get(options, "kafka-ca")->text;
    *settings = (struct kafka_settings){0};
    if (brokers == NULL) return err_set(err, -EINVAL, "--kafka HOST:PORT says where the log is");
    const char *cert_file = options_get(options, "kafka-cert")->text;
    const char *key_file = options_get(options, "kafka-key")->text;
    const char *mechanism = options_get(options, "kafka-mechanism")->text;
    if ((user == NULL) != (password_file == NULL))
        return err_set(err, -EINVAL, "--kafka-user and --kafka-password-file need each other");
    if ((cert_file == NULL) != (key_file == NULL))
        return err_set(err, -EINVAL, "--kafka-cert and --kafka-key need each other");
    if (cert_file != NULL && ca_file == NULL)
        return err_set(err, -EINVAL, "--kafka-cert is for TLS: --kafka-ca is missing");
    if (user != NULL && ca_file == NULL && strcmp(mechanism, "plain") == 0)
        return err_set(err, -EINVAL,
                       "--kafka-mechanism plain sends the password as it is: only with TLS, "
                       "--kafka-ca");
    int code = check_file("kafka-ca", ca_file, err);
    if (code == 0) code = check_file("kafka-cert", cert_file, err);
    if (code == 0) code = check_key(key_file, err);
    if (code != 0) return code;
    settings->options = (struct kafka_options){
        .brokers = brokers,
        .topic = options_get(options, "kafka-topic")->text,
        .user = user,
        .password = user == NULL ? NULL : settings->password,
        .mechanism = mechanism_of(mechanism),
        .ca_file = ca_file,
        .cert_file = cert_file,
        .key_file = key_file,
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
