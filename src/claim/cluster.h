/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine of a cluster: what engine.h is to one machine, for any number of servers that share a
 * Redis Cluster and a topic of Kafka.
 *
 *     claim --> the view knows? --> answer
 *       |
 *       +--> Redis: a serial, or no --> the topic --> back by the tail --> the judge --> answer
 *
 * - **PASS is told only of what the tail has brought back and the judge found VALID** (I3), whoever
 *   had written it. What Redis says is a reservation and may be lost, forked or wiped.
 * - A claim whose record was refused because its reservations were of an older incarnation is made
 *   again; nobody has been told anything.
 * - An event whose reservations are behind the log, or gone, or handed out by another process than
 *   they were installed into, is recovered: a FENCE, of which the log accepts one, and then the
 * state of the judge at that FENCE in the place of whatever Redis has. Control records take the
 * same way; there is no second one.
 * - Reservations that nobody wrote into the topic (their server died, or the topic was away) are
 *   found in the outbox of their event and written by whoever looks first.
 * - Every claim ends within `answer_ms`: CLAIM_PENDING when a reservation may exist, else
 *   CLAIM_UNAVAILABLE. Never "no" on doubt (I5).
 *
 * One thread owns it from engine_thread_start on; cluster_new reads the topic before that.
 */
#pragma once

#include <stdint.h>

#include "claim/engine_ops.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/random.h"
#include "lib/redis/cluster.h"
#include "log/kafka.h"

struct cluster;
struct consumed;

struct cluster_options {
    struct view *view; /* empty; the engine's own from here on */
    struct hash_key hash_key;
    const struct clock *clock;
    struct random_source *random;
    struct kafka_options kafka;              /* the topic is there and was checked */
    const char *redis;                       /* seeds */
    const char *redis_user, *redis_password; /* or NULL */
    struct tls_client *redis_tls;            /* or NULL */
    uint32_t claims_max;                     /* under way at once */
    uint32_t winners_max;  /* of these, with a record on its way; beyond, nothing is reserved */
    uint32_t answer_ms;    /* the longest that a claim takes */
    uint32_t install_part; /* holders that one command brings */
    uint64_t archive_s;    /* what the keys of an event that is over have left; 0: no end */
    const struct consumed *consumed; /* which wait for them (settings_watch.h); NULL: for nobody */
    uint32_t stall_ms;               /* how long reading the topic at start may stand still */
};

/* Opens both, and reads the topic into the view. Nothing is owned; texts must outlive it. 0, or a
 * negative errno with words. */
int cluster_new(struct cluster **cluster, const struct cluster_options *options,
                struct err *err) MUST_CHECK;
/* Also waits up to `wait_ms` for what is on its way to the topic. */
void cluster_free(struct cluster *cluster, uint32_t wait_ms);

/* For engine_thread_options: make with this, and the rest. */
void *cluster_attach(struct cluster *cluster, const struct engine_sink *sink);
extern const struct engine_ops engine_cluster_ops;
struct log *cluster_log(struct cluster *cluster);
void cluster_wait(void *cluster, int timeout_ms);
void cluster_wake(void *cluster);

/* What /health and /metrics ask for. Any thread may read them. */
struct cluster_counts {
    struct counter published;     /* records of wins written, for whoever reserved them */
    struct counter relayed;       /* of these, out of an outbox */
    struct counter not_records;   /* lay in the topic and were none */
    struct counter fences;        /* written */
    struct counter installs;      /* that Redis took over */
    struct counter archived;      /* events whose keys were given an end */
    struct counter claims_again;  /* made again after their record was refused */
    struct counter winners;       /* gauge: with a record on its way */
    struct counter seq, end_seq;  /* gauges: of the tail, and of the topic */
    struct counter confirmed_ns;  /* gauge: kafka_log_state's, monotonic */
    struct counter slots_covered; /* gauge: slots of Redis that have a master */
};
const struct cluster_counts *cluster_counts(const struct cluster *cluster);
/* How long ago it was known that the tail had read all there was. */
uint64_t cluster_tail_age_ns(const struct cluster *cluster, const struct clock *clock);

/* What an older tail means. */
enum {
    CLUSTER_CURRENT_MS = 1000, /* a view this old says no by itself no longer: Redis does */
    CLUSTER_PATIENT_MS = 5000, /* a winner is told to ask later at once, instead of after a wait */
    CLUSTER_READY_MS = 10000,  /* this server asks to be left alone */
    CLUSTER_CLOCKS_MS = 1000,  /* by how much the clocks of servers and of Redis may differ */
};
const struct redis_counts *cluster_redis_counts(const struct cluster *cluster);
