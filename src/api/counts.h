/* SPDX-License-Identifier: Apache-2.0
 *
 * What a network thread counts, for /metrics. The words are the thread's own (lib/metrics.h); the
 * thread that writes /metrics reads those of all.
 *
 * The losing path counts twice: its reply, and its outcome in the row of its event.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "api/gate.h"
#include "claim/claim.h"
#include "lib/base.h"
#include "lib/metrics.h"

enum {
    COUNTED_ROUTES_MAX = 32,
    COUNTED_CLASSES = 6, /* status / 100 */
    COUNTED_EVENTS_IN_CHUNK = 256,
    COUNTED_CHUNKS_MAX = 4096,
    COUNTED_EVENTS_MAX = COUNTED_CHUNKS_MAX * COUNTED_EVENTS_IN_CHUNK,
};

/* Why a claim was not taken as one; by the code of its problem. */
enum claim_refusal {
    REFUSED_MEDIA_TYPE,
    REFUSED_IDEMPOTENCY_KEY,
    REFUSED_JSON,
    REFUSED_FIELD,
    REFUSED_EVENT,
    REFUSED_CODE_KEY,
    REFUSED_TOKEN_MISSING,
    REFUSED_TOKEN,
    REFUSED_TOKEN_EXPIRED,
    REFUSED_TOKEN_USER,
    REFUSED_RATE,
    CLAIM_REFUSALS,
};
/* The code of the problem. */
const char *claim_refusal_code(enum claim_refusal why);

/* Why a connection's time was up. */
enum time_out {
    TIME_OUT_IDLE,    /* silent between requests */
    TIME_OUT_REQUEST, /* a request did not arrive whole */
    TIME_OUT_ANSWER,  /* an answer was not taken */
    TIME_OUT_CLOSE,   /* the client did not close behind its last answer */
    TIME_OUTS,
};

/* What came of a token that was shown to the admin listener. */
enum login {
    LOGIN_ACCEPTED, /* at the log-in page */
    LOGIN_REFUSED,  /* wrong, there or as a bearer's */
    LOGIN_HELD_OFF, /* not looked at */
    LOGINS,
};

struct event_counts {
    struct counter outcomes[CLAIM_PENDING + 1]; /* claims told each */
};

struct counts {
    /* Replies, by route and class of their status. The last row: no route of ours. */
    struct counter replies[COUNTED_ROUTES_MAX + 1][COUNTED_CLASSES];
    struct counter refused[CLAIM_REFUSALS];
    struct counter limited[LIMITS]; /* requests answered 429 */
    struct counter unheard;     /* the engine's answers whose asker had gone */
    struct histogram claim_ns;  /* histogram_seconds: of claims that asked the engine */
    struct counter view_offset; /* gauge */
    struct counter connections_accepted, connections_refused;
    struct counter timed_out[TIME_OUTS];
    struct counter logins[LOGINS];
    struct counter sessions, streams; /* gauges: of the admin listener's thread */

    struct event_counts *_Atomic chunks[COUNTED_CHUNKS_MAX]; /* events by number */
    struct event_counts beyond;                              /* all events behind the rows */
};

/* Rows for the events 0..events_count-1. Ends the process without memory, as views do. */
void counts_reserve(struct counts *counts, uint32_t events_count);
void counts_deinit(struct counts *counts);

/* The row of an event that counts_reserve knows. The owner's. */
static inline struct event_counts *counts_of_event(struct counts *counts, uint32_t number) {
    if (UNLIKELY(number >= COUNTED_EVENTS_MAX)) return &counts->beyond;
    return &atomic_load_explicit(&counts->chunks[number / COUNTED_EVENTS_IN_CHUNK],
                                 memory_order_relaxed)[number % COUNTED_EVENTS_IN_CHUNK];
}

/* "issued", …; NULL for what no claim is told. */
const char *counts_outcome_name(enum claim_outcome outcome);

/* Claims of an event that were told `outcome`. Anybody's; 0 for an event that the owner does not
 * know yet, or that has no row. */
uint64_t counts_read_event(const struct counts *counts, uint32_t number,
                           enum claim_outcome outcome);
