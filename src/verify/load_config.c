/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Files besides the connections: standard ones, one epoll for each thread, the export, slack. */
enum { FILES_BESIDES = 96 };

static uint64_t number(const struct options *options, const char *name) {
    return (uint64_t)options_get(options, name)->number;
}

static int resolve(struct load_config *config, struct err *err) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const struct http_url *url = &config->url;
    int failed = getaddrinfo(url->host, url->port, &hints, &found);
    if (failed != 0)
        return err_set(err, -EHOSTUNREACH, "--url: %s: %s", url->host, gai_strerror(failed));
    memcpy(&config->address, found->ai_addr, found->ai_addrlen);
    config->address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    if (config->address.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &config->address, sizeof in);
        config->is_loopback = ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    bool is_ipv6 = strchr(url->host, ':') != NULL;
    snprintf(config->host, sizeof config->host, is_ipv6 ? "[%s]:%s" : "%s:%s", url->host,
             url->port);
    return 0;
}

static int read_target(struct load_config *config, const struct options *options, struct err *err) {
    const char *url = options_get(options, "url")->text;
    config->event = options_get(options, "event")->text;
    if (config->event == NULL) return err_set(err, -EINVAL, "--event EVENT is missing");
    int failed = http_url_parse(&config->url, url, err);
    if (failed != 0) return failed;
    if (config->url.path[0] != '\0' && strcmp(config->url.path, "/") != 0)
        return err_set(err, -EINVAL, "--url %s: no path, please", url);
    config->url.path[0] = '\0';
    return resolve(config, err);
}

/* Random users, so that a second run does not only measure "you have it already". */
static void read_seed(struct load_config *config, const struct options *options,
                      struct random_source *random) {
    const struct option_value *seed = options_get(options, "seed");
    const struct option_value *prefix = options_get(options, "user-prefix");
    if (seed->source == OPTION_DEFAULT)
        random_fill(random, &config->seed, sizeof config->seed);
    else
        config->seed = (uint64_t)seed->number;
    config->is_prefix_random = prefix->text == NULL && seed->source == OPTION_DEFAULT;
    if (prefix->text != NULL)
        snprintf(config->prefix, sizeof config->prefix, "%s", prefix->text);
    else
        snprintf(config->prefix, sizeof config->prefix, "r%012" PRIx64 "-",
                 config->seed & UINT64_C(0xffffffffffff));
}

static void read_amounts(struct load_config *config, const struct options *options) {
    config->users = (uint32_t)number(options, "users");
    config->connections = (uint32_t)number(options, "connections");
    config->pipeline = (uint32_t)number(options, "pipeline");
    config->threads = (uint32_t)size_max(1, number(options, "threads"));
    config->rate = options_get(options, "rate")->decimal;
    config->duration_ns = number(options, "duration") * UINT64_C(1000000);
    config->timeout_ns = number(options, "timeout") * UINT64_C(1000000);
    config->retries = options_get(options, "retries")->decimal;
    config->duplicates = options_get(options, "duplicates")->decimal;
    config->bad = options_get(options, "bad")->decimal;
    config->busy_rounds_max = (uint32_t)number(options, "busy-retries");
    config->is_shared = number(options, "shared") != 0;
    config->claims = number(options, "requests");
    if (config->claims == 0) config->claims = config->duration_ns != 0 ? UINT64_MAX : config->users;
}

static int check_amounts(struct load_config *config, struct err *err) {
    if (config->threads > config->connections) config->threads = config->connections;
    if (config->threads > config->users) config->threads = config->users;
    if (config->claims < config->threads) config->threads = 1;
    if (config->connections > 250u * 256u * 1000u) return err_set(err, -EINVAL, "--connections");
    return 0;
}

static int read_admin(struct load_config *config, const struct options *options, struct err *err) {
    const struct option_value *admin = options_get(options, "admin");
    const struct option_value *token_file = options_get(options, "token-file");
    config->is_admin_explicit =
        admin->source != OPTION_DEFAULT || token_file->source != OPTION_DEFAULT;
    config->token_file = token_file->text;
    config->token = options_get(options, "admin-token")->text;
    config->data_folder = options_get(options, "data-dir")->text;
    config->wants_export = number(options, "verify-export") != 0;
    return http_url_parse(&config->admin, admin->text, err);
}

int load_config_read(struct load_config *config, const struct options *options,
                     struct random_source *random, struct err *err) {
    *config = (struct load_config){0};
    const struct option_value *progress = options_get(options, "progress");
    config->json_file = options_get(options, "json")->text;
    config->history_file = options_get(options, "history")->text;
    config->shows_progress =
        progress->source == OPTION_DEFAULT ? isatty(STDERR_FILENO) == 1 : progress->number != 0;
    config->jwt_keys = options_get(options, "jwt-keys")->text;
    config->jwt_audience = options_get(options, "jwt-audience")->text;
    read_seed(config, options, random);
    read_amounts(config, options);
    int failed = check_amounts(config, err);
    if (failed == 0) failed = read_admin(config, options, err);
    if (failed == 0) failed = read_target(config, options, err);
    return failed;
}

void load_config_fit_files(struct load_config *config) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    rlim_t room = limit.rlim_cur > FILES_BESIDES ? limit.rlim_cur - FILES_BESIDES : 1;
    if (config->connections <= room) return;
    fprintf(stderr,
            "coupond load: %" PRIu32 " connections do not fit the limit of %ju open files: using "
            "%ju; raise it (ulimit -Hn) or start more processes\n",
            config->connections, (uintmax_t)limit.rlim_cur, (uintmax_t)room);
    config->connections = (uint32_t)room;
    if (config->threads > config->connections) config->threads = config->connections;
}
