/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/copy_rows.h"

#include <stdlib.h>
#include <string.h>

static_assert((int)STORE_ID_BYTES_MAX >= (int)EVENT_ID_BYTES_MAX, "an event id fits");
static_assert((int)STORE_ID_BYTES_MAX >= (int)USER_ID_BYTES_MAX, "a user id fits");
static_assert((int)STORE_ID_BYTES_MAX >= (int)CLAIM_ID_BYTES_MAX, "a claim id fits");
static_assert((int)STORE_ID_BYTES_MAX >= (int)OPERATOR_BYTES_MAX, "an operator fits");
static_assert((int)STORE_REASON_BYTES_MAX >= (int)REASON_BYTES_MAX, "a reason fits");
static_assert((int)STORE_CODE_BYTES_MAX >= (int)COUPON_CODE_BYTES_MAX, "a code fits");

struct copy_rows {
    const struct code_keys *keys;
    struct coupon_deriver *derivers[ARRAY_LEN(((struct code_keys *)NULL)->keys)];
};

struct copy_rows *copy_rows_new(const struct code_keys *keys) {
    struct copy_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) return NULL;
    rows->keys = keys;
    for (size_t i = 0; i < keys->count; i++) {
        rows->derivers[i] = coupon_deriver_new(keys->keys[i].key);
        if (rows->derivers[i] != NULL) continue;
        copy_rows_free(rows);
        return NULL;
    }
    return rows;
}

void copy_rows_free(struct copy_rows *rows) {
    if (rows == NULL) return;
    for (size_t i = 0; i < rows->keys->count; i++) coupon_deriver_free(rows->derivers[i]);
    free(rows);
}

static void copy_id(struct store_id *to, struct slice from) {
    to->bytes = (uint8_t)from.n;
    if (from.n != 0) memcpy(to->text, from.p, from.n);
}

static void copy_reason(struct store_reason *to, struct slice from) {
    to->bytes = (uint16_t)from.n;
    if (from.n != 0) memcpy(to->text, from.p, from.n);
}

static void copy_event(struct store_change *change, const struct judge_state *state) {
    change->state = state->closed ? STORE_CLOSED : state->paused ? STORE_PAUSED : STORE_OPEN;
    change->gen = state->gen;
    change->stock = state->stock;
    change->starts_ms = state->starts_ms == TIME_MS_MIN ? STORE_NO_TIME : state->starts_ms;
    change->ends_ms = state->ends_ms == TIME_MS_MAX ? STORE_NO_TIME : state->ends_ms;
}

static void copy_code(struct copy_rows *rows, const struct event *event,
                      const struct coupon *coupon, struct store_code *to) {
    to->bytes = 0;
    for (size_t i = 0; i < rows->keys->count; i++)
        if (rows->keys->keys[i].id == event->key_id)
            to->bytes = (uint8_t)coupon_code(rows->derivers[i], &event->code, event->id,
                                             coupon->serial, coupon->round, to->text);
}

static void copy_issued(struct copy_rows *rows, const struct event *event,
                        const struct record *record, struct store_change *change) {
    struct coupon coupon;
    bool is_held = judge_holder(event->judge, record->win.serial, &coupon);
    ASSERT(is_held); /* the verdict said so */
    change->kind = STORE_COUPON_ISSUED;
    change->gen = record->win.gen;
    change->serial = coupon.serial;
    change->round = coupon.round;
    copy_id(&change->user_id, record->win.user_id);
    copy_id(&change->claim_id, record->win.claim_id);
    copy_code(rows, event, &coupon, &change->code);
}

bool copy_rows_change(struct copy_rows *rows, const struct view *view, const struct record *record,
                      enum verdict verdict, struct store_change *change) {
    if (verdict != VERDICT_VALID) return false;
    const struct event *event = view_find(view, record->event_id);
    ASSERT(event != NULL);
    const struct judge_state *state = judge_state(event->judge);
    change->seq = record->seq;
    change->ms = record->ms;
    change->ver = state->ver;
    copy_id(&change->event_id, record->event_id);
    if (record->type == RECORD_WIN) {
        copy_issued(rows, event, record, change);
        return true;
    }
    change->serial = 0;
    if (record->type == RECORD_RETURN) {
        change->kind = STORE_COUPON_RETURNED;
        change->serial = record->give_back.serial;
        copy_id(&change->user_id, record->give_back.user_id);
        copy_id(&change->operator, record->operator);
        copy_reason(&change->reason, record->reason);
        return true;
    }
    change->kind = record->type == RECORD_OPEN ? STORE_EVENT_OPENED : STORE_EVENT_CHANGED;
    copy_event(change, state);
    return true;
}
