/* SPDX-License-Identifier: Apache-2.0 */
#include "api/counts.h"

#include <stdlib.h>

void counts_reserve(struct counts *counts, uint32_t events_count) {
    size_t rows = size_min(events_count, COUNTED_EVENTS_MAX);
    size_t chunks = (rows + COUNTED_EVENTS_IN_CHUNK - 1) / COUNTED_EVENTS_IN_CHUNK;
    /* From the last one back to those of before. */
    for (size_t i = chunks; i-- > 0;) {
        if (atomic_load_explicit(&counts->chunks[i], memory_order_relaxed) != NULL) return;
        struct event_counts *chunk = memory_needed(calloc(COUNTED_EVENTS_IN_CHUNK, sizeof *chunk));
        /* Readers find it zeroed. */
        atomic_store_explicit(&counts->chunks[i], chunk, memory_order_release);
    }
}

void counts_deinit(struct counts *counts) {
    for (size_t i = 0; i < COUNTED_CHUNKS_MAX; i++)
        free(atomic_load_explicit(&counts->chunks[i], memory_order_relaxed));
}

const char *counts_outcome_name(enum claim_outcome outcome) {
    static const char *const names[] = {
        [CLAIM_ISSUED] = "issued",     [CLAIM_ALREADY_ISSUED] = "already_issued",
        [CLAIM_SOLD_OUT] = "sold_out", [CLAIM_NOT_STARTED] = "not_started",
        [CLAIM_ENDED] = "ended",       [CLAIM_PAUSED] = "paused",
        [CLAIM_RETURNED] = "returned", [CLAIM_NONE] = NULL, /* of queries only */
        [CLAIM_UNAVAILABLE] = "busy",  [CLAIM_PENDING] = "pending",
    };
    return names[outcome];
}

uint64_t counts_read_event(const struct counts *counts, uint32_t number,
                           enum claim_outcome outcome) {
    if (number >= COUNTED_EVENTS_MAX) return 0;
    const struct event_counts *chunk = atomic_load_explicit(
        &counts->chunks[number / COUNTED_EVENTS_IN_CHUNK], memory_order_acquire);
    return chunk == NULL ? 0
                         : counter_read(&chunk[number % COUNTED_EVENTS_IN_CHUNK].outcomes[outcome]);
}

const char *claim_refusal_code(enum claim_refusal why) {
    static const char *const codes[CLAIM_REFUSALS] = {
        [REFUSED_MEDIA_TYPE] = "unsupported_media_type",
        [REFUSED_IDEMPOTENCY_KEY] = "bad_idempotency_key",
        [REFUSED_JSON] = "bad_json",
        [REFUSED_FIELD] = "invalid_field",
        [REFUSED_EVENT] = "unknown_event",
        [REFUSED_CODE_KEY] = "code_key_missing",
        [REFUSED_TOKEN_MISSING] = "token_missing",
        [REFUSED_TOKEN] = "token_invalid",
        [REFUSED_TOKEN_EXPIRED] = "token_expired",
        [REFUSED_TOKEN_USER] = "token_user_mismatch",
        [REFUSED_RATE] = "rate_limited",
    };
    ASSERT((size_t)why < CLAIM_REFUSALS);
    return codes[why];
}
