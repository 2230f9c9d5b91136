/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_obstacle.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"

enum {
    FINAL_MS = 3000,
    SCRAM_IS_RIGHT = 0x02060100, /* the first librdkafka that sends the nonce as RFC 5802 has it */
};

static void note(struct kafka_obstacle *obstacle, int code, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void note(struct kafka_obstacle *obstacle, int code, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(obstacle->text, sizeof obstacle->text, format, list);
    va_end(list);
    if (code == -EACCES && obstacle->code != -EACCES)
        obstacle->refused_ns = clock_monotonic_ns(&clock_system);
    obstacle->code = code;
}

/* ---- What it is ---- */

/* Without "sasl_ssl://host:port/bootstrap: ", which is said already, and what is in brackets
 * behind it, which are times. */
static void core_of(const char *reason, char core[200]) {
    const char *behind = strstr(reason, "/bootstrap: ");
    snprintf(core, 200, "%s", behind == NULL ? reason : behind + strlen("/bootstrap: "));
    char *times = strstr(core, " (after ");
    if (times != NULL) *times = '\0';
}

static void on_login(struct kafka_obstacle *obstacle, const char *reason) {
    const struct kafka_options *options = obstacle->options;
    bool is_scram = options->mechanism != NULL && strncmp(options->mechanism, "SCRAM", 5) == 0;
    const char *hint = is_scram && rd_kafka_version() < SCRAM_IS_RIGHT &&
                               strstr(reason, "invalid credentials") != NULL
                           ? "; a right password is refused too where Kafka is 4 or newer and "
                             "librdkafka older than 2.6.1, as it is here: --kafka-mechanism plain, "
                             "or --kafka-cert"
                           : "";
    note(obstacle, -EACCES,
         "kafka: %.100s: the log-in as %.60s is refused (--kafka-user, --kafka-password-file, "
         "--kafka-mechanism): %.120s%s",
         options->brokers, options->user == NULL ? "nobody" : options->user, reason, hint);
}

static bool is_of_name(int certificate) {
    return certificate == X509_V_ERR_HOSTNAME_MISMATCH ||
           certificate == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

static void on_tls(struct kafka_obstacle *obstacle, const char *reason) {
    const struct kafka_options *options = obstacle->options;
    int certificate = atomic_load(&obstacle->certificate);
    if (is_of_name(certificate))
        note(obstacle, -EACCES,
             "kafka: the broker's certificate is not for the name that --kafka %.200s has",
             options->brokers);
    else if (certificate != X509_V_OK)
        note(obstacle, -EACCES,
             "kafka: %.100s: the broker's certificate is not one of the authority in --kafka-ca "
             "%.100s: %s",
             options->brokers, options->ca_file, X509_verify_cert_error_string(certificate));
    else
        note(obstacle, -EACCES,
             "kafka: %.100s: no TLS (--kafka-ca, where brokers ask for a certificate --kafka-cert "
             "and --kafka-key; a port without TLS wants none of them): %.160s",
             options->brokers, reason);
}

static void on_transport(struct kafka_obstacle *obstacle, const char *reason) {
    const struct kafka_options *options = obstacle->options;
    bool hangs_up = strncmp(reason, "Disconnected", 12) == 0;
    bool says_nothing =
        strstr(reason, "brokers are down") != NULL || strncmp(reason, "Send failed", 11) == 0;
    if (obstacle->code != 0 && says_nothing) return; /* why they are has been said better */
    if (strstr(reason, "alert") != NULL && strstr(reason, "certificate") != NULL)
        note(obstacle, -EACCES,
             "kafka: %.100s: the broker wants another certificate of us (--kafka-cert, "
             "--kafka-key): %.160s",
             options->brokers, reason);
    else if (strstr(reason, "Timed out") != NULL)
        note(obstacle, -EAGAIN,
             "kafka: --kafka %.200s: the brokers take connections and are silent",
             options->brokers);
    else if (hangs_up)
        note(obstacle, -EAGAIN, "kafka: %.200s: the broker hangs up: does it want %s?",
             options->brokers,
             options->ca_file == NULL ? "TLS (--kafka-ca) or a log-in (--kafka-user)"
             : options->user == NULL  ? "a log-in (--kafka-user) or a certificate (--kafka-cert)"
                                      : "TLS and a log-in (--kafka-ca, --kafka-user)");
    else
        note(obstacle, -EAGAIN, "kafka: --kafka %.160s: %.160s", options->brokers, reason);
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *ctx) {
    struct kafka_obstacle *obstacle = ctx;
    char core[200];
    (void)client;
    core_of(reason, core);
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        on_login(obstacle, core);
    else if (code == RD_KAFKA_RESP_ERR__SSL)
        on_tls(obstacle, core);
    else
        on_transport(obstacle, core);
}

/* Called by librdkafka's own threads. It decides nothing: what OpenSSL found wrong stays wrong. */
static int on_certificate(rd_kafka_t *client, const char *broker, int32_t id, int *error, int depth,
                          const char *bytes, size_t bytes_count, char *why, size_t why_bytes,
                          void *ctx) {
    struct kafka_obstacle *obstacle = ctx;
    (void)client, (void)broker, (void)id, (void)depth, (void)bytes, (void)bytes_count;
    if (*error == X509_V_OK) return 1;
    atomic_store(&obstacle->certificate, *error);
    snprintf(why, why_bytes, "%s", X509_verify_cert_error_string(*error));
    return 0;
}

static void no_line(const rd_kafka_t *client, int level, const char *facility, const char *text) {
    (void)client, (void)level, (void)facility, (void)text;
}

/* ---- Its life ---- */

void kafka_obstacle_watch(struct kafka_obstacle *obstacle, const struct kafka_options *options,
                          rd_kafka_conf_t *conf) {
    *obstacle = (struct kafka_obstacle){.options = options};
    rd_kafka_conf_set_opaque(conf, obstacle);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, no_line);
    (void)rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
}

void kafka_obstacle_listen(struct kafka_obstacle *obstacle, rd_kafka_t *client) {
    (void)obstacle;
    while (rd_kafka_poll(client, 0) > 0) {
    }
}

void kafka_obstacle_forget(struct kafka_obstacle *obstacle) {
    obstacle->code = 0;
}

bool kafka_obstacle_is_final(const struct kafka_obstacle *obstacle) {
    return obstacle->code == -EACCES &&
           clock_monotonic_ns(&clock_system) - obstacle->refused_ns >= FINAL_MS * UINT64_C(1000000);
}

int kafka_obstacle_tell(const struct kafka_obstacle *obstacle, struct err *err) {
    if (obstacle->code == 0) return err->code;
    return err_set(err, obstacle->code, "%s", obstacle->text);
}
