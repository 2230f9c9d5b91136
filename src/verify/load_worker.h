/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker is one thread of the load generator: its own users, connections, plan and oracle, one
 * epoll. It shares nothing with the others while it runs but a stop flag and the counters of the
 * progress line; what it found is read when it has ended.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/clock.h"
#include "verify/history_write.h"
#include "verify/load_config.h"
#include "verify/load_connection.h"
#include "verify/load_oracle.h"
#include "verify/load_plan.h"
#include "verify/load_request.h"
#include "verify/load_tally.h"

enum { COMMON_ANSWER_BYTES_MAX = 1024 };

/* What all workers of a run have in common; read-only but for the flag. */
struct load_shared {
    const struct load_config *config;
    const struct request_kit *kit;
    const struct clock *clock;
    uint8_t *users;              /* USER_ bits, a byte for each */
    pthread_barrier_t connected; /* nobody sends before all have connected */
    atomic_bool stops;           /* set to end early */
    struct history_out *history; /* NULL: none is written */
};

struct load_progress {
    _Atomic uint64_t answered, issued, sold_out, errors;
};

struct load_worker {
    struct load_shared *shared;
    uint32_t index;
    pthread_t thread;

    struct load_plan plan;
    struct oracle oracle;
    struct load_tally tally;
    struct load_progress progress;
    struct history_pen pen;

    int epoll_fd;
    int done_fd; /* an eventfd of the caller's: one is added at the end */
    struct load_connection *connections;
    uint32_t connections_count;
    struct load_sent *rings;
    uint32_t connecting_count, open_count;

    struct load_connection **ready; /* a queue, as long as there are connections */
    uint32_t ready_first, ready_count;

    uint64_t in_flight;
    uint64_t scheduled;   /* open loop: requests handed out */
    double interval_ns;   /* open loop: between requests of all threads; 0 for closed */
    uint64_t progress_ns; /* when something last went forward, or nothing had to */
    uint64_t scan_ns;     /* when connections are looked through next */
    bool gave_up;

    /* The bytes of the last answer that tells everybody the same: compared before parsing. */
    char common[COMMON_ANSWER_BYTES_MAX];
    size_t common_bytes;
    enum told common_told;

    char *out; /* a window of requests being written */
    char *in;  /* what was read */
};

/* Prepares worker `index`: its range of the users, its part of the connections. 0 or a negative
 * errno. */
int worker_init(struct load_worker *worker, struct load_shared *shared, uint32_t index,
                int done_fd) MUST_CHECK;
void worker_deinit(struct load_worker *worker);

/* The thread: connects, waits for the others at the barrier, sends, ends. `worker` is its argument.
 */
void *worker_run(void *worker);
