/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of a group commit, encoded one behind the other.
 */
#include "claim/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int batch_init(struct batch *batch) {
    *batch = (struct batch){.records = malloc(BATCH_BYTES_MAX)};
    return batch->records == NULL ? -ENOMEM : 0;
}

void batch_deinit(struct batch *batch) {
    free(batch->records);
    batch->records = NULL;
}

void batch_reset(struct batch *batch, uint64_t number) {
    ASSERT(batch->waiting.first == NULL);
    batch->number = number;
    batch->bytes = 0;
    batch->ends_ms_min = TIME_MS_MAX;
    batch->count = batch->wins_count = batch->controls_count = 0;
    batch->decided_count = batch->controls_decided_count = 0;
}

bool batch_has_place(const struct batch *batch, uint32_t wins_more) {
    size_t records = (size_t)wins_more + BATCH_CONTROLS_MAX - batch->controls_count;
    return batch->wins_count + wins_more <= BATCH_WINS_MAX &&
           batch->bytes + records * RECORD_BYTES_MAX <= BATCH_BYTES_MAX;
}

void batch_add_win(struct batch *batch, const struct record *win, int64_t ends_ms) {
    ASSERT(batch_has_place(batch, 1));
    size_t bytes = record_encode(batch->records + batch->bytes, win);
    ASSERT(bytes > 0); /* ids are checked where they come in, the rest is our own */
    batch->bytes += bytes;
    batch->count++;
    batch->wins_count++;
    if (ends_ms < batch->ends_ms_min) batch->ends_ms_min = ends_ms;
}

bool batch_add_control(struct batch *batch, const struct record *record, uint64_t token) {
    ASSERT(batch->controls_count < BATCH_CONTROLS_MAX);
    size_t bytes = record_encode(batch->records + batch->bytes, record);
    if (bytes == 0) return false;
    batch->bytes += bytes;
    batch->count++;
    struct batch_control *control = &batch->controls[batch->controls_count++];
    control->token = token;
    control->outcome = CONTROL_UNAVAILABLE;
    control->event_id_bytes = (uint8_t)record->event_id.n;
    memcpy(control->event_id, record->event_id.p, record->event_id.n);
    return true;
}

bool batch_controls_event(const struct batch *batch, struct slice event_id) {
    for (uint32_t i = 0; i < batch->controls_count; i++) {
        const struct batch_control *control = &batch->controls[i];
        if (slice_eq(slice_of(control->event_id, control->event_id_bytes), event_id)) return true;
    }
    return false;
}
