/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes into this stage from the others, in words of its own: what the judge made of each
 * record of a log (claim/decisions.h), the rows of a copy (record/sqlite_read.h), and where the
 * views of a running server are. No file here reads a journal, judges a record or asks SQLite:
 * main.c hands in the functions that do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"

/* A place in a log: a record of it. All 0 before the first. */
struct log_place {
    uint64_t seq;
    uint64_t segment;
    uint32_t crc;
};

/* ---- the log ---- */

enum decision_kind {
    DECISION_NOTHING, /* changed nothing, and claimed nothing: only its place and digest count */
    DECISION_OPENED,  /* an event */
    DECISION_CHANGED, /* the event is now as the fields say */
    DECISION_ISSUED,
    DECISION_RETURNED,
    DECISION_VOID, /* a reservation that the judge refused */
};

enum decided_state { DECIDED_OPEN, DECIDED_PAUSED, DECIDED_CLOSED };

/* The instant of an event that has no start or no end. */
enum { DECISION_NO_TIME = -1 };

/* One record, judged. Texts live during the call that hands it over. */
struct decision {
    enum decision_kind kind;
    struct log_place place;
    uint64_t digest; /* of the view, having applied it */
    int64_t ms;
    struct slice event_id; /* all but NOTHING, and so are the next two */
    uint32_t ver;          /* of the event, after it */
    uint32_t gen;

    enum decided_state state; /* OPENED, CHANGED */
    uint32_t stock;
    int64_t starts_ms, ends_ms; /* or DECISION_NO_TIME */

    uint32_t serial, round; /* ISSUED, RETURNED, VOID */
    struct slice user_id;
    struct slice claim_id; /* ISSUED; may be empty */
    struct slice code;     /* ISSUED; empty when its key is not known */
    struct slice operator; /* RETURNED; may be empty */
    struct slice reason;
};

typedef int (*decision_fn)(void *ctx, const struct decision *decision);

/* Where decisions come from: a log, read from its begin to its end, also while it is written. */
struct log_source {
    void *ctx;
    const char *name; /* the folder, for people */
    /* 0; or what on_decision returned when that was not 0; or a failure of its own, told in err. */
    int (*read)(void *ctx, decision_fn on_decision, void *on_decision_ctx, struct err *err);
};

/* ---- the copy ---- */

enum copy_row_kind { ROW_EVENT, ROW_COUPON, ROW_HOLDER, ROW_RETURNED, ROW_DEAD_LETTER };

/* One row of a copy; the names are those of its columns. Texts live during the call; a text that is
 * NULL there is empty here. */
struct copy_row {
    enum copy_row_kind kind;
    struct slice event_id;

    int64_t total, taken, gen, ver; /* EVENT; gen of HOLDER and RETURNED too */
    struct slice state;
    int64_t start_ms, end_ms; /* or DECISION_NO_TIME */
    int64_t open_seq;

    int64_t serial, round; /* all but EVENT */
    struct slice user_id, claim_id, code;
    int64_t claimed_ms, log_seq; /* HOLDER, RETURNED */

    int64_t returned_ms, returned_seq; /* RETURNED */
    struct slice operator, reason;     /* reason of DEAD_LETTER too */

    int64_t dead_seq; /* DEAD_LETTER, of which nothing else but the reason is known */
};

typedef void (*copy_row_fn)(void *ctx, const struct copy_row *row);

/* A copy as it is at one moment, however much it is written meanwhile. */
struct copy_source {
    void *ctx;
    const char *name; /* the file, for people */
    /* Opens it and fixes the moment. 0 with the place in the log that it says it is at, and a
     * number that tells this file from one in its place; -ENOENT when there is none; another
     * failure. */
    int (*open)(void *ctx, struct log_place *place, uint64_t *file, struct err *err);
    /* Calls on_row for every row of that moment. */
    int (*rows)(void *ctx, copy_row_fn on_row, void *on_row_ctx, struct err *err);
    void (*close)(void *ctx);
};

/* ---- the reservations ---- */

enum { RESERVE_KEYS = 4, RESERVE_POLICY_BYTES = 32 };

/* What Redis has of an event, at one moment. */
struct reserve_state {
    bool is_there;    /* the event's own key is: the fields below mean something */
    bool is_readable; /* … and has all that an event needs, as numbers */
    int64_t gen, ver, stock;
    int64_t next;               /* the lowest serial that nobody has had */
    int64_t status;             /* 1 open, 2 paused, 3 closed */
    int64_t starts_ms, ends_ms; /* or DECISION_NO_TIME */
    bool is_brief;     /* more holders than were wanted: neither they nor what is free follows */
    bool is_token_now; /* the process that answers is the one that the state was installed into */

    int64_t ttl_ms[RESERVE_KEYS]; /* of the keys m, u, f, o: -1 without end, -2 no key */
    bool is_wrong[RESERVE_KEYS];  /* of another type than it has to be */
    int64_t now_ms;
    struct slice policy; /* maxmemory-policy of the node; lives during the call */
};

/* A user's entry; serial 0 is of one who gave a coupon back. */
struct reserve_holder {
    struct slice user_id; /* lives during the call */
    bool is_readable;
    int64_t gen, serial, ms;
};

/* Called in this order, all within one reading; the latter two may be NULL. */
struct reserve_sink {
    void *ctx;
    void (*on_state)(void *ctx, const struct reserve_state *state);
    void (*on_holder)(void *ctx, const struct reserve_holder *holder);
    void (*on_free)(void *ctx, int64_t serial); /* -1: no number */
};

struct reserve_source {
    void *ctx;
    const char *name; /* the nodes, for people */
    /* 0, or a failure that is told in err. */
    int (*read)(void *ctx, struct slice event_id, const struct reserve_sink *sink, struct err *err);
};

/* ---- the views ---- */

enum { VIEW_NAME_BYTES = 24 };

/* How far one thread of a running server has applied the log, and to what effect. */
struct view_point {
    char name[VIEW_NAME_BYTES];
    uint64_t seq;
    uint64_t digest;
};

struct view_source {
    void *ctx;
    /* Fills `points` (as many as there are, `max` at most). A negative errno when it cannot. */
    int (*points)(void *ctx, struct view_point *points, size_t max, size_t *count, struct err *err);
};
