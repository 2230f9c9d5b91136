/* SPDX-License-Identifier: Apache-2.0
 *
 * What the checks found: for each check how often, and the first pieces of evidence. Each finding
 * has an item, a number for what it is about, so that two passes can be compared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/slice.h"

enum { CHECK_EVIDENCE_MAX = 20, CHECK_EVIDENCE_BYTES = 400 };

/* X(constant, id, what has to be so). R: log, copy and views among themselves; C: what clients were
 * told. docs/verify.md explains them to people. */
#define CHECKS(X)                                                                                  \
    X(CHECK_R1, "R1", "every row of the copy is what the log has decided, field by field")         \
    X(CHECK_R2, "R2", "whoever holds a coupon by the log has that serial in Redis")                \
    X(CHECK_R3, "R3", "what Redis has and the log has not is on its way: younger than 30 s")       \
    X(CHECK_R4, "R4", "serials are in 1..N, each with one holder; a user holds one coupon")        \
    X(CHECK_R5, "R5", "Redis is where the log is: gen, ver, fields, and the process")              \
    X(CHECK_R6, "R6", "taken is the number of holders and at most N; no serial above N")           \
    X(CHECK_R7, "R7", "no key of an event ends, Redis evicts nothing, the topic is as it must be") \
    X(CHECK_R8, "R8", "every coupon that a server noted it told is in the log, by then")           \
    X(CHECK_R9, "R9", "the copy is there, at a record of this log, and never goes back")           \
    X(CHECK_R10, "R10", "no dead letter waits for a person")                                       \
    X(CHECK_R11, "R11", "every thread's view has the digest of the log read anew")                 \
    X(CHECK_C1, "C1", "no serial and no coupon was told to two users")                             \
    X(CHECK_C2, "C2", "at no time were more coupons told than there were")                         \
    X(CHECK_C3, "C3", "every coupon that was told is in the log and in the copy")                  \
    X(CHECK_C4, "C4", "who holds a coupon and was not told asked without hearing an answer")       \
    X(CHECK_C5, "C5", "sold out was told only when all were taken (final) or reserved")            \
    X(CHECK_C6, "C6", "after a final sold out nobody new won, unless the stock changed")           \
    X(CHECK_C7, "C7", "who was told a coupon was told the same one ever after")                    \
    X(CHECK_C8, "C8", "asking \"did I get it?\" gave the coupon that had been told")               \
    X(CHECK_C9, "C9", "who was told first has the lower serial")                                   \
    X(CHECK_C10, "C10", "every coupon was issued between start and end, at the instant told")

enum check {
#define X(constant, id, text) constant,
    CHECKS(X)
#undef X
        CHECKS_COUNT
};

const char *check_id(enum check check);
const char *check_text(enum check check);

struct checks {
    uint64_t counts[CHECKS_COUNT];
    struct check_finding {
        enum check check;
        uint32_t event; /* number of it in the log, from 1; 0: of none */
        uint64_t item;
        char *evidence; /* owned; NULL when it was not kept */
    } * all;            /* in the order in which they were found */
    size_t count, capacity;
    bool failed; /* memory was short: something that was found is only counted, or not even that */
    /* Bits 1 << enum check: for want of what it needs it was not checked; there is no such thing.
     */
    uint32_t skipped, absent;
    uint32_t event; /* what findings are about from here on, likewise */
};

/* Whether only `coupond verify` asks: it needs more than a server has at hand. */
static inline bool check_is_of_verify(enum check check) {
    return check == CHECK_R2 || check == CHECK_R3 || check == CHECK_R5 || check == CHECK_R7 ||
           check == CHECK_R8;
}

/* Zeroed memory is empty. */
void checks_deinit(struct checks *checks);
/* One more finding. Its words are kept while the check has few, cut at CHECK_EVIDENCE_BYTES, and
 * with everything that is not printable ASCII replaced. */
void checks_add(struct checks *checks, enum check check, uint64_t item, const char *format, ...)
    PRINTF_LIKE(4, 5);
uint64_t checks_sum(const struct checks *checks);

/* Keeps in `checks` only what `before` has too: the same check of the same item. */
void checks_keep_common(struct checks *checks, const struct checks *before);

static inline void checks_skip(struct checks *checks, enum check check) {
    checks->skipped |= UINT32_C(1) << check;
}
/* Never of one that has a finding. */
bool checks_is_skipped(const struct checks *checks, enum check check);

/* A number for (what, which), to be an item. */
uint64_t check_item(const char *what, struct slice event_id, uint64_t which);

/* The findings as a JSON array: [{"check","means","count","evidence":[…]}]. */
void checks_json(const struct checks *checks, struct buf *out);
/* … and, likewise, the names of those that were not checked. */
void checks_json_skipped(const struct checks *checks, struct buf *out);
/* … and for people: a line a check of `first`..`last`, with what was found below it. */
void checks_table(const struct checks *checks, enum check first, enum check last, struct buf *out);
