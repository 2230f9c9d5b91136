/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/repair.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "claim/install.h"
#include "claim/redis_scripts.h"
#include "claim/view.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/random.h"
#include "log/kafka_log.h"

enum { FLUSH_MS = 1000, TURN_MS = 100, TRIES_MAX = 5, PAUSE_MS = 200, FOLLOW_MS = 2000 };

struct repair {
    struct repair_options options;
    struct view *view;
    struct kafka_log *log;
    uint64_t nonce;       /* of our FENCE on its way; 0: none */
    enum verdict verdict; /* … once it is back: then nonce is 0 */
    int failed;           /* the log cannot be followed any more */
};

static uint64_t now_ms(void) {
    return clock_monotonic_ns(&clock_system) / 1000000;
}

/* ---- The log ---- */

static void on_record(void *ctx, uint64_t seq, uint64_t nonce, struct slice value) {
    struct repair *repair = ctx;
    struct record record;
    enum verdict verdict;
    size_t bytes = 0;
    if (repair->failed != 0) return;
    enum record_status status = record_decode(value, &record, &bytes);
    if (status == RECORD_NEWER) repair->failed = -EPROTO;
    if (status != RECORD_OK || bytes != value.n) return; /* nothing, to everybody */
    record.seq = seq;
    if (view_apply(repair->view, &record, &verdict) != 0) repair->failed = -ENOMEM;
    if (repair->nonce == 0 || nonce != repair->nonce) return;
    repair->nonce = 0;
    repair->verdict = verdict;
}

/* Only what comes back tells what is in the log. */
static void on_delivered(void *ctx, uint64_t nonce, int code) {
    (void)ctx, (void)nonce, (void)code;
}

static int cannot_follow(const struct repair *repair, struct err *err) {
    return err_set(err, repair->failed,
                   repair->failed == -ENOMEM ? "no memory for what the log has decided"
                                             : "the log has records of a newer coupond");
}

int repair_open(struct repair **made, const struct repair_options *options, struct err *err) {
    struct hash_key key;
    struct repair *repair = calloc(1, sizeof *repair);
    random_fill(&random_system, &key, sizeof key);
    if (repair == NULL || (repair->view = view_new(&key)) == NULL) {
        free(repair);
        return err_set(err, -ENOMEM, "no memory for what the log has decided");
    }
    repair->options = *options;
    const struct kafka_log_sink sink = {repair, on_record, on_delivered};
    int code = kafka_log_open(&repair->log, options->kafka, &sink, err);
    if (code == 0) code = kafka_log_replay(repair->log, options->stall_ms, NULL, err);
    if (code == 0 && repair->failed != 0) code = cannot_follow(repair, err);
    if (code == 0)
        *made = repair;
    else
        repair_close(repair);
    return code;
}

void repair_close(struct repair *repair) {
    if (repair == NULL) return;
    if (repair->log != NULL) kafka_log_close(repair->log, FLUSH_MS);
    view_free(repair->view);
    free(repair);
}

/* ---- FENCE ---- */

static void turn(struct repair *repair) {
    struct pollfd readable = {.fd = kafka_log_fd(repair->log), .events = POLLIN};
    (void)poll(&readable, 1, TURN_MS);
    kafka_log_pump(repair->log);
}

static int produce(struct repair *repair, const struct event *event, uint32_t gen) {
    _Alignas(RECORD_ALIGN) char bytes[RECORD_BYTES_MAX];
    uint64_t nonce;
    random_fill(&random_system, &nonce, sizeof nonce);
    if (nonce == 0) nonce = 1;
    const struct record record = {.type = RECORD_FENCE,
                                  .ms = clock_wall_ms(&clock_system),
                                  .event_id = event->id,
                                  .fence = {.gen = gen, .nonce = nonce}};
    size_t n = record_encode(bytes, &record);
    ASSERT(n > 0);
    int code = kafka_log_produce(repair->log, event->id, slice_of(bytes, n), nonce);
    if (code == 0) repair->nonce = nonce;
    return code;
}

/* Until the log says what it makes of a FENCE of ours. */
static int fence(struct repair *repair, const struct event *event, struct err *err) {
    uint64_t until_ms = now_ms() + repair->options.stall_ms;
    uint32_t gen = judge_state(event->judge)->gen + 1;
    int code;
    while ((code = produce(repair, event, gen)) == -EAGAIN && now_ms() < until_ms) turn(repair);
    while (code == 0 && repair->nonce != 0 && repair->failed == 0 && now_ms() < until_ms)
        turn(repair);
    if (repair->failed != 0) return cannot_follow(repair, err);
    if (code != 0) return err_set(err, code, "the log takes no FENCE: %s", strerror(-code));
    if (repair->nonce != 0) {
        repair->nonce = 0;
        return err_set(err, -ETIMEDOUT,
                       "the FENCE has not come back: if it is in the log, the next claim recovers "
                       "the event");
    }
    if (repair->verdict == VERDICT_VALID) return 0;
    return err_set(err, -ESTALE, "a server has fenced it just now, and recovers it");
}

/* ---- What is known ---- */

