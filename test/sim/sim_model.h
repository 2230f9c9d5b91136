/* SPDX-License-Identifier: Apache-2.0
 *
 * What a log says, worked out a second time: arrays indexed by serial and user, rules in the order
 * of the text, nothing shared with the judge. The simulator compares the two, and holds
 * what was told to people against this one.
 *
 * Small by design: events are named e0, e1, ..., users u0, u1, ....
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/slice.h"
#include "log/record.h"

enum { SIM_EVENTS_MAX = 5, SIM_USERS_MAX = 80, SIM_STOCK_MAX = 64 };

struct model_user {
    uint32_t serial; /* held now or before the return; 0: never any */
    uint32_t round;
    bool returned;
};

/* Stock and holders as of one record, for questions about the past. */
struct model_point {
    uint64_t offset;
    uint32_t taken, stock;
};

struct model_event {
    bool opened, closed;
    uint32_t stock, taken, changes; /* changes: control records that took effect */
    uint32_t returns;               /* of those: coupons given back */
    bool paused;
    int64_t starts_ms, ends_ms;
    uint32_t holders[SIM_STOCK_MAX + 1]; /* by serial: user + 1, 0 free */
    uint32_t rounds[SIM_STOCK_MAX + 1];
    struct model_user users[SIM_USERS_MAX];
    struct model_point *points;
    uint32_t points_count, points_capacity;
};

struct model {
    struct model_event events[SIM_EVENTS_MAX];
    uint64_t offset;
    int64_t latest_ms;
    uint32_t *crcs; /* of every record, for seq 1, 2, ...; 0 where the journal wrote its own */
    uint64_t crcs_capacity;
    const char *wrong; /* the first thing that no log of one server may say, or NULL */
};

void model_init(struct model *model);
void model_deinit(struct model *model);
void model_apply(struct model *model, const struct record *record, uint32_t crc);

/* The event as of `offset`; NULL before it opened. */
const struct model_point *model_at(const struct model_event *event, uint64_t offset);

/* The number in "e12" or "u12". */
uint32_t sim_number(struct slice id);
