/* SPDX-License-Identifier: Apache-2.0
 *
 * A copy in memory, transactional, for the recorder: a commit is there whole or not at all,
 * whatever ends the process. It refuses what the tables of record/sqlite_schema.h refuse, and
 * remembers the first refusal. It obeys or not as it is told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "record/store.h"
#include "sim/sim_model.h"

enum store_sim_mood {
    STORE_SIM_OBEYS,
    STORE_SIM_BUSY,    /* does nothing, and says so */
    STORE_SIM_UNKNOWN, /* commits, and says that it does not know */
    STORE_SIM_DAMAGED,
};

struct store_sim_holder {
    uint32_t user; /* + 1; 0 free */
    uint32_t round;
    uint64_t seq, code; /* of the record, and a hash of the coupon's code */
};

struct store_sim_event {
    bool opened;
    enum store_event_state state;
    uint32_t stock, taken, ver;
    uint64_t returned[(SIM_USERS_MAX + 63) / 64]; /* users */
    uint32_t rounds[SIM_STOCK_MAX + 1];
    struct store_sim_holder holders[SIM_STOCK_MAX + 1];
};

struct store_sim {
    struct store store; /* for the recorder */
    struct store_position at;
    struct store_sim_event events[SIM_EVENTS_MAX];
    uint64_t commits;
    enum store_sim_mood mood;
    uint32_t mood_calls; /* for so many calls, then it obeys */
    const char *wrong;   /* the first refusal, or NULL */
    void *ctx;
    void (*on_mood)(void *ctx, enum store_sim_mood mood); /* it did not obey */
    void (*on_commit)(void *ctx);
};

void store_sim_init(struct store_sim *sim);

/* Somebody deletes the file. */
void store_sim_wipe(struct store_sim *sim);
