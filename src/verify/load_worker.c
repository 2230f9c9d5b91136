/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "verify/load_exchange.h"

enum {
    EVENTS_MAX = 256,
    CONNECTING_MAX = 128, /* more at once overflow the queue of a listening socket */
    REOPEN_MS_FIRST = 2,  /* doubles with each failure … */
    REOPEN_DOUBLINGS = 8, /* … up to about half a second */
    SILENCES_MAX = 3,     /* time-outs without any answer until the run is given up */
};

#define MS UINT64_C(1000000)

static uint64_t now(const struct load_worker *worker) {
    return clock_monotonic_ns(worker->shared->clock);
}

/* The share of worker `index` of `whole` that are numbered through: from *first on. */
static uint64_t share(uint64_t whole, uint32_t workers, uint32_t index, uint64_t *first) {
    *first = whole / workers * index + size_min(index, whole % workers);
    return whole / workers + (index < whole % workers ? 1 : 0);
}

static void init_plan(struct load_worker *worker) {
    const struct load_config *config = worker->shared->config;
    uint64_t first, unused;
    struct load_plan_setup setup = {
        .users = (uint32_t)share(config->users, config->threads, worker->index, &first),
        .claims = UINT64_MAX,
        .retries = config->retries,
        .duplicates = config->duplicates,
        .bad = config->bad,
        .is_single_connection = worker->connections_count == 1,
        .seed = config->seed + worker->index,
    };
    setup.first_user = (uint32_t)first;
    if (config->claims != UINT64_MAX)
        setup.claims = share(config->claims, config->threads, worker->index, &unused);
    plan_init(&worker->plan, &setup);
}

int worker_init(struct load_worker *worker, struct load_shared *shared, uint32_t index,
                int done_fd) {
    const struct load_config *config = shared->config;
    uint64_t first;
    *worker = (struct load_worker){.shared = shared, .index = index, .done_fd = done_fd};
    size_t connections = (size_t)share(config->connections, config->threads, index, &first);
    worker->connections_count = (uint32_t)connections;
    worker->interval_ns = config->rate > 0 ? 1e9 / config->rate : 0;
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll_fd < 0) return -errno;
    worker->connections = calloc(connections, sizeof *worker->connections);
    worker->ready = calloc(connections, sizeof(struct load_connection *));
    worker->rings = calloc(connections * config->pipeline, sizeof *worker->rings);
    worker->out = malloc((size_t)config->pipeline * REQUEST_BYTES_MAX);
    worker->in = malloc(EXCHANGE_IN_BYTES);
    if (worker->connections == NULL || worker->ready == NULL || worker->rings == NULL ||
        worker->out == NULL || worker->in == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < connections; i++)
        load_connection_init(&worker->connections[i], (uint32_t)(first + i),
                             worker->rings + i * config->pipeline, config->pipeline);
    if (shared->history != NULL && history_pen_init(&worker->pen, shared->history) != 0)
        return -ENOMEM;
    init_plan(worker);
    oracle_init(&worker->oracle, shared->kit, shared->users);
    return tally_init(&worker->tally);
}

void worker_deinit(struct load_worker *worker) {
    for (size_t i = 0; worker->connections != NULL && i < worker->connections_count; i++)
        load_connection_deinit(&worker->connections[i]);
    if (worker->epoll_fd >= 0) close(worker->epoll_fd);
    history_pen_put_away(&worker->pen);
    free(worker->connections);
    free(worker->ready);
    free(worker->rings);
    free(worker->out);
    free(worker->in);
    plan_deinit(&worker->plan);
    oracle_deinit(&worker->oracle);
    tally_deinit(&worker->tally);
}

static void push_ready(struct load_worker *worker, struct load_connection *connection) {
    if (connection->is_ready || !load_connection_has_room(connection)) return;
    uint32_t at = worker->ready_first + worker->ready_count++;
    worker->ready[at % worker->connections_count] = connection;
    connection->is_ready = true;
}

/* The next connection with room, or NULL. Those that broke while they stood there are dropped. */
static struct load_connection *pop_ready(struct load_worker *worker) {
    while (worker->ready_count > 0) {
        struct load_connection *connection = worker->ready[worker->ready_first];
        worker->ready_first = (worker->ready_first + 1) % worker->connections_count;
        worker->ready_count--;
        connection->is_ready = false;
        if (load_connection_has_room(connection)) return connection;
    }
    return NULL;
}

/* Closes a connection; it is opened again later, sooner when it had worked. */
static void break_off(struct load_worker *worker, struct load_connection *connection) {
    if (connection->state == CONNECTION_OPEN) worker->open_count--;
    if (connection->state == CONNECTION_CONNECTING) worker->connecting_count--;
    load_connection_close(connection);
    uint32_t doublings =
        connection->failures < REOPEN_DOUBLINGS ? connection->failures : REOPEN_DOUBLINGS;
    uint64_t wait_ns = connection->failures == 0 ? 0 : (REOPEN_MS_FIRST * MS) << doublings;
    connection->failures++;
    connection->reopen_ns = now(worker) + wait_ns;
    worker->scan_ns = 0;
}

