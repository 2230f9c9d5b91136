/* SPDX-License-Identifier: Apache-2.0
 *
 * One simulated world: a server (all of it, from the bytes of a request to those of its answer; see
 * below), a disk, a copy, two clocks, people with connections, an operator, and a memory of
 * everything that was ever told to anybody. One OS thread, one seed: the same seed gives the same
 * world.
 *
 *     real        api/, claim/, log/, record/recorder, with every thread of theirs
 *     simulated   sockets and libuv (net_sim), threads and time (threads_sim), memory (heap_sim),
 * the disk (disk_sim), the store (store_sim), randomness
 *
 *     sim_server.c    the server's life: put together as serve.c does, its end, its recovery
 *     sim_disk.c      the disk as its threads see it, and the phases of a commit
 *     sim_client.c    connections, requests as bytes, answers as bytes
 *     sim_promises.c  what was told, against what the log says
 *     sim_steps.c     what happens next
 *     sim_trouble.c   what goes wrong next
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "api/gate.h"
#include "api/server.h"
#include "claim/copy_thread.h"
#include "claim/engine_thread.h"
#include "lib/base.h"
#include "log/journal.h"
#include "sim/disk_sim.h"
#include "sim/net_sim.h"
#include "sim/random_sim.h"
#include "sim/sim_model.h"
#include "sim/sim_table.h"
#include "sim/store_sim.h"
#include "sim/threads_sim.h"

#define SIM_ADMIN_TOKEN "the-operator-of-a-simulated-world"
#define SIM_KEY_ID UINT64_C(0x51e)

enum {
    SIM_STEPS = 320, /* of a life, unless told */
    SIM_SEGMENT_BYTES = 64 * 1024,
    SIM_NETWORKS_MAX = 3, /* the admin listener's thread comes behind them */
    SIM_CONNECTIONS = 7,  /* the last one is the operator's */
    SIM_PIPELINE_MAX = 24,
    SIM_ANSWER_BYTES = 16 * 1024,
};

/* What is counted over all seeds: each of them has to happen, or the simulator tests less than it
 * says. */
/* clang-format off */
#define SIM_COUNTS(X)                                                                              \
    X(steps) X(slices) X(claims) X(queries) X(statuses) X(bad_requests) X(records)                 \
    X(issued) X(already) X(sold_out) X(sold_out_final) X(not_started) X(ended) X(paused)           \
    X(returned) X(none) X(unavailable) X(pending) X(pending_late) X(unknown_event) X(limited)      \
    X(opens) X(restocks) X(reschedules) X(pauses) X(resumes) X(closes) X(returns)                  \
    X(controls_refused) X(controls_unavailable) X(controls_no_space) X(controls_pending)           \
    X(connections) X(connections_closed) X(connections_refused) X(asks_lost)                       \
    X(starts) X(starts_failed) X(starts_out_of_memory) X(fail_stops) X(out_of_memory) X(stops)     \
    X(batches_found_after_doubt) X(batches_lost_after_doubt) X(rolls_prepared) X(rolls)            \
    X(rot_refused) X(rot_harmless) X(copy_commits) X(copy_rebuilds) X(copy_caught_up)
/* Seldom: told to somebody who holds a coupon, by a thread whose time is far behind. */
#define SIM_COUNTS_RARE(X) X(stale_not_started)
/* clang-format on */

struct sim_counts {
#define X(name) uint64_t name;
    SIM_COUNTS(X)
    SIM_COUNTS_RARE(X)
#undef X
    struct sim_table table;
};

enum sim_ask_kind { ASK_CLAIM, ASK_QUERY, ASK_STATUS, ASK_PLAIN, ASK_CONTROL };

/* A request on its way through the server. */
struct sim_ask {
    enum sim_ask_kind kind;
    uint8_t network;
    int status;            /* PLAIN: what it has to be answered with */
    enum record_type type; /* CONTROL */
    uint32_t event, user;
    uint32_t changes; /* of the event, in the log, when it was asked */
    uint64_t asked_ns;
    uint32_t serial_before; /* the highest that anybody had been told */
    /* What had been told before it was asked. */
    bool passed_before, returned_before, ended_before, sold_out_before, known_before;
    bool is_last;    /* of its connection, by its own wish */
    bool may_be_limited; /* by a rate */
    bool is_delayed; /* its answer may have been written before it came */
    uint64_t offset; /* of its thread's view when it was asked */
};

