/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Redis Cluster has of an event, in the words of the last stage (verify/decision.h): read by
 * one script at one moment, which changes nothing. For whoever asks now and then and may wait; a
 * server's own claims take another way (cluster.h).
 *
 * An event with many holders is one long reply, and its node does nothing else meanwhile: some
 * 0.4 s at 200,000.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/redis/cluster.h"
#include "lib/tls.h"
#include "verify/decision.h"

struct redisReply;

struct snapshots_options {
    const char *seeds, *user, *password; /* the latter two, or NULL */
    struct tls_client *tls;              /* or NULL */
    uint32_t timeout_ms;                 /* of one question */
    uint32_t holders_max; /* of an event with more, only its state is read; 0: any number */
};

/* A Redis Cluster, as a source for verify/. */
struct snapshots {
    struct snapshots_options options;
    char holders_max[11]; /* as the script wants it */
    struct sockets *sockets;
    struct redis_cluster *redis;
};

/* Zeroed memory is closed. 0, or a negative errno with words. */
int snapshots_open(struct snapshots *from, const struct snapshots_options *options,
                   struct err *err) MUST_CHECK;
void snapshots_close(struct snapshots *from);

/* reserve_source.read; `ctx` is a struct snapshots. */
int snapshots_read(void *ctx, struct slice event_id, const struct reserve_sink *sink,
                   struct err *err);

/* Sends one request and waits for what comes of it, given to `on_reply` (returns 0, or a failure
 * told in err). */
int snapshots_ask(struct snapshots *from, const struct redis_request *request,
                  int (*on_reply)(void *ctx, const struct redisReply *reply, struct err *err),
                  void *ctx, struct err *err) MUST_CHECK;

/* Hands a reply of the script to the sink. False when it is none. */
bool snapshot_read(const struct redisReply *reply, const struct reserve_sink *sink);
