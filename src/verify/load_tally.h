/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker counts besides the oracle: requests, errors of the transport, latencies.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/hdr.h"
#include "verify/load_told.h"

enum load_error {
    LOAD_ERROR_CONNECT,  /* a connection could not be opened */
    LOAD_ERROR_RESET,    /* one broke, or was closed, while answers were due */
    LOAD_ERROR_TIMEOUT,  /* no answer in time */
    LOAD_ERROR_PROTOCOL, /* bytes that are no answer */
    LOAD_ERROR_STATUS,   /* an answer that breaks the contract */
    LOAD_ERROR_COUNT,
};
const char *load_error_name(enum load_error error);

enum load_latency {
    LATENCY_ALL,
    LATENCY_ISSUED, /* claims that won */
    LATENCY_OTHERS, /* everything else */
    LATENCY_COUNT,
};
const char *load_latency_name(enum load_latency latency);

struct load_tally {
    uint64_t sent;     /* requests, without those sent again */
    uint64_t resent;   /* after a connection broke */
    uint64_t answered; /* requests */
    uint64_t errors[LOAD_ERROR_COUNT];
    struct hdr *latencies[LATENCY_COUNT]; /* in ns; ALL is filled by tally_merge only */
    uint64_t start_ns, end_ns;            /* first send, last answer */
};

/* 0 or -ENOMEM. */
int tally_init(struct load_tally *tally) MUST_CHECK;
void tally_deinit(struct load_tally *tally);

static inline void tally_answer(struct load_tally *tally, enum told told, uint64_t intended_ns,
                                uint64_t now_ns) {
    tally->answered++;
    hdr_record(tally->latencies[told == TOLD_ISSUED ? LATENCY_ISSUED : LATENCY_OTHERS],
               now_ns > intended_ns ? now_ns - intended_ns : 0);
}

void tally_merge(struct load_tally *into, const struct load_tally *from);