/* A client's end. Answers come in the order of the asks. */
struct sim_connection {
    struct net_socket *socket; /* NULL: not connected */
    uint32_t network;
    struct sim_ask asks[SIM_PIPELINE_MAX]; /* a ring */
    uint32_t first, count;
    bool is_last; /* sends no more */
    bool is_slow; /* takes only so much of its answers at a time */
    bool was_slow;
    bool has_heard;    /* something */
    bool is_refused;   /* told that the connection ends */
    uint64_t moved_ns; /* when it was made or the last answer came */
    size_t n;
    char answer[SIM_ANSWER_BYTES]; /* what has come of the first */
};

/* What somebody was told and may rely on for ever. */
struct sim_promise {
    bool passed;
    uint32_t serial, round;
    bool returned;    /* the operator was told that the return is done */
    bool is_in_doubt; /* may be in the log: a claim of theirs was lost, pending, given back */
    uint32_t claims;  /* on their way */
    /* Told no for good, when the event had had so many changes less one, by this run of the server;
     * 0: never. */
    uint32_t no_changes;
    uint64_t no_run;
};

/* What people know of an event. */
struct sim_told_event {
    bool opened;
    bool ended; /* by this run of the server */
    bool sold_out;
    uint32_t ended_changes, sold_out_changes; /* as of then */
    uint32_t serial;                          /* the highest */
};

/* How far the batch is that the log has. */
enum sim_commit { COMMIT_NONE, COMMIT_WRITES, COMMIT_SYNCS, COMMIT_MARKS, COMMIT_DONE };

struct sim_server {
    bool runs, is_started, wants_stop, has_stopped, has_failed;
    char start_error[512];
    bool was_out_of_memory, was_struck; /* its memory, its disk */
    struct server_shared shared;
    struct gate gate;
    uint32_t networks_count;
    struct server *servers[SIM_NETWORKS_MAX + 1];
    int64_t told_ms[SIM_NETWORKS_MAX + 1]; /* the engine's time, as each was last told */
    struct mailbox *mailboxes[SIM_NETWORKS_MAX + 2];
    struct journal *journal;
    struct log *log;
    struct view *view; /* the engine's */
    struct reserve *reserve;
    struct store_position position;
    struct copy_thread *copy;
    struct engine_thread *engine;
    struct engine_sink sink; /* the engine thread's own */
    int64_t now_ms;          /* no clock that it has read was later */
    enum sim_commit commit;
    uint64_t commit_count; /* records */
    uint64_t commits;      /* done, in this run */
    bool is_preparing;
};

/* Which trouble this world has, and how much of it; drawn from the seed. */
struct sim_swarm {
    unsigned steps[16], troubles[16]; /* weights */
    uint64_t disk_slow_ns;            /* 0: fast */
    bool limits;                      /* its servers limit how often somebody asks */
    bool rolls;                       /* its journal begins near the end of a segment */
};

struct sim_world {
    uint64_t seed, hash, step;
    bool is_verbose;
    struct random_sim random;
    struct disk_sim *disk;
    struct disk watched; /* the disk as the server's threads see it */
    bool is_full;
    struct store_sim store;
    struct sim_server server;
    struct model model; /* the log, as far as it is acknowledged */
    struct sim_connection connections[SIM_CONNECTIONS];
    struct sim_promise promises[SIM_EVENTS_MAX][SIM_USERS_MAX];
    struct sim_told_event told[SIM_EVENTS_MAX];
    /* Records that were with the disk when the server ended: at most these may be found, at least
     * the written ones have to be. */
    uint64_t doubt_count, written_count;
    struct sim_swarm swarm;
    struct sim_counts *counts;
    char violation[512]; /* empty while all is well */
};

/* `world` is the caller's memory: it is large, and many live in it one after the other. */
void sim_world_init(struct sim_world *world, uint64_t seed, struct sim_counts *counts,
                    bool is_verbose);
void sim_world_deinit(struct sim_world *world);

/* ---- sim_world.c: small things ---- */

/* The first violation stays. */
void sim_violation(struct sim_world *world, const char *format, ...) PRINTF_LIKE(2, 3);
static inline bool sim_is_good(const struct sim_world *world) {
    return world->violation[0] == '\0';
}

/* Go into the hash of the run. A trace is for people, too, when verbose. */
void sim_trace(struct sim_world *world, const char *format, ...) PRINTF_LIKE(2, 3);
void sim_note(struct sim_world *world, uint64_t word);
uint64_t sim_below(struct sim_world *world, uint64_t limit);
bool sim_chance(struct sim_world *world, unsigned of_256);

