/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of parcels to the network threads. Answers are few (winners, and losers of the instant),
 * so a parcel takes a fixed number of them.
 */
#include "claim/outbox.h"

#include <stdlib.h>

#include "lib/base.h"

enum { ANSWERS_PER_PARCEL = 128 };

void outbox_init(struct outbox *outbox) {
    outbox->first = NULL;
    outbox->last = &outbox->first;
    outbox->answers = NULL;
}

static void parcel_free(struct parcel *parcel) {
    struct from_engine *message = CONTAINER_OF(parcel, struct from_engine, parcel);
    if (message->kind == FROM_ENGINE_RECORDS) record_block_release(message->block);
    free(message);
}

void outbox_deinit(struct outbox *outbox) {
    for (struct parcel *parcel = outbox->first, *next; parcel != NULL; parcel = next) {
        next = parcel->next;
        parcel_free(parcel);
    }
    outbox_init(outbox);
}

static struct from_engine *add(struct outbox *outbox, enum from_engine_kind kind, int64_t now_ms,
                               size_t answers_max) {
    struct from_engine *message =
        memory_needed(malloc(sizeof *message + answers_max * sizeof message->answers[0]));
    *message = (struct from_engine){.kind = kind, .now_ms = now_ms};
    *outbox->last = &message->parcel;
    outbox->last = &message->parcel.next;
    outbox->answers = NULL;
    return message;
}

struct from_engine *outbox_add(struct outbox *outbox, enum from_engine_kind kind, int64_t now_ms) {
    ASSERT(kind != FROM_ENGINE_ANSWERS);
    return add(outbox, kind, now_ms, 0);
}

void outbox_add_answer(struct outbox *outbox, int64_t now_ms, struct claim_answer answer) {
    struct from_engine *message = outbox->answers;
    if (message == NULL) message = add(outbox, FROM_ENGINE_ANSWERS, now_ms, ANSWERS_PER_PARCEL);
    message->answers[message->count++] = answer;
    outbox->answers = message->count < ANSWERS_PER_PARCEL ? message : NULL;
}

bool outbox_send(struct outbox *outbox, struct mailbox *to) {
    struct parcel *first = outbox->first, *end = first;
    while (end != NULL &&
           CONTAINER_OF(end, struct from_engine, parcel)->kind != FROM_ENGINE_RECORDS)
        end = end->next;
    struct parcel *rest = end == NULL ? NULL : end->next;
    if (end != NULL) end->next = NULL;
    if (first != NULL) mailbox_send(to, first);
    if (rest == NULL)
        outbox_init(outbox);
    else
        outbox->first = rest;
    return rest != NULL;
}
