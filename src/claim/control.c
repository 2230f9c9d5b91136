/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge's rules for control records, as questions to a view.
 */
#include "claim/control.h"

#include "claim/judge.h"
#include "lib/base.h"

/* Only what lies above the new stock matters, and nothing above serial_max was ever held. */
static bool restock_is_possible(const struct judge *judge, uint32_t stock) {
    struct coupon coupon;
    uint32_t last = judge_state(judge)->serial_max;
    for (uint32_t serial = last; serial > stock; serial--)
        if (judge_holder(judge, serial, &coupon)) return false;
    return true;
}

static bool return_is_possible(const struct judge *judge, uint32_t serial, struct slice user_id) {
    struct coupon coupon;
    return serial >= 1 && serial <= judge_state(judge)->stock &&
           judge_holder(judge, serial, &coupon) && slice_eq(coupon.user_id, user_id);
}

static enum control_outcome allowed_if(bool condition) {
    return condition ? CONTROL_DONE : CONTROL_REFUSED;
}

enum control_outcome control_check(const struct view *view, const struct record *record) {
    const struct event *event = view_find(view, record->event_id);
    if (record->type == RECORD_OPEN) return event == NULL ? CONTROL_DONE : CONTROL_EXISTS;
    if (event == NULL) return CONTROL_UNKNOWN;
    const struct judge_state *state = judge_state(event->judge);
    if (record->type == RECORD_FENCE) return allowed_if(record->fence.gen == state->gen + 1);
    if (record->type == RECORD_RETURN)
        return allowed_if(
            return_is_possible(event->judge, record->give_back.serial, record->give_back.user_id));
    if (state->closed) return CONTROL_CLOSED;
    if (record->type == RECORD_RESTOCK)
        return allowed_if(restock_is_possible(event->judge, record->restock.stock));
    return CONTROL_DONE;
}
