/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_tally.h"

#include <errno.h>
#include <stdlib.h>

const char *load_error_name(enum load_error error) {
    static const char *const names[] = {"connect", "reset", "timeout", "protocol", "status"};
    static_assert(ARRAY_LEN(names) == LOAD_ERROR_COUNT, "a name for each");
    return names[error];
}

const char *load_latency_name(enum load_latency latency) {
    static const char *const names[] = {"all", "issued", "others"};
    static_assert(ARRAY_LEN(names) == LATENCY_COUNT, "a name for each");
    return names[latency];
}

int tally_init(struct load_tally *tally) {
    *tally = (struct load_tally){0};
    for (size_t i = 0; i < LATENCY_COUNT; i++) {
        tally->latencies[i] = malloc(sizeof *tally->latencies[i]);
        if (tally->latencies[i] == NULL) return -ENOMEM;
        hdr_init(tally->latencies[i]);
    }
    return 0;
}

void tally_deinit(struct load_tally *tally) {
    for (size_t i = 0; i < LATENCY_COUNT; i++) free(tally->latencies[i]);
    *tally = (struct load_tally){0};
}

static void merge_times(struct load_tally *into, const struct load_tally *from) {
    if (into->start_ns == 0 || from->start_ns < into->start_ns) into->start_ns = from->start_ns;
    if (from->end_ns > into->end_ns) into->end_ns = from->end_ns;
}

void tally_merge(struct load_tally *into, const struct load_tally *from) {
    into->sent += from->sent;
    into->resent += from->resent;
    into->answered += from->answered;
    for (size_t i = 0; i < LOAD_ERROR_COUNT; i++) into->errors[i] += from->errors[i];
    for (size_t i = 0; i < LATENCY_COUNT; i++) {
        if (i == LATENCY_ALL) continue;
        hdr_merge(into->latencies[i], from->latencies[i]);
        hdr_merge(into->latencies[LATENCY_ALL], from->latencies[i]);
    }
    merge_times(into, from);
}
