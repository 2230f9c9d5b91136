/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's group commit: the records that go to the log together, and who waits for them. The
 * engine has two, one collecting while the other is on its way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "claim/engine.h"
#include "claim/waiting.h"
#include "lib/base.h"
#include "log/record.h"

enum {
    /* What a log takes at once (log.h, journal.h). */
    BATCH_RECORDS_MAX = 1024,
    BATCH_BYTES_MAX = 1024 * 1024,
    /* Kept free of claims, so that an operator can pause an event in the middle of a stampede. */
    BATCH_CONTROLS_MAX = 8,
    BATCH_WINS_MAX = BATCH_RECORDS_MAX - BATCH_CONTROLS_MAX,
};

/* A control record of a batch, in the order of the records. */
struct batch_control {
    uint64_t token;
    enum control_outcome outcome;
    uint8_t event_id_bytes;
    char event_id[EVENT_ID_BYTES_MAX];
};

struct batch {
    uint64_t number; /* counts batches */
    char *records;   /* encoded, back to back */
    size_t bytes;
    uint32_t count, wins_count; /* of records */
    int64_t ends_ms_min; /* the earliest end of an event with a win in it */
    uint32_t controls_count;
    uint32_t decided_count, controls_decided_count; /* come back from the log */
    struct waiter_queue waiting;
    struct batch_control controls[BATCH_CONTROLS_MAX];
};

/* 0 or -ENOMEM. */
int batch_init(struct batch *batch) MUST_CHECK;
void batch_deinit(struct batch *batch);

/* Empties it; nobody may be waiting any more. */
void batch_reset(struct batch *batch, uint64_t number);

/* True when `wins_more` WIN records more, and all control records it may take, are sure to fit. */
bool batch_has_place(const struct batch *batch, uint32_t wins_more);

/* Appends a WIN of an event with this end; there must be place. */
void batch_add_win(struct batch *batch, const struct record *win, int64_t ends_ms);

/* Appends a control record. False when it is outside its rules; the batch must have place for one
 * more control. */
bool batch_add_control(struct batch *batch, const struct record *record, uint64_t token);

/* True when a control record of this event is in it. */
bool batch_controls_event(const struct batch *batch, struct slice event_id);
