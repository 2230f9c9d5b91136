/* SPDX-License-Identifier: Apache-2.0
 *
 * What `coupond serve --mode cluster` has in the place of journal and reserve: options read, files
 * of secrets, the topic checked, the engine of cluster.h made.
 */
#pragma once

#include <limits.h>

#include "claim/cluster.h"
#include "claim/settings_watch.h"
#include "kafka_settings.h"
#include "lib/options.h"
#include "record/audit.h"
#include "redis_settings.h"

struct serve_cluster {
    struct kafka_settings kafka;
    struct redis_settings redis;
    struct cluster *cluster; /* NULL until open */
    char audit_path[PATH_MAX];
    struct audit *audit;             /* NULL without one */
    struct settings_watch *settings; /* NULL until open */
    struct consumed consumed;        /* what it finds of the consumers */
};

bool serve_is_cluster(const struct options *options);

/* -EINVAL when options that belong together are not. Changes nothing. */
int serve_cluster_check(const struct options *options, struct err *err) MUST_CHECK;

/* Reads the topic into `view`. 0 or a negative errno that names the option. */
int serve_cluster_open(struct serve_cluster *cluster, const struct options *options,
                       struct view *view, const struct hash_key *hash_key, uint32_t claims_max,
                       struct err *err) MUST_CHECK;
/* What `threads` threads tell is noted, unless --audit off says otherwise. Once it is open. 0 or a
 * negative errno that names the option. */
int serve_cluster_audit(struct serve_cluster *cluster, const struct options *options,
                        uint32_t threads, struct err *err) MUST_CHECK;
/* When nobody tells or counts any more. */
void serve_cluster_close(struct serve_cluster *cluster);
