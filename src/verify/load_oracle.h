/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle holds every answer against everything that was answered before. Each worker has one,
 * for its own range of users; what needs all of them is judged at the end (load_verdict.h).
 *
 * A user costs one byte; only who was told a coupon costs more (load_winner.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "verify/load_answer.h"
#include "verify/load_finding.h"
#include "verify/load_request.h"
#include "verify/load_told.h"
#include "verify/load_winner.h"

/* What a user was told so far, as bits of one byte. */
enum {
    USER_ASKED = 1,        /* a claim was sent */
    USER_HOLDS = 2,        /* told a coupon */
    USER_DENIED = 4,       /* told a no of any kind */
    USER_DENIED_FINAL = 8, /* told sold out, final */
    USER_UNSURE = 16,      /* some claim got no answer, or none that decides */
};

/* A request under way. */
struct load_sent {
    uint64_t intended_ns; /* when it should have been sent: latencies count from here */
    uint64_t sent_ns;     /* when it was, the last time */
    uint32_t user;
    uint8_t kind;     /* enum request_kind, and the bad ones behind it */
    uint8_t tries;    /* times sent on a connection that then broke */
    uint8_t rounds;   /* times answered with "later": busy, or pending */
    bool held_before; /* the user was told a coupon before this was sent */
};

/* How many different users had claimed by a moment. */
struct oracle_mark {
    uint64_t ns;
    uint64_t users;
};

struct oracle {
    const struct request_kit *kit;
    uint8_t *users; /* USER_ bits of all users of the run; only the own range is touched */
    uint64_t users_asked;
    uint64_t told[TOLD_COUNT]; /* answers to claims and bad requests, by what they told */
    uint64_t queries;          /* answers to queries */
    uint64_t first_sold_out_ns, first_final_ns; /* when first told; UINT64_MAX for never */
    struct oracle_mark *marks;                  /* until the first sold out */
    size_t marks_count, marks_capacity;
    struct winner_table winners;
    struct findings findings;
    struct told_body body; /* of the last answer that oracle_on_answer judged and understood */
    bool out_of_memory;    /* something could not be kept: the verdict must not be trusted */
};

void oracle_init(struct oracle *oracle, const struct request_kit *kit, uint8_t *users);
void oracle_deinit(struct oracle *oracle);

/* A request is about to be written: keeps that its user asked and sets `sent->held_before`. */
static inline void oracle_on_send(struct oracle *oracle, struct load_sent *sent) {
    uint8_t *user = &oracle->users[sent->user];
    sent->held_before = (*user & USER_HOLDS) != 0;
    if (sent->kind != REQUEST_CLAIM || (*user & USER_ASKED) != 0) return;
    *user |= USER_ASKED;
    oracle->users_asked++;
}
/* Called after the requests of a write were passed to oracle_on_send, with the time before it. */
void oracle_mark_sends(struct oracle *oracle, uint64_t now_ns);

/* Judges an answer and says what it told. */
enum told oracle_on_answer(struct oracle *oracle, const struct load_sent *sent,
                           const struct answer *answer, uint64_t now_ns);

/* True when an answer that told `told` to a claim tells nothing about its user: the same bytes tell
 * anybody else the same. */
bool oracle_is_common(enum told told, const struct answer *answer);

/* The short way for the bytes of a common answer that was judged before. False when this one needs
 * oracle_on_answer all the same. */
static inline bool oracle_on_common(struct oracle *oracle, const struct load_sent *sent,
                                    enum told told) {
    uint8_t *user = &oracle->users[sent->user];
    if (UNLIKELY(sent->kind != REQUEST_CLAIM || (*user & USER_HOLDS) != 0)) return false;
    *user |= told == TOLD_SOLD_OUT_FINAL ? USER_DENIED | USER_DENIED_FINAL : USER_DENIED;
    oracle->told[told]++;
    return true;
}

/* A claim was cut off without an answer: it may have been decided unheard. */
void oracle_on_lost(struct oracle *oracle, const struct load_sent *sent);
/* A request is given up for good. */
void oracle_on_unanswered(struct oracle *oracle, const struct load_sent *sent, const char *why);
/* Bytes that are no answer: `problem` in the words of answer_parse. */
void oracle_on_garbage(struct oracle *oracle, const struct load_sent *sent, struct slice bytes,
                       const char *problem);
