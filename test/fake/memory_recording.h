/* SPDX-License-Identifier: Apache-2.0
 *
 * A recording in memory that fails as a test says, and knows what a real one would: a place, an
 * epoch, and which record had which change or reject.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>

#include "record/recording.h"

enum { MEMORY_RECORDS_MAX = 4096 };

struct memory_recording {
    struct recording recording;
    struct recording_place place;
    uint64_t epoch, mine;
    struct store_change changes[MEMORY_RECORDS_MAX];
    size_t changes_count;
    struct recording_reject rejects[MEMORY_RECORDS_MAX]; /* without their bytes */
    size_t rejects_count;

    /* The next calls say these, having done nothing, or (with `does_it`) all of it. */
    enum recording_status next[16];
    bool does_it[16];
    size_t next_count, calls;
    uint32_t refused_serial; /* a conflict until 0; not when it goes row by row and is_same */
    bool is_same;
    unsigned applies, row_by_row;
};

static inline struct memory_recording *memory_recording_of(struct recording *recording) {
    return CONTAINER_OF(recording, struct memory_recording, recording);
}

static inline void memory_recording_say(struct memory_recording *memory,
                                        enum recording_status status, bool does_it) {
    ASSERT(memory->next_count < ARRAY_LEN(memory->next));
    memory->next[memory->next_count] = status;
    memory->does_it[memory->next_count++] = does_it;
}

static inline enum recording_status memory_recording_next(struct memory_recording *memory,
                                                          bool *does_it) {
    *does_it = true;
    if (memory->calls == memory->next_count) return RECORDING_OK;
    *does_it = memory->does_it[memory->calls];
    return memory->next[memory->calls++];
}

static inline enum recording_status memory_recording_take_over(struct recording *recording,
                                                               struct recording_place *place,
                                                               struct err *err) {
    struct memory_recording *memory = memory_recording_of(recording);
    bool does_it;
    enum recording_status status = memory_recording_next(memory, &does_it);
    if (does_it) memory->mine = ++memory->epoch;
    *place = memory->place;
    if (status != RECORDING_OK) err_set(err, -EAGAIN, "as the test says");
    return status;
}

static inline void memory_recording_do(struct memory_recording *memory,
                                       const struct recording_batch *batch) {
    for (size_t i = 0; i < batch->changes_count; i++)
        memory->changes[memory->changes_count++] = batch->changes[i];
    for (size_t i = 0; i < batch->rejects_count; i++)
        memory->rejects[memory->rejects_count++] = batch->rejects[i];
    memory->place = batch->to;
}

static inline bool memory_recording_refuses(const struct memory_recording *memory,
                                            const struct recording_batch *batch) {
    if (batch->row_by_row && memory->is_same) return false;
    for (size_t i = 0; i < batch->changes_count; i++)
        if (batch->changes[i].kind == STORE_COUPON_ISSUED && memory->refused_serial != 0 &&
            batch->changes[i].serial == memory->refused_serial)
            return true;
    return false;
}

static inline enum recording_status memory_recording_apply(struct recording *recording,
                                                           const struct recording_batch *batch,
                                                           struct err *err) {
    struct memory_recording *memory = memory_recording_of(recording);
    bool does_it;
    memory->applies++;
    memory->row_by_row += batch->row_by_row;
    err_set(err, -EAGAIN, "as the \"test\" says");
    enum recording_status status = memory_recording_next(memory, &does_it);
    if (!does_it) return status;
    if (memory->mine != memory->epoch) return RECORDING_LOST;
    if (memory->place.seq == batch->to.seq) return status;
    if (memory->place.seq != batch->from.seq) return RECORDING_LOST;
    if (memory_recording_refuses(memory, batch)) return RECORDING_CONFLICT;
    memory_recording_do(memory, batch);
    return status;
}

static inline void memory_recording_free(struct recording *recording) {
    (void)recording;
}

static inline void memory_recording_init(struct memory_recording *memory) {
    static const struct recording_ops ops = {.take_over = memory_recording_take_over,
                                             .apply = memory_recording_apply,
                                             .free = memory_recording_free};
    *memory = (struct memory_recording){.recording.ops = &ops};
}
