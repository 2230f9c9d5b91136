/* SPDX-License-Identifier: Apache-2.0
 *
 * What a load run is asked to do, from its options: read and checked once, then read by all.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/http/client.h"
#include "lib/options.h"
#include "lib/random.h"
#include "verify/load_request.h"

struct load_config {
    struct http_url url;
    struct sockaddr_storage address; /* of the url, resolved */
    socklen_t address_bytes;
    bool is_loopback; /* 127.0.0.0/8: connections are spread over source addresses */
    char host[300];   /* the Host field */

    const char *event;
    char prefix[REQUEST_USER_ID_BYTES_MAX + 1];
    bool is_prefix_random; /* nobody of this prefix can have claimed before */
    uint64_t seed;

    uint32_t users;
    uint64_t claims; /* UINT64_MAX: until the duration is over */
    uint32_t connections, pipeline, threads;
    double rate;          /* requests a second, all threads together; 0: closed loop */
    uint64_t duration_ns; /* 0: until all claims are answered */
    uint64_t timeout_ns;
    double retries, duplicates, bad;
    uint32_t busy_rounds_max; /* times a 429 or 503 is tried again */
    bool is_shared;           /* others claim at the same time */

    struct http_url admin;
    bool is_admin_explicit;  /* --admin or --token-file was given */
    const char *token_file;  /* NULL: not given */
    const char *token;       /* NULL: not given */
    const char *data_folder; /* where admin.token may be */
    bool wants_export;
    const char *jwt_keys, *jwt_audience; /* NULL: no tokens, no audience */
    const char *json_file;               /* NULL for none */
    const char *history_file;            /* NULL for none */
    bool shows_progress;
};

/* Reads the options of `coupond load`. -EINVAL with a sentence for a wrong use, another negative
 * errno when the host cannot be resolved. `random` is for what --seed does not fix. */
int load_config_read(struct load_config *config, const struct options *options,
                     struct random_source *random, struct err *err) MUST_CHECK;

/* Raises the limit of open files as far as it goes and lowers config->connections to what it then
 * allows; says so on stderr in one line when it does. */
void load_config_fit_files(struct load_config *config);
