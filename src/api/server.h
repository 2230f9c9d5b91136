/* SPDX-License-Identifier: Apache-2.0
 *
 * A network thread: an event loop with its own listening socket, connections and view. Threads
 * share nothing; what the log decides reaches each through its own mailbox (ARCHITECTURE.md).
 *
 * serve.c makes and stops servers and uses the functions only; the fields are for the files of
 * api/, all of which run on the server's own thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "api/counts.h"
#include "api/gate.h"
#include "api/output.h"
#include "api/reply.h"
#include "api/waiting.h"
#include "claim/cluster.h"
#include "claim/copy_thread.h"
#include "claim/coupon_code.h"
#include "claim/decide.h"
#include "claim/engine_thread.h"
#include "claim/settings_watch.h"
#include "claim/view.h"
#include "claim/view_mark.h"
#include "lib/base.h"
#include "lib/bearer.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/http/request.h"
#include "lib/mailbox.h"
#include "lib/sockets.h"
#include "log/journal_thread.h"
#include "verify/reconcile_thread.h"

struct audit;
struct connection;
struct console;
struct route;

/* What all network threads know in common: made by serve.c, read by all, changed by none but the
 * atomics. */
struct server_shared {
    struct http_limits limits;
    uint32_t inflight_max;
    const struct clock *clock;
    const struct code_keys *keys;
    const char *admin_token;
    const struct copy_thread *copy; /* NULL when there is none */
    const struct reconcile_thread *verifier; /* NULL when there is none */
    const char *version;
    const char *folder;            /* of the data */
    struct random_source *random;  /* for the admin thread alone */
    uint64_t started_ns;           /* monotonic */
    struct gcra_table *limit_tables[LIMITS];
    struct server *const *servers; /* all, for their counts */
    uint32_t servers_count;
    const struct journal_counts *journal; /* NULL in cluster mode */
    const struct cluster *cluster;        /* NULL in embedded mode */
    struct settings_watch *settings;      /* likewise */
    struct audit *audit; /* NULL: what is told is not noted; each thread by its index */

    /* A reload changes these. Each stands for itself: stores and loads are relaxed. */
    atomic_uint_least32_t header_timeout_s, idle_timeout_s;
    atomic_uint_least32_t pipeline_max;
    atomic_uint_least64_t answer_timeout_ns, drain_timeout_ns;
    atomic_uint_least64_t connections_max;
    atomic_uint_least32_t session_timeout_s;
    struct gate *_Atomic gate; /* stored with release */

    /* Seconds, as of the admin thread's last look, for which the engine has not moved, or some view
     * has not followed it. */
    atomic_uint_least32_t engine_still_s, views_behind_s;
    atomic_uint_least64_t connections; /* open ones of all threads */
    atomic_bool is_ready;              /* /readyz */
};

struct server_options {
    struct server_shared *shared;
    const struct route *routes; /* public or admin */
    uint32_t index;             /* of this thread, as claims carry it */
    int listen_fd;              /* owned by the server from now on */
    bool is_listen_passed;      /* a duplicate of a socket that outlives this process */
    struct view *view;          /* owned by the server from now on */
    struct sockets *sockets;    /* owned by the server from now on */
    struct bearer *bearer;      /* its reference is the server's from now on; NULL: no tokens */
};

/* NULL and err when memory or file descriptors are short. */
struct server *server_new(const struct server_options *options, struct err *err) MUST_CHECK;
struct mailbox *server_mailbox(struct server *server);
/* From any thread: tokens are checked with `bearer` (whose reference is the server's from now on)
 * instead. For a server that has one. */
void server_offer_bearer(struct server *server, struct bearer *bearer);
/* Begins to serve, on a thread of its own. */
int server_start(struct server *server, struct engine_thread *engine, struct err *err) MUST_CHECK;
/* From any thread: take no more connections, finish what is under way, then end the thread. */
void server_drain(struct server *server);
/* Waits for the end of the thread. Parcels may still be sent to it, until server_free. */
void server_join(struct server *server);
void server_free(struct server *server);

/* ---- for the files of api/ ---- */

