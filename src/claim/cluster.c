/* SPDX-License-Identifier: Apache-2.0
 *
 * The turns of a cluster's engine, and the tail of its topic. See cluster.h.
 *
 * What a turn's reading has brought goes to the network threads before any answer that depends on
 * it.
 */
#include "claim/cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "claim/cluster_private.h"
#include "lib/failpoint.h"
#include "lib/logger.h"

enum {
    SOCKET_EVENTS = 64,
    STATISTICS_MS = 200, /* how often the tail is asked where it is, at least */
    BUSY_WAIT_MS = 20,   /* while somebody's time may run out */
    STATE_EVERY_MS = 100,
    REDIS_COMMANDS_SPARE = 4096, /* of the engine's own, beside claims */
    REDIS_COMMAND_BYTES_MAX = 128 * 1024 * 1024,
    REDIS_READY_MS = 10000,
    REDIS_CONNECT_MS = 1000,
    REDIS_TRY_MS = 600, /* a busy node takes its time; who replaces a dead one takes longer */
    REDIS_PAUSE_MS = 10,
    REDIS_PAUSE_MS_MAX = 300,
    REDIS_REFRESH_MS = 5000,
};

/* ---- small things ---- */

uint64_t cluster_dice(struct cluster *cluster, uint64_t max) {
    uint64_t word;
    random_fill(cluster->options.random, &word, sizeof word);
    return word % max;
}

bool cluster_tail_is_younger(const struct cluster *cluster, uint64_t ms) {
    uint64_t confirmed_ns = counter_read(&cluster->counts.confirmed_ns);
    return cluster->now_ns < confirmed_ns + ms * NS_PER_MS;
}

struct judge *cluster_judge(const struct cluster *cluster, uint32_t event) {
    const struct event *found = view_at(cluster->view, event);
    ASSERT(found != NULL);
    return found->judge;
}

uint64_t cluster_produce(struct cluster *cluster, const struct record *record) {
    _Alignas(8) char bytes[RECORD_BYTES_MAX];
    size_t n = record_encode(bytes, record);
    if (n == 0) return 0;
    uint64_t nonce = cluster->nonce++;
    if (cluster->nonce == 0) cluster->nonce = 1;
    int code = kafka_log_produce(cluster->kafka, record->event_id, slice_of(bytes, n), nonce);
    return code == 0 ? nonce : 0;
}

bool cluster_publish(struct cluster *cluster, uint32_t event, struct slice user_id,
                     const struct script_reservation *reservation) {
    const struct record win = {
        .type = RECORD_WIN,
        .ms = reservation->ms,
        .event_id = view_at(cluster->view, event)->id,
        .win = {.gen = reservation->gen,
                .serial = reservation->serial,
                .reserve_seq = reservation->seq,
                .user_id = user_id,
                .claim_id = reservation->claim_id},
    };
    if (cluster_produce(cluster, &win) == 0) return false;
    counter_add(&cluster->counts.published, 1);
    return true;
}

static void fail(struct cluster *cluster, int code) {
    if (cluster->failed) return;
    cluster->failed = true;
    claims_fail(cluster);
    cluster->sink.on_failed(cluster->sink.ctx, code);
}

/* ---- the tail ---- */

static void keep_for_threads(struct cluster *cluster, uint64_t seq) {
    size_t bytes = record_padded_bytes(cluster->value);
    if (cluster->read_bytes + bytes > cluster->read_max) {
        cluster->read_max = 2 * (cluster->read_bytes + RECORD_BYTES_MAX);
        cluster->read = memory_needed(realloc(cluster->read, cluster->read_max));
    }
    char *at = cluster->read + cluster->read_bytes;
    memcpy(at, cluster->value, bytes);
    record_place(at, seq, 0, 0);
    cluster->read_bytes += bytes;
}

static void give_to_threads(struct cluster *cluster) {
    if (cluster->read_bytes > 0)
        cluster->sink.on_records(cluster->sink.ctx, slice_of(cluster->read, cluster->read_bytes));
    cluster->read_bytes = 0;
}

