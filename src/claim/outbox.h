/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine's thread has for one network thread at the end of a tick: a chain of parcels in
 * the order in which they must be seen, sent with one lock. Answers that follow one another share a
 * parcel; anything between them begins a new one, so that no answer overtakes the records that it
 * rests on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "claim/engine_thread.h"

struct outbox {
    struct parcel *first;
    struct parcel **last;
    struct from_engine *answers; /* the last parcel, while it is of answers and not full */
};

void outbox_init(struct outbox *outbox);
void outbox_deinit(struct outbox *outbox);

/* Adds a parcel of any kind but ANSWERS, for the caller to fill. */
struct from_engine *outbox_add(struct outbox *outbox, enum from_engine_kind kind, int64_t now_ms);
void outbox_add_answer(struct outbox *outbox, int64_t now_ms, struct claim_answer answer);

/* Sends what there is, up to the next RECORDS when there are some. True when more is left. */
bool outbox_send(struct outbox *outbox, struct mailbox *to);