bool repair_known_at(const struct repair *repair, uint32_t n, struct repair_known *known) {
    if (n >= view_events_count(repair->view)) return false;
    const struct event *event = view_at(repair->view, n);
    const struct judge_state *state = judge_state(event->judge);
    *known = (struct repair_known){.id = event->id, .gen = state->gen, .is_closed = state->closed};
    return true;
}

bool repair_follow(struct repair *repair, struct slice event_id, uint32_t gen) {
    const struct event *event = view_find(repair->view, event_id);
    uint64_t until_ms = now_ms() + FOLLOW_MS;
    ASSERT(event != NULL);
    while (judge_state(event->judge)->gen < gen && repair->failed == 0 && now_ms() < until_ms)
        turn(repair);
    return judge_state(event->judge)->gen >= gen;
}

/* ---- Install ---- */

static int on_installed(void *ctx, const struct redisReply *reply, struct err *err) {
    struct install_script_reply *read = ctx;
    (void)err;
    install_script_read(reply, read);
    return 0;
}

static int try_install(struct repair *repair, const struct event *event, uint32_t before,
                       struct install_script_reply *read, struct err *err) {
    struct script_keys keys;
    struct install_call call = {0};
    script_keys_make(&keys, event->id);
    int code = install_call_fill(&call, &keys, event->judge, before, INSTALL_PART_HOLDERS);
    if (code != 0) return err_set(err, code, "fenced, not installed: %s", strerror(-code));
    const struct redis_request request = {
        .key = script_key(&keys),
        .script = &install_script,
        .words = call.words,
        .words_count = call.words_count,
        .is_repeatable = true, /* the second time it says that the state is there */
    };
    code = snapshots_ask(repair->options.redis, &request, on_installed, read, err);
    install_call_deinit(&call);
    return code;
}

/* A gen that the log has got to was a server's. One that it has not is nobody's: a hand has written
 * it, or this is another log's Redis, and to wipe that would be the worst thing to do. */
static int tell_newer(struct repair *repair, const struct event *event, uint32_t gen,
                      struct repair_done *done, struct err *err) {
    done->by_server = repair_follow(repair, event->id, gen);
    if (done->by_server) return 0;
    return err_set(err, -EEXIST,
                   "not repaired: Redis is at gen %u, ahead of the log: is it of another topic? If "
                   "not, delete coupon:{%.*s}:m, and repair again",
                   gen, (int)event->id.n, event->id.p);
}

static int tell_installed(struct repair *repair, const struct event *event,
                          const struct install_script_reply *read, struct repair_done *done,
                          struct err *err) {
    switch (read->code) {
    case INSTALL_DONE:
        return 0;
    case INSTALL_NEWER:
        return tell_newer(repair, event, read->value, done, err);
    case INSTALL_PART:
        return -EINPROGRESS;
    case INSTALL_NOT_MASTER:
        return err_set(err, -EAGAIN, "fenced, not installed: the node is no master");
    case INSTALL_DUPLICATE_SERIAL:
        return err_set(err, -EIO, "fenced, not installed: Redis finds serial %u twice",
                       read->value);
    case INSTALL_WRONG_TYPE:
        return err_set(
            err, -EIO, "fenced, not installed: key %c is not ours; remove it, and repair again",
            read->value >= 1 && read->value <= INSTALL_KEYS ? "mufosb"[read->value - 1] : '?');
    case INSTALL_NONSENSE:
        break;
    }
    return err_set(err, -EBADMSG, "fenced, not installed: Redis gives no reply of this script");
}

static int install(struct repair *repair, const struct event *event, struct repair_done *done,
                   struct err *err) {
    int code = -EAGAIN;
    uint32_t before = 0;
    for (int tries = 0; tries < TRIES_MAX && code == -EAGAIN; tries++) {
        struct install_script_reply read = {.code = INSTALL_NONSENSE};
        if (tries > 0) (void)poll(NULL, 0, PAUSE_MS); /* as after a failover */
        do {
            before = read.code == INSTALL_PART ? read.value : 0;
            code = try_install(repair, event, before, &read, err);
            if (code == 0) code = tell_installed(repair, event, &read, done, err);
        } while (code == -EINPROGRESS && read.value > before);
        if (code == -EINPROGRESS)
            code = err_set(err, -EAGAIN, "fenced, not installed: Redis has forgotten a part of it");
    }
    return code;
}

/* ---- An event ---- */

int repair_event(struct repair *repair, struct slice event_id, struct repair_done *done,
                 struct err *err) {
    *done = (struct repair_done){0};
    kafka_log_pump(repair->log);
    const struct event *event = view_find(repair->view, event_id);
    if (event == NULL) return err_set(err, -ENOENT, "the log has no such event");
    const struct judge_state *state = judge_state(event->judge);
    if (state->closed)
        return err_set(err, -EPERM, "refused: the event is closed, nobody asks Redis for it");
    int code = fence(repair, event, err);
    if (code != 0) return code;
    done->gen = state->gen;
    done->holders = state->taken;
    FAILPOINT("rebuild_fenced");
    return install(repair, event, done, err);
}
