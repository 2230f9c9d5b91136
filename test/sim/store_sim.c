/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store_sim.h"

#include <errno.h>
#include <string.h>

#include "lib/base.h"
#include "lib/hash.h"
#include "sim/heap_sim.h"
#include "sim/threads_sim.h"

static const struct hash_key unkeyed = {{0, 0}};

static struct store_sim *store_sim_of(struct store *store) {
    return CONTAINER_OF(store, struct store_sim, store);
}

static enum store_status refuse(struct store_sim *sim, const char *why) {
    if (sim->wrong == NULL) sim->wrong = why;
    return STORE_CONFLICT;
}

/* ---- Rows ---- */

static bool has_coupon(const struct store_sim_event *event, uint32_t user) {
    for (uint32_t serial = 1; serial <= SIM_STOCK_MAX; serial++)
        if (event->holders[serial].user == user + 1) return true;
    return false;
}

static enum store_status issue(struct store_sim *sim, struct store_sim_event *event,
                               const struct store_change *change) {
    uint32_t user = sim_number(store_id_slice(&change->user_id)), serial = change->serial;
    if (!event->opened) return refuse(sim, "copy: a coupon of no event");
    if (serial < 1 || serial > event->stock) return refuse(sim, "copy, I1: outside the stock");
    if (event->holders[serial].user != 0) return refuse(sim, "copy, I1: a serial twice");
    if (user >= SIM_USERS_MAX || has_coupon(event, user))
        return refuse(sim, "copy, I2: a user twice");
    if (event->returned[user / 64] >> user % 64 & 1)
        return refuse(sim, "copy, I2: a user who has returned one");
    if (event->rounds[serial] != change->round) return refuse(sim, "copy: another round");
    event->holders[serial] = (struct store_sim_holder){
        .user = user + 1,
        .round = change->round,
        .seq = change->seq,
        .code = hash_slice(&unkeyed, slice_of(change->code.text, change->code.bytes))};
    event->taken++;
    return STORE_OK;
}

static enum store_status give_back(struct store_sim *sim, struct store_sim_event *event,
                                   const struct store_change *change) {
    uint32_t user = sim_number(store_id_slice(&change->user_id)), serial = change->serial;
    if (!event->opened || serial < 1 || serial > SIM_STOCK_MAX ||
        event->holders[serial].user != user + 1)
        return refuse(sim, "copy: a return of what nobody holds");
    event->holders[serial].user = 0;
    event->rounds[serial]++;
    event->returned[user / 64] |= UINT64_C(1) << user % 64;
    event->taken--;
    event->ver = change->ver;
    return STORE_OK;
}

static enum store_status change_event(struct store_sim *sim, struct store_sim_event *event,
                                      const struct store_change *change) {
    if (event->opened == (change->kind == STORE_EVENT_OPENED))
        return refuse(sim, "copy: an event opened twice, or changed before");
    for (uint32_t serial = change->stock + 1; serial <= SIM_STOCK_MAX; serial++)
        if (event->holders[serial].user != 0) return refuse(sim, "copy: a held coupon dropped");
    event->opened = true;
    event->state = change->state;
    event->stock = change->stock;
    event->ver = change->ver;
    return STORE_OK;
}

static enum store_status make_change(struct store_sim *sim, const struct store_change *change) {
    uint32_t number = sim_number(store_id_slice(&change->event_id));
    if (number >= SIM_EVENTS_MAX) return refuse(sim, "copy: an event that nobody named");
    struct store_sim_event *event = &sim->events[number];
    if (change->seq <= sim->at.seq) return refuse(sim, "copy: a change twice");
    if (change->kind == STORE_COUPON_ISSUED) return issue(sim, event, change);
    if (change->kind == STORE_COUPON_RETURNED) return give_back(sim, event, change);
    return change_event(sim, event, change);
}

static enum store_status commit(struct store_sim *sim, const struct store_change *changes,
                                size_t count, const struct store_position *from,
                                const struct store_position *to) {
    if (store_position_eq(&sim->at, to)) return STORE_OK;
    if (!store_position_eq(&sim->at, from)) return refuse(sim, "copy: from another position");
    enum store_status status = STORE_OK;
    for (size_t i = 0; i < count && status == STORE_OK; i++) status = make_change(sim, &changes[i]);
    if (status != STORE_OK) return status;
    sim->at = *to;
    sim->commits++;
    sim->on_commit(sim->ctx);
    return STORE_OK;
}

/* ---- The calls ---- */

/* Whether it obeys this time. */
static enum store_sim_mood mood_of(struct store_sim *sim) {
    if (sim->mood_calls == 0) return STORE_SIM_OBEYS;
    sim->mood_calls--;
    sim->on_mood(sim->ctx, sim->mood);
    return sim->mood;
}

static enum store_status later(struct err *err) {
    err_set(err, -EAGAIN, "as the seed says");
    return STORE_LATER;
}

static enum store_status open_store(struct store *store, struct store_position *position,
                                    struct err *err) {
    struct store_sim *sim = store_sim_of(store);
    threads_sim_yield();
    unsigned depth = heap_sim_depth();
    heap_sim_set_depth(0);
    enum store_sim_mood mood = mood_of(sim);
    *position = sim->at;
    heap_sim_set_depth(depth);
    if (mood == STORE_SIM_DAMAGED) return STORE_DAMAGED;
    return mood == STORE_SIM_OBEYS ? STORE_OK : later(err);
}

static enum store_status apply(struct store *store, const struct store_change *changes,
                               size_t count, const struct store_position *from,
                               const struct store_position *to, struct err *err) {
    struct store_sim *sim = store_sim_of(store);
    threads_sim_yield();
    unsigned depth = heap_sim_depth();
    heap_sim_set_depth(0);
    enum store_sim_mood mood = mood_of(sim);
    enum store_status status = STORE_OK;
    if (mood == STORE_SIM_OBEYS || mood == STORE_SIM_UNKNOWN)
        status = commit(sim, changes, count, from, to);
    heap_sim_set_depth(depth);
    threads_sim_yield();
    if (status != STORE_OK) {
        err_set(err, -EEXIST, "%s", sim->wrong);
        return status;
    }
    if (mood == STORE_SIM_DAMAGED) return STORE_DAMAGED;
    return mood == STORE_SIM_OBEYS ? STORE_OK : later(err);
}

void store_sim_wipe(struct store_sim *sim) {
    memset(sim->events, 0, sizeof sim->events);
    sim->at = (struct store_position){.seq = 0};
}

static enum store_status reset(struct store *store, struct err *err) {
    struct store_sim *sim = store_sim_of(store);
    threads_sim_yield();
    unsigned depth = heap_sim_depth();
    heap_sim_set_depth(0);
    enum store_sim_mood mood = mood_of(sim);
    heap_sim_set_depth(depth);
    if (mood == STORE_SIM_BUSY) return later(err);
    store_sim_wipe(sim);
    return STORE_OK;
}

static void free_store(struct store *store) {
    (void)store; /* the simulator's */
}

void store_sim_init(struct store_sim *sim) {
    static const struct store_ops ops = {open_store, apply, reset, free_store};
    *sim = (struct store_sim){.store = {&ops}};
}
