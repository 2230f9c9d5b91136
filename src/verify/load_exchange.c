/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_exchange.h"

#include <errno.h>
#include <string.h>

enum {
    PENDING_ROUNDS_MAX = 30, /* queries after a 202 */
    LATER_MS_MIN = 20,       /* waits at least this long before it asks again … */
    LATER_MS_MAX = 10000,    /* … and at most this long, whatever Retry-After says */
};

static bool is_open_loop(const struct load_worker *worker) {
    return worker->interval_ns > 0;
}

/* When the next new request is due by the schedule. */
static uint64_t intended_ns(const struct load_worker *worker) {
    uint64_t number = worker->scheduled * worker->shared->config->threads + worker->index;
    return worker->tally.start_ns + (uint64_t)((double)number * worker->interval_ns);
}

uint64_t exchange_next_ns(const struct load_worker *worker) {
    uint64_t next = plan_due_ns(&worker->plan);
    if (!plan_has_new(&worker->plan)) return next;
    uint64_t fresh = is_open_loop(worker) ? intended_ns(worker) : 0;
    return fresh < next ? fresh : next;
}

bool exchange_has_work(const struct load_worker *worker, uint64_t now_ns) {
    return exchange_next_ns(worker) <= now_ns;
}

/* Requests that were put off go first: somebody has waited long for them. */
static bool next_job(struct load_worker *worker, uint32_t connection, uint64_t now_ns,
                     struct load_job *job) {
    if (plan_due(&worker->plan, now_ns, job)) return true;
    uint64_t due_ns = now_ns;
    if (is_open_loop(worker)) {
        due_ns = intended_ns(worker);
        if (due_ns > now_ns) return false;
    }
    if (!plan_next(&worker->plan, connection, job)) return false;
    worker->scheduled++;
    job->due_ns = due_ns;
    return true;
}

/* How many requests to put on a connection: a whole window, or in an open loop its part of what is
 * due, so that a generator that has fallen behind makes up for it in few writes. */
static uint32_t room_of(const struct load_worker *worker, const struct load_connection *connection,
                        uint64_t now_ns) {
    uint32_t room = connection->places - connection->count;
    if (!is_open_loop(worker)) return room;
    uint64_t next_ns = intended_ns(worker);
    if (next_ns >= now_ns) return room < 1 ? room : 1;
    double due = (double)(now_ns - next_ns) / worker->interval_ns / worker->shared->config->threads;
    double part = due / (worker->ready_count + 1) + 1;
    return part < room ? (uint32_t)part : room;
}

ptrdiff_t exchange_fill(struct load_worker *worker, struct load_connection *connection,
                        uint64_t now_ns) {
    uint32_t room = room_of(worker, connection, now_ns);
    uint32_t requests = 0;
    size_t bytes = 0;
    struct load_job job;
    while (requests < room && next_job(worker, connection->index, now_ns, &job)) {
        struct load_sent *sent = load_connection_push(connection);
        *sent = (struct load_sent){.intended_ns = job.due_ns,
                                   .sent_ns = now_ns,
                                   .user = job.user,
                                   .kind = job.kind,
                                   .rounds = job.rounds};
        oracle_on_send(&worker->oracle, sent);
        bytes += request_write(worker->shared->kit, job.kind, job.user, worker->out + bytes);
        requests++;
    }
    if (requests == 0) return 0;
    worker->tally.sent += requests;
    worker->in_flight += requests;
    oracle_mark_sends(&worker->oracle, now_ns);
    int failed = load_connection_write(connection, slice_of(worker->out, bytes));
    return failed != 0 ? failed : (ptrdiff_t)requests;
}

/* ---- The history ---- */

static struct slice user_id_of(const struct load_worker *worker, const struct load_sent *sent,
                               char out[REQUEST_USER_ID_BYTES_MAX + 1]) {
    return request_user_id(worker->shared->kit, sent->user, out);
}

