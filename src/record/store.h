/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy, as whoever writes it sees it: tables that hold what the log has decided. SQLite is one
 * (sqlite.h), a database server another; serve.c chooses.
 *
 * What comes here has been judged already: a store knows no rule of the log, it holds rows. Its own
 * constraints make a second time impossible what the judge made impossible the first time (I1, I2),
 * so a change that they refuse means that database and log disagree.
 *
 * All calls come from one thread, and may take as long as a disk does.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"

struct store;

/* No text of a change is longer. */
enum {
    STORE_ID_BYTES_MAX = 64,
    STORE_CODE_BYTES_MAX = 81,
    STORE_REASON_BYTES_MAX = 256,
};

/* A place in a log: its last record that the store has seen. Number alone would not tell one log
 * from another, nor a log from an older backup of itself. All 0 before the first record. */
struct store_position {
    uint64_t seq;
    uint64_t segment;
    uint32_t crc;
};

static inline bool store_position_eq(const struct store_position *a,
                                     const struct store_position *b) {
    return a->seq == b->seq && a->segment == b->segment && a->crc == b->crc;
}

/* The change owns its texts, so that it outlives the record that it came from. */
struct store_id {
    uint8_t bytes;
    char text[STORE_ID_BYTES_MAX];
};
struct store_code {
    uint8_t bytes; /* 0: not known */
    char text[STORE_CODE_BYTES_MAX];
};
struct store_reason {
    uint16_t bytes;
    char text[STORE_REASON_BYTES_MAX];
};

enum store_change_kind {
    STORE_EVENT_OPENED,  /* a row of events, and its coupons */
    STORE_EVENT_CHANGED, /* the row of events as it is now; coupons follow the stock */
    STORE_COUPON_ISSUED,
    STORE_COUPON_RETURNED,
};

enum store_event_state { STORE_OPEN, STORE_PAUSED, STORE_CLOSED };

/* The instant of an event that has no start or no end. */
enum { STORE_NO_TIME = -1 };

/* One decided record that changes rows. Which fields count is said by the kind. */
struct store_change {
    enum store_change_kind kind;
    uint64_t seq; /* of the record */
    int64_t ms;   /* ISSUED, RETURNED: when */
    struct store_id event_id;
    uint32_t ver; /* all but ISSUED: the event's stock version from now on */
    uint32_t gen; /* OPENED, CHANGED: the event's; ISSUED: the record's */

    enum store_event_state state; /* OPENED, CHANGED */
    uint32_t stock;
    int64_t starts_ms, ends_ms; /* or STORE_NO_TIME */

    uint32_t serial, round; /* ISSUED, RETURNED */
    struct store_id user_id;
    struct store_id claim_id; /* ISSUED; may be empty */
    struct store_code code;   /* ISSUED */

    struct store_id operator; /* RETURNED; may be empty */
    struct store_reason reason;
};

enum store_status {
    STORE_OK,
    STORE_LATER,    /* locked, full, a failing disk: nothing was changed, try again */
    STORE_DAMAGED,  /* what is there is no use: reset it and begin again */
    STORE_CONFLICT, /* rows and log disagree, or the tables are not ours: a person has to look */
};

struct store_ops {
    /* Opens, or makes, and checks. STORE_OK: `*position` is how far it has come. May be called
     * again after STORE_LATER and after reset. */
    enum store_status (*open)(struct store *store, struct store_position *position,
                              struct err *err);
    /* Makes `count` changes, all or none, and moves the position from `from` to `to` with them. A
     * store that is at `to` already (a commit whose outcome was not heard of) changes nothing and
     * says STORE_OK. */
    enum store_status (*apply)(struct store *store, const struct store_change *changes,
                               size_t count, const struct store_position *from,
                               const struct store_position *to, struct err *err);
    /* Puts aside what is there (destroys nothing) and closes: the next open begins empty. */
    enum store_status (*reset)(struct store *store, struct err *err);
    void (*free)(struct store *store);
};

/* Every implementation begins with this. */
struct store {
    const struct store_ops *ops;
};

static inline struct slice store_id_slice(const struct store_id *id) {
    return slice_of(id->text, id->bytes);
}