static void on_record(void *ctx, uint64_t seq, uint64_t nonce, struct slice value) {
    struct cluster *cluster = ctx;
    struct record record;
    if (cluster->failed) return;
    enum record_status status = record_read(cluster->value, value, &record);
    if (status == RECORD_NEWER) {
        logger_line(LOG_ERROR, "cluster",
                    "event=newer_record seq=%llu hint=\"a newer coupond writes this topic: this "
                    "one must be replaced before it can go on\"",
                    (unsigned long long)seq);
        if (!cluster->is_attached)
            cluster->failed = true;
        else
            fail(cluster, -EPROTO);
        return;
    }
    if (status == RECORD_BAD) {
        static struct logger_limit limit;
        counter_add(&cluster->counts.not_records, 1);
        logger_line_limited(&limit, LOG_WARN, "cluster", "event=no_record seq=%llu",
                            (unsigned long long)seq);
        return;
    }
    record.seq = seq;
    enum verdict verdict;
    memory_needed(view_apply(cluster->view, &record, &verdict) == 0 ? cluster : NULL);
    memory_needed(events_fill(cluster) == 0 ? cluster : NULL);
    bool is_win = record.type == RECORD_WIN;
    if (!cluster->is_attached) {
        if (!is_win) events_on_replayed(cluster, &record, verdict);
        return;
    }
    keep_for_threads(cluster, seq);
    counter_add(is_win ? &cluster->verdicts.wins[verdict] : &cluster->verdicts.controls[verdict],
                1);
    if (is_win) {
        claims_on_win(cluster, &record, verdict);
        return;
    }
    give_to_threads(cluster); /* before whoever was held for it hears what is in them */
    events_on_record(cluster, &record, nonce, verdict);
}

/* Only the tail tells what is in the log: an acknowledgement that was lost says nothing. */
static void on_delivered(void *ctx, uint64_t nonce, int code) {
    (void)ctx;
    (void)nonce;
    static struct logger_limit limit;
    if (code != 0)
        logger_line_limited(&limit, LOG_WARN, "cluster", "event=not_acknowledged text=\"%s\"",
                            strerror(-code));
}

static void pump(struct log *log) {
    struct cluster *cluster = CONTAINER_OF(log, struct cluster, log);
    if (cluster->failed) return;
    kafka_log_pump(cluster->kafka);
    if (cluster->read_bytes > 0) FAILPOINT("cluster_read");
    give_to_threads(cluster);
    claims_tell(cluster);
}

/* ---- what the engine's thread asks of its log ---- */

static void no_append(struct log *log, void *records, size_t bytes, size_t count) {
    (void)log, (void)records, (void)bytes, (void)count;
    ASSERT(false);
}
static bool is_idle(const struct log *log) {
    return CONTAINER_OF(log, struct cluster, log)->published_count == 0;
}
static uint64_t room_bytes(const struct log *log) {
    (void)log;
    return UINT64_MAX;
}
static bool has_reserve(const struct log *log) {
    (void)log;
    return true;
}

static const struct log_ops cluster_log_ops = {
    .append = no_append,
    .is_idle = is_idle,
    .room_bytes = room_bytes,
    .has_reserve = has_reserve,
    .pump = pump,
};

struct log *cluster_log(struct cluster *cluster) {
    return &cluster->log;
}

/* ---- a turn ---- */

/* Found again when it has passed, or a record may have moved it. */
static void find_boundary(struct cluster *cluster) {
    if (cluster->boundary_seq == view_offset(cluster->view) &&
        cluster->now_ms < cluster->boundary_ms)
        return;
    cluster->boundary_seq = view_offset(cluster->view);
    cluster->boundary_ms = TIME_MS_MAX;
    for (uint32_t i = 0; i < view_events_count(cluster->view); i++) {
        const struct judge_state *state = judge_state(cluster_judge(cluster, i));
        const int64_t instants[] = {state->starts_ms, state->ends_ms};
        for (size_t k = 0; k < ARRAY_LEN(instants) && !state->closed; k++)
            if (instants[k] > cluster->now_ms && instants[k] < cluster->boundary_ms)
                cluster->boundary_ms = instants[k];
    }
}

static int64_t turn_begin(void *engine, int64_t wall_ms) {
    struct cluster *cluster = engine;
    cluster->now_ns = clock_monotonic_ns(cluster->options.clock);
    if (cluster->now_ms < wall_ms) cluster->now_ms = wall_ms;
    find_boundary(cluster);
    return cluster->now_ms;
}

static void take_claim(void *engine, const struct claim *claim) {
    claims_take(engine, claim);
}

static void take_control(void *engine, const struct record *record, uint64_t token) {
    events_control(engine, record, token);
}

/* Views of other servers follow by themselves; nothing is held for those of this one. */
static void control_seen(void *engine, uint64_t token) {
    (void)engine, (void)token;
}

static void note_state(struct cluster *cluster) {
    if (cluster->now_ns - cluster->state_ns < (uint64_t)STATE_EVERY_MS * NS_PER_MS) return;
    cluster->state_ns = cluster->now_ns;
    struct kafka_log_state state;
    kafka_log_state(cluster->kafka, &state);
    struct redis_state redis;
    redis_cluster_state(cluster->redis, &redis);
    counter_set(&cluster->counts.seq, state.seq);
    counter_set(&cluster->counts.end_seq, state.end_seq);
    counter_set(&cluster->counts.confirmed_ns, state.confirmed_ns);
    counter_set(&cluster->counts.slots_covered, redis.slots_covered);
}

