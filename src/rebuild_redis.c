/* SPDX-License-Identifier: Apache-2.0
 *
 * Redis was flushed or replaced: every event of the log that is not closed is put into it, as a
 * server does that finds one missing, but before anybody claims. Servers may be running; whoever is
 * on the way claims again. Killed in between, the rest is done by the next run, or by claims.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "claim/repair.h"
#include "rebuild.h"

enum { TRIES_MAX = 5, PAUSE_MS = 400 };

struct work {
    struct rebuild *rebuild;
    struct snapshots redis;
    struct repair *repair;
    uint32_t done, left_alone, failed;
};

/* ---- Which ---- */

static bool is_wanted(const struct work *work, struct slice id) {
    const struct rebuild *rebuild = work->rebuild;
    for (int i = 0; i < rebuild->words; i++)
        if (slice_eq(id, slice_str(rebuild->word[i]))) return true;
    return rebuild->words == 0;
}

static int check_names(const struct work *work, struct err *err) {
    const struct rebuild *rebuild = work->rebuild;
    struct repair_known known;
    for (int i = 0; i < rebuild->words; i++) {
        uint32_t n = 0;
        while (repair_known_at(work->repair, n, &known) &&
               !slice_eq(known.id, slice_str(rebuild->word[i])))
            n++;
        if (!repair_known_at(work->repair, n, &known))
            return err_set(err, -ENOENT, "refused, nothing was changed: the log has no event %.64s",
                           rebuild->word[i]);
    }
    return 0;
}

/* ---- What would do harm ---- */

struct look {
    int64_t gen;
    char wrong_key; /* 0: none */
};

static void on_state(void *ctx, const struct reserve_state *state) {
    struct look *look = ctx;
    if (state->is_there) look->gen = state->gen;
    for (size_t k = 0; k < RESERVE_KEYS; k++)
        if (state->is_wrong[k]) look->wrong_key = "mufo"[k];
}

/* A server that has fenced it just now makes Redis newer than what was read of the log. */
static int check_event(struct work *work, const struct repair_known *known, struct err *err) {
    struct look look = {.gen = -1};
    const struct reserve_sink sink = {.ctx = &look, .on_state = on_state};
    int code = snapshots_read(&work->redis, known->id, &sink, err);
    if (code != 0) return code;
    const int n = (int)known->id.n;
    if (look.wrong_key != 0)
        return err_set(err, -EEXIST,
                       "refused, nothing was changed: event %.*s: its key %c in Redis is not ours: "
                       "remove it, and run this again",
                       n, known->id.p, look.wrong_key);
    bool is_ahead =
        look.gen > (int64_t)UINT32_MAX ||
        (look.gen > known->gen && !repair_follow(work->repair, known->id, (uint32_t)look.gen));
    if (!is_ahead) return 0;
    return err_set(err, -EEXIST,
                   "refused, nothing was changed: event %.*s: Redis is at gen %" PRId64
                   ", ahead of the log at gen %" PRIu32
                   ": is it of another topic, or has the log lost its end?",
                   n, known->id.p, look.gen, known->gen);
}

static int check_all(struct work *work, struct err *err) {
    struct repair_known known;
    int code = check_names(work, err);
    for (uint32_t n = 0; code == 0 && repair_known_at(work->repair, n, &known); n++)
        if (!known.is_closed && is_wanted(work, known.id)) code = check_event(work, &known, err);
    return code;
}

/* ---- Doing it ---- */

/* A server's FENCE may be first: then it recovers the event, and ours comes after it. */
static int put(struct work *work, struct slice id, struct repair_done *done, struct err *err) {
    int code = -ESTALE;
    for (int tries = 0; code == -ESTALE && tries < TRIES_MAX; tries++) {
        if (tries > 0) (void)poll(NULL, 0, PAUSE_MS);
        code = repair_event(work->repair, id, done, err);
    }
    return code;
}

static void put_one(struct work *work, const struct repair_known *known) {
    struct repair_done done;
    struct err err = {0};
    const int n = (int)known->id.n;
    if (known->is_closed) {
        work->left_alone++;
        return;
    }
    if (put(work, known->id, &done, &err) != 0) {
        work->failed++;
        rebuild_say("%.*s: %s", n, known->id.p, err.text);
        return;
    }
    work->done++;
    if (done.by_server)
        rebuild_say("%.*s: fenced as gen %u; a server has installed it", n, known->id.p, done.gen);
    else
        rebuild_say("%.*s: fenced as gen %u, %u holders installed", n, known->id.p, done.gen,
                    done.holders);
}

static int put_all(struct work *work, struct err *err) {
    struct repair_known known;
    uint32_t count = 0;
    while (repair_known_at(work->repair, count, &known)) count++;
    rebuild_say("redis: puts into %s what topic %s has, of %u events", work->redis.options.seeds,
                work->rebuild->kafka.options.topic, count);
    for (uint32_t n = 0; n < count && repair_known_at(work->repair, n, &known); n++)
        if (is_wanted(work, known.id)) put_one(work, &known);
    rebuild_say("redis: %u events put into it, %u closed ones left alone, %u not done", work->done,
                work->left_alone, work->failed);
    return work->failed == 0 ? 0 : err_set(err, -EIO, "not all of it was done: run it again");
}

int rebuild_redis(struct rebuild *rebuild, struct err *err) {
    static struct work work;
    work.rebuild = rebuild;
    const struct snapshots_options redis =
        redis_settings_snapshots(&rebuild->redis, rebuild->timeout_ms);
    int code = snapshots_open(&work.redis, &redis, err);
    const struct repair_options options = {
        .kafka = &rebuild->kafka.options, .redis = &work.redis, .stall_ms = rebuild->timeout_ms};
    if (code == 0) code = repair_open(&work.repair, &options, err);
    if (code == 0) code = check_all(&work, err);
    if (code == 0) code = put_all(&work, err);
    repair_close(work.repair);
    snapshots_close(&work.redis);
    return code;
}