static void note_answer(struct load_worker *worker, const struct load_sent *sent, enum told told,
                        uint64_t now_ns) {
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    if (worker->pen.bytes == NULL || sent->kind >= REQUEST_BAD) return;
    history_pen_answered(&worker->pen, user_id_of(worker, sent, id), sent->kind == REQUEST_QUERY,
                         sent->sent_ns, now_ns, told, &worker->oracle.body);
}

void exchange_lost(struct load_worker *worker, const struct load_sent *sent) {
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    if (worker->pen.bytes == NULL || sent->kind >= REQUEST_BAD) return;
    history_pen_lost(&worker->pen, user_id_of(worker, sent, id), sent->kind == REQUEST_QUERY,
                     sent->sent_ns);
}

/* ---- Sending again ---- */

int exchange_resend(struct load_worker *worker, struct load_connection *connection,
                    uint64_t now_ns) {
    size_t bytes = 0;
    for (uint32_t left = connection->count; left > 0; left--) {
        struct load_sent sent = *load_connection_first(connection);
        load_connection_pop(connection);
        oracle_on_lost(&worker->oracle, &sent);
        exchange_lost(worker, &sent);
        if (++sent.tries > EXCHANGE_TRIES_MAX) {
            oracle_on_unanswered(&worker->oracle, &sent, "the connection broke each time");
            worker->in_flight--;
            continue;
        }
        sent.sent_ns = now_ns;
        oracle_on_send(&worker->oracle, &sent);
        bytes += request_write(worker->shared->kit, sent.kind, sent.user, worker->out + bytes);
        *load_connection_push(connection) = sent;
        worker->tally.resent++;
    }
    return bytes == 0 ? 0 : load_connection_write(connection, slice_of(worker->out, bytes));
}

/* Puts the request off. */
static void later(struct load_worker *worker, const struct load_sent *sent, unsigned kind,
                  const struct answer *answer, uint64_t now_ns) {
    int64_t wait_ms = answer->retry_after_s < 0 ? 0 : answer->retry_after_s * 1000;
    if (wait_ms < LATER_MS_MIN) wait_ms = LATER_MS_MIN;
    if (wait_ms > LATER_MS_MAX) wait_ms = LATER_MS_MAX;
    struct load_job job = {.due_ns = now_ns + (uint64_t)wait_ms * 1000000,
                           .user = sent->user,
                           .kind = (uint8_t)kind,
                           .rounds = (uint8_t)(sent->rounds + 1)};
    if (!plan_later(&worker->plan, &job)) worker->oracle.out_of_memory = true;
}

/* Answers that decide nothing yet are followed up. */
static void follow_up(struct load_worker *worker, const struct load_sent *sent, enum told told,
                      const struct answer *answer, uint64_t now_ns) {
    if (told == TOLD_BUSY && sent->kind == REQUEST_CLAIM &&
        sent->rounds < worker->shared->config->busy_rounds_max) {
        later(worker, sent, REQUEST_CLAIM, answer, now_ns);
        return;
    }
    bool is_pending = told == TOLD_PENDING || told == TOLD_NOTHING ||
                      (told == TOLD_BUSY && sent->kind == REQUEST_QUERY);
    if (!is_pending) return;
    if (sent->rounds >= PENDING_ROUNDS_MAX)
        oracle_on_unanswered(&worker->oracle, sent, "pending and never decided");
    else if (told == TOLD_NOTHING) /* what had been reserved came to nothing: claim again */
        later(worker, sent, REQUEST_CLAIM, answer, now_ns);
    else
        later(worker, sent, REQUEST_QUERY, answer, now_ns);
}

static void remember_common(struct load_worker *worker, const char *bytes, enum told told,
                            const struct answer *answer) {
    if (answer->bytes > sizeof worker->common || !oracle_is_common(told, answer)) return;
    memcpy(worker->common, bytes, answer->bytes);
    worker->common_bytes = answer->bytes;
    worker->common_told = told;
}

/* One answer at `p`: its length, 0 when it is cut short, -EPROTO. *closes is set by the last one.
 */