/* `fault` has struck now. */
void sim_struck(struct sim_world *world, enum sim_fault fault);
/* The same in phases that are known to the caller (bits). */
void sim_struck_in(struct sim_world *world, enum sim_fault fault, unsigned phases);

/* ---- sim_server.c ---- */

void sim_server_init(struct sim_world *world);

/* Starts the server: recovers the journal, compares it with what was acknowledged and told. A start
 * that fails because a fault was armed is no violation: false. */
bool sim_server_start(struct sim_world *world);

/* Lets a thread that is ready run until it waits; notices the end of the process. */
void sim_server_run(struct sim_world *world, enum thread_role role);

/* The process has ended by itself. */
bool sim_server_has_ended(const struct sim_world *world);

/* In which phases it is (bits of enum sim_phase). */
unsigned sim_server_phases(const struct sim_world *world);

/* The process is gone; who waited hears nothing. */
void sim_server_end(struct sim_world *world);

/* Writes up to `count` long records into the journal behind the engine's back, and ends: so that a
 * short life meets the end of a segment, too. */
void sim_server_fill(struct sim_world *world, uint32_t count);

/* Nobody waits, nothing is on its way, and the copy has it all. */
bool sim_server_is_quiet(const struct sim_world *world);

/* What the codes of this world are derived with. */
struct coupon_deriver *sim_deriver(void);

/* ---- sim_disk.c ---- */

void sim_disk_watch(struct sim_world *world);

/* ---- sim_client.c ---- */

void sim_client_begin(struct sim_world *world);
/* One or more requests on one of the public connections, made when there is none. */
void sim_client_claim(struct sim_world *world, uint32_t event, uint32_t user);
void sim_client_query(struct sim_world *world, uint32_t event, uint32_t user);
void sim_client_status(struct sim_world *world, uint32_t event);
void sim_client_plain(struct sim_world *world);
/* The operator's; `body` is JSON. */
void sim_client_control(struct sim_world *world, enum record_type type, uint32_t event,
                        uint32_t user, const char *body);
void sim_client_leave(struct sim_world *world, uint32_t connection);
void sim_client_shut(struct sim_world *world, uint32_t connection);
void sim_client_slow(struct sim_world *world, uint32_t connection);
/* Slow ones read a little more, or all of them everything. */
void sim_client_read(struct sim_world *world, bool all);
bool sim_client_waits(const struct sim_world *world);

/* ---- sim_promises.c ---- */

/* What was known when `ask` was asked. */
void sim_ask_note(struct sim_world *world, struct sim_ask *ask);

/* The engine has answered (I3, I5 at the source). */
void sim_engine_answered(struct sim_world *world, uint32_t thread, uint64_t token,
                         enum claim_outcome outcome);

/* A person is told. `serial` and `code` for ISSUED and ALREADY_ISSUED, `is_final` for SOLD_OUT. */
struct sim_answer {
    int status;
    enum claim_outcome outcome;
    uint32_t serial, remaining;
    struct slice code;
    bool is_final;
};
void sim_told(struct sim_world *world, const struct sim_ask *ask, const struct sim_answer *answer);
void sim_told_unknown_event(struct sim_world *world, const struct sim_ask *ask);
void sim_told_status(struct sim_world *world, const struct sim_ask *ask, uint32_t stock,
                     uint32_t remaining, uint32_t holders);
void sim_told_control(struct sim_world *world, const struct sim_ask *ask, int status,
                      struct slice code);
/* Nobody will ever answer it. */
void sim_lost(struct sim_world *world, const struct sim_ask *ask);

/* A WIN has come into the log: somebody had asked for it (C4). */
void sim_check_win(struct sim_world *world, const struct record *win);

/* Everything that was told still holds in the log. */
void sim_check_promises(struct sim_world *world);

/* What the copy has committed is what the log says as of there; `is_whole`: to the log's end. */
void sim_check_copy(struct sim_world *world, bool is_whole);

/* ---- sim_trouble.c ---- */

void sim_trouble_draw(struct sim_world *world);
/* The first start. */
void sim_trouble_begin(struct sim_world *world);
void sim_trouble_step(struct sim_world *world);
void sim_trouble_end(struct sim_world *world);
/* Ends the server if it still runs, and starts it until it does; trouble may go on meanwhile. */
void sim_end_and_start(struct sim_world *world, bool cuts_power, bool may_fail);
/* It has ended by itself. */
void sim_start_after_end(struct sim_world *world);

/* ---- sim_steps.c ---- */

/* Lives through `steps` steps, then without faults until everybody is answered; false when
 * something was violated. */
bool sim_world_run(struct sim_world *world, uint64_t steps);
