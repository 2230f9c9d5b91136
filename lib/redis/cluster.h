/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of a Redis Cluster, for one thread that owns it, its sockets and its time.
 *
 *     redis_cluster_send --> slot --> its node --> flight --> reply --> on_done
 *                              ^         |           |
 *                              |         v           v
 *                              +----- waiting <-- MOVED, ASK, a pause, a lost connection
 *
 * - **Every command that was accepted ends exactly once**, by its on_done: with a reply, or with
 * words that say why not, whether it may have run all the same, and whether another try can help.
 * - What one try cannot settle is tried again until the command's deadline: MOVED and ASK are
 *   followed, a script's text is sent when the node lacks it, refusals of a node that is not well
 *   (CLUSTERDOWN, LOADING, READONLY, MASTERDOWN, MISCONF, TRYAGAIN, BUSY, NOREPLICAS, OOM) are
 * tried again after a pause. When a connection is lost, or the oldest command on it has had no
 * reply for try_ms, all that was in flight on it is tried again, but what may have run only when
 * its request says is_repeatable.
 * - Pauses have full jitter: evenly from 1 ms to a bound that doubles with each try.
 * - The slot map is asked for when the client is made, every refresh_ms or so, and when a reply or
 * a lost connection says that it may be old: by one node at a time, at most one question in
 *   REFRESH_GAP_MS, after a random pause, however many commands found out.
 * - All that is sent in a turn leaves in one write for each node.
 * - One connection for each master, opened ahead; replicas and the seeds are kept for when no
 * master answers. A node is known by its numeric address: clusters that announce names must
 * announce addresses beside them (cluster-announce-ip).
 *
 * Time is monotonic and in milliseconds, and comes in as an argument; it must not run backwards.
 * A turn of the owner's loop:
 *
 *     wait on the sockets until the instant that redis_cluster_turn returned
 *     redis_cluster_on_event for each event whose owner is none of the caller's own
 *     any number of redis_cluster_send
 *     redis_cluster_turn
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/metrics.h"
#include "lib/random.h"
#include "lib/redis/address.h"
#include "lib/redis/error.h"
#include "lib/slice.h"
#include "lib/sockets.h"
#include "lib/tls.h"

struct redisReply;
struct redis_cluster;

/* A Lua script, sent by its SHA-1 (40 lower-case hexadecimal digits) and, to a node that does not
 * know that, by its text. Lives as long as the client. */
struct redis_script {
    struct slice text, sha1;
};

enum redis_end {
    REDIS_REPLIED,  /* `reply` is no error */
    REDIS_REFUSED,  /* an error reply that another try would not change: `error` */
    REDIS_LATE,     /* the deadline came first */
    REDIS_LOST,     /* its connection broke, and it is not repeatable */
    REDIS_SHUTDOWN, /* redis_cluster_free */
};

struct redis_result {
    enum redis_end end;
    const struct redisReply *reply; /* of REDIS_REPLIED; lives during the call */
    const char *error; /* of the others: why, or what became of the last try; during the call */
    bool may_have_run; /* of the others: false only when it is certain that it did not */
    bool may_have_run_before; /* of REDIS_REPLIED: an earlier try may have run, too */
    bool may_retry;    /* of the others: the same request may do better later */
};

struct redis_request {
    struct slice key;                  /* decides the slot */
    const uint16_t *slot;              /* or this does, when it is not NULL */
    const struct redis_script *script; /* or NULL */
    const struct slice
        *words; /* the command; of a script, what follows its SHA-1: number of keys… */
    size_t words_count;
    uint64_t deadline_ms; /* an instant */
    bool is_repeatable;   /* running it twice does no harm */
    /* May send again; must not free the client. */
    void (*on_done)(void *ctx, const struct redis_result *result);
    void *ctx;
};

struct redis_cluster_options {
    const char *seeds; /* "host:port,host:port": where the slots are first asked for. Names are
                          resolved once, by redis_cluster_new, which may wait for that. */
    const char *user, *password; /* or NULL; must outlive the client */
    struct tls_client *tls;      /* or NULL */
    struct sockets *sockets;
    struct random_source *random;
    uint32_t commands_max; /* under way at once; beyond, redis_cluster_send refuses */
    uint32_t command_bytes_max;
    uint32_t connect_ms;   /* until a connection is ready to use */
    uint32_t try_ms;       /* until the oldest command in flight has its reply */
    uint32_t pause_ms;     /* bound of the first pause */
    uint32_t pause_ms_max; /* bound of any pause */
    uint32_t refresh_ms;   /* how often the slots are asked for when nothing happens */
};

/* A client that knows no slot yet: it connects from its first turn on, and commands wait for that.
 * Nothing is owned. 0, or a negative errno with words that name the seed. */
int redis_cluster_new(struct redis_cluster **cluster, const struct redis_cluster_options *options,
                      struct err *err) MUST_CHECK;

/* Ends every command with REDIS_SHUTDOWN. */
void redis_cluster_free(struct redis_cluster *cluster);

/* Accepts a command; the slices of `request` need to live only during the call. 0; or, and then
 * on_done is not called: -EAGAIN when commands_max are under way or the client is being freed,
 * -EMSGSIZE when it is longer than command_bytes_max, -ENOMEM. */
int redis_cluster_send(struct redis_cluster *cluster, const struct redis_request *request,
                       uint64_t now_ms) MUST_CHECK;

/* What the sockets told of one of the client's. */
void redis_cluster_on_event(struct redis_cluster *cluster, const struct socket_event *event,
                            uint64_t now_ms);

/* Looks after time-outs, connections and what waits, and sends. Returns the instant at which it
 * wants to be called again at the latest. */
uint64_t redis_cluster_turn(struct redis_cluster *cluster, uint64_t now_ms) MUST_CHECK;

/* Counted since the start; any thread may read them. */
struct redis_counts {
    struct counter errors[REDIS_ERRORS_COUNT]; /* error replies to commands */
    struct counter replies;                    /* to commands, errors among them */
    struct counter writes;                     /* turns in which a node was sent something */
    struct counter connects;                   /* tries */
    struct counter connections_lost;           /* failed tries to connect among them */
    struct counter time_outs;                  /* connections given up for want of an answer */
    struct counter refreshes;                  /* questions for the slots */
    struct counter retries;                    /* tries of commands after the first */
    struct counter texts;                      /* scripts sent by their text */
    struct counter ended[REDIS_SHUTDOWN + 1];
};
const struct redis_counts *redis_cluster_counts(const struct redis_cluster *cluster);

struct redis_state {
    uint32_t slots_covered; /* of 16,384: have a master as far as is known */
    uint32_t masters, masters_ready;
    uint32_t waiting, in_flight; /* commands */
    const char *problem; /* of a master that is not ready, or of a seed while there is no map; "" */
};
/* The owner's thread only; `problem` lives until the next call of the client. */
void redis_cluster_state(struct redis_cluster *cluster, struct redis_state *state);

/* Of each master that has slots, as far as is known, one of them: by it a master can be asked what is
 * no key's. At most `max`. The owner's thread only, as the next one. */
uint32_t redis_cluster_masters(const struct redis_cluster *cluster, uint16_t *slots, uint32_t max);
/* Who has a slot, by now; "" when nobody is known. */
void redis_cluster_master_of(const struct redis_cluster *cluster, uint16_t slot,
                             char address[REDIS_ADDRESS_TEXT_BYTES]);