static ptrdiff_t take_parsed(struct load_worker *worker, struct load_connection *connection,
                             const char *p, size_t n, uint64_t now_ns, bool *closes) {
    struct load_sent sent = *load_connection_first(connection);
    struct answer answer;
    const char *problem = NULL;
    enum answer_parse parsed = answer_parse(slice_of(p, n), &answer, &problem);
    if (parsed == ANSWER_MORE) return 0;
    load_connection_pop(connection);
    worker->in_flight--;
    if (parsed == ANSWER_BAD) {
        oracle_on_garbage(&worker->oracle, &sent, slice_of(p, n), problem);
        exchange_lost(worker, &sent);
        return -EPROTO;
    }
    enum told told = oracle_on_answer(&worker->oracle, &sent, &answer, now_ns);
    if (told == TOLD_WRONG) worker->tally.errors[LOAD_ERROR_STATUS]++;
    tally_answer(&worker->tally, told, sent.intended_ns, now_ns);
    note_answer(worker, &sent, told, now_ns);
    follow_up(worker, &sent, told, &answer, now_ns);
    if (sent.kind == REQUEST_CLAIM) remember_common(worker, p, told, &answer);
    *closes = answer.closes;
    return (ptrdiff_t)answer.bytes;
}

static bool take_common(struct load_worker *worker, struct load_connection *connection,
                        const char *p, size_t n, uint64_t now_ns) {
    if (n < worker->common_bytes || worker->common_bytes == 0) return false;
    if (memcmp(p, worker->common, worker->common_bytes) != 0) return false;
    const struct load_sent *sent = load_connection_first(connection);
    if (!oracle_on_common(&worker->oracle, sent, worker->common_told)) return false;
    tally_answer(&worker->tally, worker->common_told, sent->intended_ns, now_ns);
    note_answer(worker, sent, worker->common_told, now_ns);
    load_connection_pop(connection);
    worker->in_flight--;
    return true;
}

/* Judges the answers at the start of `bytes`; *used is where the first incomplete one begins. */
static int take_answers(struct load_worker *worker, struct load_connection *connection,
                        struct slice bytes, uint64_t now_ns, size_t *used) {
    size_t at = 0;
    bool closes = false;
    while (at < bytes.n && !closes) {
        const char *p = bytes.p + at;
        if (connection->count == 0) {
            oracle_on_garbage(&worker->oracle, NULL, slice_of(p, bytes.n - at),
                              "an answer without a request");
            return -EPROTO;
        }
        if (LIKELY(take_common(worker, connection, p, bytes.n - at, now_ns))) {
            at += worker->common_bytes;
            continue;
        }
        ptrdiff_t taken = take_parsed(worker, connection, p, bytes.n - at, now_ns, &closes);
        if (taken < 0) return (int)taken;
        if (taken == 0) break;
        at += (size_t)taken;
    }
    if (at > 0) {
        connection->failures = 0;
        worker->progress_ns = now_ns;
        worker->tally.end_ns = now_ns;
    }
    *used = at;
    return closes ? -EAGAIN : 0;
}

int exchange_receive(struct load_worker *worker, struct load_connection *connection, bool to_end) {
    for (;;) {
        enum connection_read how;
        ptrdiff_t n = load_connection_read(connection, worker->in, EXCHANGE_IN_BYTES, &how);
        if (n < 0) return (int)n;
        struct slice bytes = slice_of(worker->in, (size_t)n);
        size_t used = 0;
        uint64_t now_ns = clock_monotonic_ns(worker->shared->clock);
        int failed = take_answers(worker, connection, bytes, now_ns, &used);
        if (failed != 0) return failed;
        if (how == READ_END) return -ECONNRESET;
        failed = load_connection_keep(connection, slice_of(bytes.p + used, bytes.n - used));
        if (failed != 0 || how == READ_DRAINED) return failed;
        if (how == READ_SOME && !to_end) return 0;
    }
}
