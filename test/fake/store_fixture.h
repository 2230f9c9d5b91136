/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes as the judge would hand them to a store, for the tests of record/.
 */
#pragma once

#include <string.h>

#include "record/store.h"

static inline struct store_id store_id_of(const char *text) {
    struct store_id id = {.bytes = (uint8_t)strlen(text)};
    memcpy(id.text, text, id.bytes);
    return id;
}

static inline struct store_change opened(uint64_t seq, const char *event_id, uint32_t stock) {
    return (struct store_change){.kind = STORE_EVENT_OPENED,
                                 .seq = seq,
                                 .event_id = store_id_of(event_id),
                                 .ver = 1,
                                 .gen = 1,
                                 .state = STORE_OPEN,
                                 .stock = stock,
                                 .starts_ms = STORE_NO_TIME,
                                 .ends_ms = STORE_NO_TIME};
}

static inline struct store_change restocked(uint64_t seq, const char *event_id, uint32_t stock,
                                            uint32_t ver) {
    struct store_change change = opened(seq, event_id, stock);
    change.kind = STORE_EVENT_CHANGED;
    change.ver = ver;
    return change;
}

/* With a code that is the user's name. */
static inline struct store_change issued(uint64_t seq, const char *event_id, uint32_t serial,
                                         uint32_t round, const char *user_id) {
    struct store_change change = {.kind = STORE_COUPON_ISSUED,
                                  .seq = seq,
                                  .ms = 1000 + (int64_t)seq,
                                  .event_id = store_id_of(event_id),
                                  .gen = 1,
                                  .serial = serial,
                                  .round = round,
                                  .user_id = store_id_of(user_id)};
    change.code.bytes = change.user_id.bytes;
    memcpy(change.code.text, change.user_id.text, change.code.bytes);
    return change;
}

static inline struct store_change returned(uint64_t seq, const char *event_id, uint32_t serial,
                                           const char *user_id, uint32_t ver) {
    struct store_change change = {.kind = STORE_COUPON_RETURNED,
                                  .seq = seq,
                                  .ms = 1000 + (int64_t)seq,
                                  .event_id = store_id_of(event_id),
                                  .ver = ver,
                                  .serial = serial,
                                  .user_id = store_id_of(user_id),
                                  .operator= store_id_of("ops")};
    change.reason.bytes = 4;
    memcpy(change.reason.text, "lost", 4);
    return change;
}

static inline struct store_position position_of(uint64_t seq) {
    return (struct store_position){
        .seq = seq, .segment = 0xfedcba9876543210 + seq, .crc = 0x80000000u + (uint32_t)seq};
}
