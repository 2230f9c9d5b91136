/* SPDX-License-Identifier: Apache-2.0
 *
 * What a view can answer by itself: the losing path. Pure, no lock, no allocation, no clock: time is
 * the engine's, as last told (I9).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "claim/claim.h"
#include "claim/view.h"

enum {
    /* A view's time may lag behind the engine's. Nobody is told "not started" by a view this close
     * to the start, and nobody is told "ended" before the engine has said so. */
    DECIDE_START_MARGIN_MS = 1000,
};

/* How far a view is to be believed. */
struct decide_by {
    int64_t now_ms;        /* the engine's latched time, as last told */
    int64_t end_margin_ms; /* by which the clock that decides may be behind that one */
    bool is_current;       /* the view has all that the log had a moment ago, so it may say no */
};

/* True when `event` as this view knows it already decides the claim of `user_id`: `*outcome` is set,
 * and `*coupon` for CLAIM_ALREADY_ISSUED. False when only the engine can tell. */
bool claim_decide(const struct event *event, struct slice user_id, const struct decide_by *by,
                  enum claim_outcome *outcome, struct coupon *coupon);

/* Where an event stands at `now_ms`, for people and for the status route. */
enum event_status {
    EVENT_SCHEDULED,
    EVENT_ACTIVE,
    EVENT_SOLD_OUT,
    EVENT_PAUSED,
    EVENT_ENDED,
};
enum event_status event_status(const struct event *event, int64_t now_ms);
const char *event_status_name(enum event_status status);