static void on_failed(struct load_worker *worker, struct load_connection *connection, int failed) {
    if (connection->state == CONNECTION_CONNECTING)
        worker->tally.errors[LOAD_ERROR_CONNECT]++;
    else if (failed == -EPROTO)
        worker->tally.errors[LOAD_ERROR_PROTOCOL]++;
    else if (failed != -EAGAIN && connection->count > 0)
        worker->tally.errors[LOAD_ERROR_RESET]++;
    break_off(worker, connection);
}

static void open_one(struct load_worker *worker, struct load_connection *connection,
                     uint64_t now_ns) {
    const struct load_config *config = worker->shared->config;
    int failed =
        load_connection_open(connection, (const struct sockaddr *)&config->address,
                             config->address_bytes, config->is_loopback, worker->epoll_fd, now_ns);
    if (failed != 0) {
        worker->tally.errors[LOAD_ERROR_CONNECT]++;
        break_off(worker, connection);
    } else {
        worker->connecting_count++;
    }
}

static void give_up_late(struct load_worker *worker, struct load_connection *connection,
                         uint64_t now_ns) {
    while (connection->count > 0) {
        const struct load_sent *sent = load_connection_first(connection);
        if (sent->sent_ns + worker->shared->config->timeout_ns > now_ns) break;
        worker->tally.errors[LOAD_ERROR_TIMEOUT]++;
        oracle_on_unanswered(&worker->oracle, sent, "no answer in time");
        exchange_lost(worker, sent);
        load_connection_pop(connection);
        worker->in_flight--;
    }
    break_off(worker, connection);
}

/* Opens what is closed, ends what takes too long. Not for every round of the loop. */
static void scan_connections(struct load_worker *worker, uint64_t now_ns) {
    uint64_t timeout_ns = worker->shared->config->timeout_ns;
    for (uint32_t i = 0; i < worker->connections_count; i++) {
        struct load_connection *connection = &worker->connections[i];
        if (connection->state == CONNECTION_CLOSED) {
            if (connection->reopen_ns <= now_ns && worker->connecting_count < CONNECTING_MAX)
                open_one(worker, connection, now_ns);
        } else if (connection->state == CONNECTION_CONNECTING) {
            if (connection->opened_ns + timeout_ns <= now_ns)
                on_failed(worker, connection, -ETIMEDOUT);
        } else if (connection->count > 0 &&
                   load_connection_first(connection)->sent_ns + timeout_ns <= now_ns) {
            give_up_late(worker, connection, now_ns);
        }
    }
    bool is_whole = worker->open_count == worker->connections_count;
    uint64_t pause_ns = is_whole ? timeout_ns / 8 : 2 * MS;
    worker->scan_ns = now_ns + (pause_ns < 500 * MS ? pause_ns : 500 * MS);
}

/* Sends as long as there is work and a connection with room. */
static void dispatch(struct load_worker *worker, uint64_t now_ns) {
    while (worker->ready_count > 0 && exchange_has_work(worker, now_ns)) {
        struct load_connection *connection = pop_ready(worker);
        if (connection == NULL) return;
        ptrdiff_t sent = exchange_fill(worker, connection, now_ns);
        if (sent < 0)
            on_failed(worker, connection, (int)sent);
        else
            push_ready(worker, connection);
    }
}

/* After answers: a closed loop sends the next window once this one is answered whole. */
static int go_on(struct load_worker *worker, struct load_connection *connection) {
    if (worker->interval_ns > 0 || connection->is_ready) {
        push_ready(worker, connection);
        return 0;
    }
    if (connection->count > 0) return 0;
    ptrdiff_t sent = exchange_fill(worker, connection, now(worker));
    if (sent < 0) return (int)sent;
    if (sent == 0) push_ready(worker, connection);
    return 0;
}

static int on_opened(struct load_worker *worker, struct load_connection *connection) {
    int failed = load_connection_finish_open(connection);
    if (failed != 0) return failed;
    worker->connecting_count--;
    worker->open_count++;
    if (connection->count > 0) failed = exchange_resend(worker, connection, now(worker));
    if (connection->count == 0 || worker->interval_ns > 0) push_ready(worker, connection);
    return failed;
}

static void on_event(struct load_worker *worker, struct load_connection *connection,
                     uint32_t events) {
    int failed = 0;
    if (connection->state == CONNECTION_CLOSED) return; /* broke earlier in this round */
    if (connection->state == CONNECTION_CONNECTING) {
        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
            failed = on_opened(worker, connection);
    } else if ((events & EPOLLOUT) != 0) {
        failed = load_connection_write_rest(connection);
    }
    bool ends = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (failed == 0 && connection->state == CONNECTION_OPEN && ((events & EPOLLIN) != 0 || ends)) {
        failed = exchange_receive(worker, connection, ends);
        if (failed == 0) failed = go_on(worker, connection);
    }
    if (failed != 0) on_failed(worker, connection, failed);
}

