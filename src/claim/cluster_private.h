/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the cluster's engine share: cluster.c (its turns and the tail),
 * cluster_claims.c (claims), cluster_events.c (control records, recovery), cluster_relay.c
 * (outboxes), cluster_archive.c (events that are over).
 */
#pragma once

#include "claim/cluster.h"
#include "claim/redis_scripts.h"
#include "log/kafka_log.h"
#include "log/log.h"

enum { NS_PER_MS = 1000000 };

/* ---- claims ---- */

enum ask_state {
    ASK_HELD,      /* its event is being recovered */
    ASK_ASKING,    /* with Redis */
    ASK_PUBLISHED, /* reserved, its record on its way */
    ASK_DECIDED,   /* the tail has brought it */
};

/* A claim under way. */
struct ask {
    struct ask *older, *younger; /* in order of their deadlines */
    struct ask *next, *before;   /* in the queue or the bucket that its state means */
    struct cluster *cluster;
    struct claim claim;
    enum ask_state state;
    enum verdict verdict; /* ASK_DECIDED */
    uint64_t deadline_ns;
    uint32_t gen, serial; /* its reservation, while ASK_PUBLISHED or ASK_DECIDED */
    bool is_winner;       /* the reservation was made for it, not found there */
    bool may_be_reserved; /* from then on doubt means "pending" */
};

struct ask_queue {
    struct ask *first, *last;
};

/* ---- events ---- */

enum event_phase {
    EVENT_READY,      /* claims go to Redis */
    EVENT_WAITING,    /* a FENCE is due at due_ns */
    EVENT_FENCING,    /* ours is on its way; given up at due_ns */
    EVENT_INSTALLING, /* ours is VALID: Redis is being told; again at due_ns */
};

struct cluster_event {
    struct cluster *cluster;
    uint32_t number;
    struct script_keys keys;
    enum event_phase phase;
    uint64_t due_ns;
    uint64_t nonce;     /* of our FENCE */
    uint64_t fenced_ns; /* when the last VALID FENCE was read; 0: none since the start */
    uint64_t
        unfenced_ns;    /* since when a control record of somebody's waits for its FENCE; 0: none */
    bool is_installing; /* a command is on its way */
    uint32_t installed; /* holders that are laid aside, as far as is known */
    struct ask_queue held;
    uint64_t relay_ns;  /* when its outbox is to be looked at */
    uint32_t empty_gen; /* at which its outbox was seen empty last */
    uint64_t empty_ns;  /* and when */
    bool is_relaying;
    uint32_t over_gen;                    /* at which it was seen to be over */
    uint64_t over_seq, over_ns;           /* and the view's place then, and when that was */
    uint32_t archiving_gen, archived_gen; /* whose keys were given an end */
    uint64_t archive_ns;                  /* when that is to be tried again */
    bool is_archiving;
};

/* A control record of ours under way. */
struct control_under_way {
    struct control_under_way *next;
    uint64_t token, nonce, deadline_ns;
    bool is_written; /* read back, VALID: a FENCE is all that lacks */
    uint8_t event_id_bytes;
    char event_id[EVENT_ID_BYTES_MAX];
};

struct cluster {
    struct log log; /* first: what the engine's thread asks of its log */
    struct cluster_options options;
    struct view *view;
    struct engine_sink sink;
    bool is_attached, failed;
    struct kafka_log *kafka;
    struct redis_cluster *redis;
    struct sockets *sockets;
    int wake_fd;
    int64_t now_ms, boundary_ms;
    uint64_t boundary_seq; /* the view's place when that was found */
    uint64_t now_ns, redis_due_ms, state_ns;
    uint64_t nonce; /* the next one */

    struct ask *asks, *free_asks;
    struct ask oldest;      /* head of the ring of all asks under way */
    struct ask **published; /* buckets of a table by event and user */
    uint32_t published_mask, published_count, asks_count;
    struct ask_queue decided;
    struct cluster_event **events; /* by number */
    uint32_t events_count, events_max, unready_count;
    uint64_t events_due_ns;
    struct control_under_way *controls;

    char *read; /* what this turn's tail has brought, encoded */
    size_t read_bytes, read_max;
    _Alignas(8) char value[RECORD_BYTES_MAX];
    struct engine_verdicts verdicts;
    struct cluster_counts counts;
};

static inline uint64_t cluster_now_redis_ms(const struct cluster *cluster) {
    return cluster->now_ns / NS_PER_MS;
}
/* The tail had read all there was less than `ms` ago. */
bool cluster_tail_is_younger(const struct cluster *cluster, uint64_t ms);
/* Evenly from 0 to below `max`. */
uint64_t cluster_dice(struct cluster *cluster, uint64_t max);
struct judge *cluster_judge(const struct cluster *cluster, uint32_t event);
/* Hands a record to the topic: its nonce, or 0 when that takes no more for now. */
uint64_t cluster_produce(struct cluster *cluster, const struct record *record) MUST_CHECK;
/* A WIN of a reservation that Redis holds, exactly as it is there. */
bool cluster_publish(struct cluster *cluster, uint32_t event, struct slice user_id,
                     const struct script_reservation *reservation) MUST_CHECK;

void ask_queue_push(struct ask_queue *queue, struct ask *ask);
struct ask *ask_queue_pop(struct ask_queue *queue);
void ask_queue_remove(struct ask_queue *queue, struct ask *ask);

/* cluster_claims.c */
int claims_init(struct cluster *cluster) MUST_CHECK;
void claims_deinit(struct cluster *cluster);
void claims_take(struct cluster *cluster, const struct claim *claim);
void claims_go(struct cluster *cluster, struct ask *ask);
void claims_on_win(struct cluster *cluster, const struct record *win, enum verdict verdict);
void claims_tell(struct cluster *cluster);
void claims_turn(struct cluster *cluster);
void claims_fail(struct cluster *cluster);

/* cluster_events.c */
int events_fill(struct cluster *cluster) MUST_CHECK;
void events_deinit(struct cluster *cluster);
void events_hold(struct cluster_event *event, struct ask *ask);
void events_recover(struct cluster_event *event);
void events_control(struct cluster *cluster, const struct record *record, uint64_t token);
void events_on_record(struct cluster *cluster, const struct record *record, uint64_t nonce,
                      enum verdict verdict);
/* Of a record that was written before this process began. */
void events_on_replayed(struct cluster *cluster, const struct record *record, enum verdict verdict);
void events_turn(struct cluster *cluster);

/* cluster_relay.c */
void relay_turn(struct cluster_event *event);
/* All that was reserved of the running incarnation is in the log, and nothing more can be reserved
 * of it: whatever changes that brings a FENCE. */
bool event_is_quiet(const struct cluster_event *event);

/* cluster_archive.c */
void archive_turn(struct cluster_event *event);