static void turn_end(void *engine) {
    struct cluster *cluster = engine;
    if (!cluster->failed) {
        events_turn(cluster);
        claims_turn(cluster);
    }
    note_state(cluster);
    counter_set(&cluster->counts.winners, cluster->published_count);
    cluster->redis_due_ms = redis_cluster_turn(cluster->redis, cluster_now_redis_ms(cluster));
}

static int64_t told_ms(const void *engine) {
    return ((const struct cluster *)engine)->now_ms;
}
static int64_t next_boundary_ms(const void *engine) {
    return ((const struct cluster *)engine)->boundary_ms;
}
static const struct view *view_of(const void *engine) {
    return ((const struct cluster *)engine)->view;
}
static const struct engine_verdicts *verdicts_of(const void *engine) {
    return &((const struct cluster *)engine)->verdicts;
}
static void leave(void *engine) {
    (void)engine; /* serve owns it: cluster_free */
}

const struct engine_ops engine_cluster_ops = {
    .begin = turn_begin,
    .claim = take_claim,
    .control = take_control,
    .control_seen = control_seen,
    .end = turn_end,
    .told_ms = told_ms,
    .next_boundary_ms = next_boundary_ms,
    .view = view_of,
    .verdicts = verdicts_of,
    .free = leave,
};

/* ---- waiting ---- */

static bool is_busy(const struct cluster *cluster) {
    return cluster->oldest.younger != &cluster->oldest || cluster->controls != NULL ||
           cluster->unready_count > 0;
}

static int wait_ms(const struct cluster *cluster, int timeout_ms) {
    uint64_t now_ms = clock_monotonic_ns(cluster->options.clock) / NS_PER_MS;
    uint64_t redis_ms = cluster->redis_due_ms > now_ms ? cluster->redis_due_ms - now_ms : 0;
    uint64_t most_ms = timeout_ms < 0 ? 1000 : (uint64_t)timeout_ms;
    if (is_busy(cluster) && most_ms > BUSY_WAIT_MS) most_ms = BUSY_WAIT_MS;
    if (most_ms > redis_ms) most_ms = redis_ms;
    return (int)(most_ms < STATISTICS_MS ? most_ms : STATISTICS_MS);
}

void cluster_wait(void *engine, int timeout_ms) {
    struct cluster *cluster = engine;
    struct socket_event events[SOCKET_EVENTS];
    int count = cluster->sockets->ops->wait(cluster->sockets, wait_ms(cluster, timeout_ms), events,
                                            SOCKET_EVENTS);
    cluster->now_ns = clock_monotonic_ns(cluster->options.clock);
    for (int i = 0; i < count; i++) {
        if (events[i].owner == &cluster->wake_fd) {
            uint64_t ignored;
            (void)!read(cluster->wake_fd, &ignored, sizeof ignored);
        } else if (events[i].owner != &cluster->kafka) {
            redis_cluster_on_event(cluster->redis, &events[i], cluster_now_redis_ms(cluster));
        }
    }
}

