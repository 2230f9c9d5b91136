/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/decide.h"

#include "lib/base.h"

/* An event that was closed before its start has its end there, and never opens. */
static bool is_over(const struct judge_state *state, int64_t now_ms) {
    return state->closed || now_ms >= state->ends_ms;
}

bool claim_decide(const struct event *event, struct slice user_id, const struct decide_by *by,
                  enum claim_outcome *outcome, struct coupon *coupon) {
    switch (judge_lookup(event->judge, user_id, coupon)) {
    case HOLDING_COUPON:
        *outcome = CLAIM_ALREADY_ISSUED;
        return true;
    case HOLDING_RETURNED:
        *outcome = CLAIM_RETURNED;
        return true;
    case HOLDING_NONE:
        break;
    }
    if (!by->is_current) return false; /* the log may have a restock that this view lacks */
    const struct judge_state *state = judge_state(event->judge);
    int64_t now_ms = by->now_ms;
    if (is_over(state, now_ms - by->end_margin_ms))
        *outcome = CLAIM_ENDED;
    else if (state->paused)
        *outcome = CLAIM_PAUSED;
    else if (state->starts_ms > now_ms && state->starts_ms - now_ms > DECIDE_START_MARGIN_MS)
        *outcome = CLAIM_NOT_STARTED;
    else if (state->taken == state->stock && now_ms >= state->starts_ms)
        *outcome = CLAIM_SOLD_OUT;
    else
        return false;
    return true;
}

enum event_status event_status(const struct event *event, int64_t now_ms) {
    const struct judge_state *state = judge_state(event->judge);
    if (is_over(state, now_ms)) return EVENT_ENDED;
    if (state->paused) return EVENT_PAUSED;
    if (now_ms < state->starts_ms) return EVENT_SCHEDULED;
    if (state->taken == state->stock) return EVENT_SOLD_OUT;
    return EVENT_ACTIVE;
}

const char *event_status_name(enum event_status status) {
    static const char *const names[] = {"scheduled", "active", "sold_out", "paused", "ended"};
    ASSERT((size_t)status < ARRAY_LEN(names));
    return names[status];
}