static int wait_ms_or_less(uint64_t from_ns, uint64_t until_ns, struct timespec *wait) {
    uint64_t ns = until_ns > from_ns ? until_ns - from_ns : 0;
    if (ns > 500 * MS) ns = 500 * MS;
    wait->tv_sec = 0;
    wait->tv_nsec = (long)ns;
    return (int)((ns + MS - 1) / MS);
}

/* One round: wait, read and answer, send what is due. */
static void turn(struct load_worker *worker, bool sends) {
    struct epoll_event events[EVENTS_MAX];
    uint64_t until_ns = worker->scan_ns;
    if (sends && worker->ready_count > 0) {
        uint64_t next_ns = exchange_next_ns(worker);
        if (next_ns < until_ns) until_ns = next_ns;
    }
    struct timespec wait;
    int wait_ms = wait_ms_or_less(now(worker), until_ns, &wait);
    int n = epoll_pwait2(worker->epoll_fd, events, EVENTS_MAX, &wait, NULL);
    if (n < 0 && errno == ENOSYS) n = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < n; i++) on_event(worker, events[i].data.ptr, events[i].events);
    uint64_t now_ns = now(worker);
    if (sends) dispatch(worker, now_ns);
    if (now_ns >= worker->scan_ns) scan_connections(worker, now_ns);
}

/* Opens all connections; those that fail within the time-out are tried again while it runs. */
static void connect_all(struct load_worker *worker) {
    uint64_t end_ns = now(worker) + worker->shared->config->timeout_ns;
    scan_connections(worker, now(worker));
    while (worker->open_count < worker->connections_count && now(worker) < end_ns &&
           !atomic_load_explicit(&worker->shared->stops, memory_order_relaxed))
        turn(worker, false);
}

static void publish(struct load_worker *worker) {
    const uint64_t *told = worker->oracle.told;
    uint64_t errors = 0;
    for (size_t i = 0; i < LOAD_ERROR_COUNT; i++) errors += worker->tally.errors[i];
    struct load_progress *progress = &worker->progress;
    atomic_store_explicit(&progress->answered, worker->tally.answered, memory_order_relaxed);
    atomic_store_explicit(&progress->issued, told[TOLD_ISSUED], memory_order_relaxed);
    atomic_store_explicit(&progress->sold_out, told[TOLD_SOLD_OUT] + told[TOLD_SOLD_OUT_FINAL],
                          memory_order_relaxed);
    atomic_store_explicit(&progress->errors, errors, memory_order_relaxed);
}

/* Ends early: asked to, the duration is over, or nobody answers any more. */
static void check_end(struct load_worker *worker, uint64_t now_ns) {
    const struct load_config *config = worker->shared->config;
    bool is_over =
        config->duration_ns != 0 && now_ns >= worker->tally.start_ns + config->duration_ns;
    if (is_over) plan_stop(&worker->plan);
    if (atomic_load_explicit(&worker->shared->stops, memory_order_relaxed)) {
        plan_stop(&worker->plan);
        plan_forget_later(&worker->plan);
    }
    bool waits = worker->in_flight > 0 || exchange_has_work(worker, now_ns);
    if (!waits) worker->progress_ns = now_ns;
    if (now_ns - worker->progress_ns > SILENCES_MAX * config->timeout_ns) worker->gave_up = true;
}

/* What is under way when the run is given up got no answer. */
static void give_up_all(struct load_worker *worker) {
    for (uint32_t i = 0; i < worker->connections_count; i++)
        for (struct load_connection *connection = &worker->connections[i]; connection->count > 0;
             load_connection_pop(connection)) {
            oracle_on_unanswered(&worker->oracle, load_connection_first(connection),
                                 "the server stopped answering");
            exchange_lost(worker, load_connection_first(connection));
        }
}

void *worker_run(void *argument) {
    struct load_worker *worker = argument;
    (void)prctl(PR_SET_TIMERSLACK, 1); /* ns: open-loop sends should be on time */
    connect_all(worker);
    pthread_barrier_wait(&worker->shared->connected);
    worker->tally.start_ns = worker->progress_ns = now(worker);
    worker->tally.end_ns = worker->tally.start_ns;
    dispatch(worker, worker->tally.start_ns);
    while (!worker->gave_up && (worker->in_flight > 0 || !plan_is_done(&worker->plan))) {
        turn(worker, true);
        check_end(worker, now(worker));
        publish(worker);
    }
    if (worker->gave_up) give_up_all(worker);
    history_pen_put_away(&worker->pen);
    publish(worker);
    uint64_t one = 1;
    ssize_t written = write(worker->done_fd, &one, sizeof one);
    ASSERT(written == sizeof one);
    return NULL;
}