void cluster_wake(void *ctx) {
    const struct cluster *cluster = ctx;
    (void)!write(cluster->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* ---- life ---- */

void *cluster_attach(struct cluster *cluster, const struct engine_sink *sink) {
    cluster->sink = *sink;
    cluster->is_attached = true;
    return cluster;
}

static void on_progress(void *ctx, uint64_t seq, uint64_t end_seq) {
    (void)ctx;
    logger_line(LOG_INFO, "cluster", "event=reading_the_topic seq=%llu of=%llu",
                (unsigned long long)seq, (unsigned long long)end_seq);
}

static int watch(struct cluster *cluster, int fd, void *owner) {
    return cluster->sockets->ops->watch_level(cluster->sockets, fd, owner);
}

static int open_sockets(struct cluster *cluster, struct err *err) {
    cluster->sockets = sockets_system_new();
    cluster->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (cluster->sockets == NULL || cluster->wake_fd < 0)
        return err_set(err, -EMFILE, "no memory or no file descriptor for sockets");
    int code = watch(cluster, cluster->wake_fd, &cluster->wake_fd);
    return code == 0 ? 0 : err_set(err, code, "cannot watch sockets: %s", strerror(-code));
}

static int open_redis(struct cluster *cluster, struct err *err) {
    const struct cluster_options *options = &cluster->options;
    return redis_cluster_new(&cluster->redis,
                             &(struct redis_cluster_options){
                                 .seeds = options->redis,
                                 .user = options->redis_user,
                                 .password = options->redis_password,
                                 .tls = options->redis_tls,
                                 .sockets = cluster->sockets,
                                 .random = options->random,
                                 .commands_max = options->claims_max + REDIS_COMMANDS_SPARE,
                                 .command_bytes_max = REDIS_COMMAND_BYTES_MAX,
                                 .connect_ms = REDIS_CONNECT_MS,
                                 .try_ms = REDIS_TRY_MS,
                                 .pause_ms = REDIS_PAUSE_MS,
                                 .pause_ms_max = REDIS_PAUSE_MS_MAX,
                                 .refresh_ms = REDIS_REFRESH_MS,
                             },
                             err);
}

/* Until each master that is known has taken our connection. A cluster that is not whole is served
 * with a warning in /health; one of which nobody answers is a mistake in the options, or no
 * cluster. */
static int await_redis(struct cluster *cluster, struct err *err) {
    struct redis_state state = {.problem = ""};
    uint64_t until_ns = cluster->now_ns + (uint64_t)REDIS_READY_MS * NS_PER_MS;
    for (;;) {
        cluster->redis_due_ms = redis_cluster_turn(cluster->redis, cluster_now_redis_ms(cluster));
        redis_cluster_state(cluster->redis, &state);
        bool is_ready = state.masters > 0 && state.masters_ready == state.masters;
        if (is_ready || cluster->now_ns >= until_ns) break;
        cluster_wait(cluster, STATISTICS_MS);
    }
    counter_set(&cluster->counts.slots_covered, state.slots_covered);
    if (state.masters_ready > 0) return 0;
    return err_set(err, -EAGAIN, "--redis %s: no master answers: %s", cluster->options.redis,
                   state.problem);
}

static int open_kafka(struct cluster *cluster, struct err *err) {
    const struct kafka_log_sink sink = {cluster, on_record, on_delivered};
    int code = kafka_log_open(&cluster->kafka, &cluster->options.kafka, &sink, err);
    if (code == 0)
        code = kafka_log_replay(cluster->kafka, cluster->options.stall_ms, on_progress, err);
    if (code == 0 && cluster->failed)
        code = err_set(err, -EPROTO, "the topic %s has records of a newer coupond",
                       cluster->options.kafka.topic);
    if (code == 0) code = watch(cluster, kafka_log_fd(cluster->kafka), &cluster->kafka);
    return code;
}

int cluster_new(struct cluster **made, const struct cluster_options *options, struct err *err) {
    struct cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL) return err_set(err, -ENOMEM, "no memory for the engine");
    cluster->log.ops = &cluster_log_ops;
    cluster->options = *options;
    cluster->view = options->view;
    cluster->wake_fd = -1;
    cluster->now_ms = clock_wall_ms(options->clock);
    cluster->now_ns = clock_monotonic_ns(options->clock);
    random_fill(options->random, &cluster->nonce, sizeof cluster->nonce);
    if (cluster->nonce == 0) cluster->nonce = 1;
    int code = claims_init(cluster) == 0 ? 0 : err_set(err, -ENOMEM, "no memory for claims");
    if (code == 0) code = open_sockets(cluster, err);
    if (code == 0) code = open_redis(cluster, err);
    if (code == 0) code = await_redis(cluster, err);
    if (code == 0) code = open_kafka(cluster, err);
    if (code != 0) {
        cluster_free(cluster, 0);
        return code;
    }
    note_state(cluster);
    *made = cluster;
    return 0;
}

void cluster_free(struct cluster *cluster, uint32_t wait_ms) {
    if (cluster == NULL) return;
    cluster->failed = true; /* nothing is told any more */
    if (cluster->kafka != NULL) kafka_log_close(cluster->kafka, wait_ms);
    if (cluster->redis != NULL) redis_cluster_free(cluster->redis);
    if (cluster->sockets != NULL) cluster->sockets->ops->free(cluster->sockets);
    if (cluster->wake_fd >= 0) close(cluster->wake_fd);
    events_deinit(cluster);
    claims_deinit(cluster);
    free(cluster->read);
    free(cluster);
}

const struct cluster_counts *cluster_counts(const struct cluster *cluster) {
    return &cluster->counts;
}

const struct redis_counts *cluster_redis_counts(const struct cluster *cluster) {
    return redis_cluster_counts(cluster->redis);
}

uint64_t cluster_tail_age_ns(const struct cluster *cluster, const struct clock *clock) {
    uint64_t confirmed_ns = counter_read(&cluster->counts.confirmed_ns);
    uint64_t now_ns = clock_monotonic_ns(clock);
    return now_ns > confirmed_ns ? now_ns - confirmed_ns : 0;
}