enum { WHEEL_SLOTS = 128, READ_BYTES = 64 * 1024, CLAIMS_IN_PARCEL = 256, COUPON_KEYS_MAX = 16 };

struct server {
    struct server_shared *shared;
    const struct route *routes;
    uint32_t index;
    struct engine_thread *engine;
    struct view *view;
    struct view_mark view_mark;
    int64_t engine_ms;    /* the engine's latched time, as last told */
    uint64_t tail_age_ns; /* asked once a turn; 0 in embedded mode, whose views miss nothing */
    bool has_failed;   /* the log failed: nothing is decided any more */
    bool is_draining;
    bool is_resting; /* from accepting, until the next second */
    bool is_listen_passed;
    bool has_warned_of_proxy; /* which may be one, see limits.c */

    struct bearer *bearer; /* what tokens are checked with; NULL: users are taken at their word */
    struct bearer *_Atomic offered; /* to be taken instead; NULL: nothing new */

    struct sockets *sockets;
    uv_loop_t loop; /* what is no socket: mail and time */
    int listen_fd;
    int spare_fd; /* given up for a moment to tell a client that no file is left */
    uv_async_t mail;
    uv_async_t drain;
    uv_async_t offer;
    uv_timer_t second;
    uv_timer_t answers_due;
    bool is_over; /* drained: the thread ends */
    uv_thread_t thread;
    struct mailbox box;

    uint64_t turn_us;               /* the time of limits, asked once a turn; 0: not yet */
    uint32_t now_s;                 /* seconds of the wheel's time */
    struct link wheel[WHEEL_SLOTS]; /* connections by the second their time may be up */
    char date[HTTP_DATE_BYTES];
    struct sold_out_reply sold_out;
    uint64_t drain_quiet_ns, drain_until_ns;

    struct waiting_pool waiting;
    uint32_t busy_count;      /* claims sent away for lack of a place */
    uint32_t limited_count;   /* requests sent away for being too many of an address */
    struct to_engine *claims; /* of this tick, NULL before the first */
    struct link touched;      /* connections that got an answer from the engine in this tick */
    struct link turns;        /* connections that go on in the next one, without any news */
    struct link closed;       /* connections to be freed at the end of this one */

    struct coupon_deriver *derivers[COUPON_KEYS_MAX]; /* same index as shared->keys */
    struct console *console; /* of the admin listener's thread; else NULL */
    struct counts counts;
    struct output out;
    char read[READ_BYTES];
};

/* What a reload may have changed a moment ago. */
#define SERVER_SETTING(server, name)                                                               \
    atomic_load_explicit(&(server)->shared->name, memory_order_relaxed)

/* Good until the end of the process. */
static inline const struct gate *server_gate(const struct server *server) {
    return atomic_load_explicit(&server->shared->gate, memory_order_acquire);
}

/* The view may say no, and finally. */
static inline bool server_is_current(const struct server *server) {
    return server->tail_age_ns < (uint64_t)CLUSTER_CURRENT_MS * 1000000;
}

static inline struct decide_by server_decide_by(const struct server *server) {
    return (struct decide_by){
        .now_ms = server->engine_ms,
        .end_margin_ms = server->shared->cluster != NULL ? CLUSTER_CLOCKS_MS : 0,
        .is_current = server_is_current(server),
    };
}

/* Nothing can be accepted now: looks again in a second instead of spinning. */
void server_rest_from_accepting(struct server *server);
/* The time from which an answer is awaited, now; the server watches over it. */
uint64_t server_await_answer(struct server *server);
/* Queues a claim (or query) for the engine; it leaves at the end of the tick. */
void server_send_claim(struct server *server, const struct claim *claim);
/* Sends a control record to the engine; its answer comes to the waiting place `token`. */
void server_send_control(struct server *server, const struct record *record, uint64_t token);

/* The code of a coupon; its length, or 0 when this node lacks the key of the event. */
size_t server_coupon_code(struct server *server, const struct event *event,
                          const struct coupon *coupon, char out[COUPON_CODE_BYTES_MAX]);
bool server_has_key(const struct server *server, const struct event *event);
