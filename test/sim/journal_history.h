/* SPDX-License-Identifier: Apache-2.0
 *
 * What was written into a journal, what of it was acknowledged, and whether a later opening finds
 * it: every acknowledged record, in order, unaltered; behind them perhaps some that were written
 * and not acknowledged; nothing else. For tests of the journal and the simulator.
 *
 *     n = journal_history_batch(&history, bytes, sizeof(bytes), 3);
 *     if (journal_append(journal, bytes, n, 3) == 0) journal_history_acknowledge(&history);
 *     ... crash ...
 *     journal_history_rewind(&history);
 *     journal_open(&journal, &options, journal_history_on_record, &history, &err);
 *     const char *wrong = journal_history_settle(&history);      NULL when all is well
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "log/record.h"
#include "sim/random_sim.h"

struct journal_history {
    struct random_sim random;
    uint64_t *salts; /* of each record: what tells it from another attempt at the same place */
    size_t written, acknowledged, read;
    size_t capacity;
    uint64_t last_seq; /* of the records read */
    const char *wrong; /* the first thing that was */
};

void journal_history_init(struct journal_history *history, uint64_t seed);
void journal_history_deinit(struct journal_history *history);

/* Makes `to`, which has written nothing yet, remember what `from` has written. */
void journal_history_copy(struct journal_history *to, const struct journal_history *from);

/* Encodes the next `count` records, of random lengths, at `out`. Returns their bytes. There must be
 * room for count * RECORD_BYTES_MAX. */
size_t journal_history_batch(struct journal_history *history, void *out, size_t bytes_max,
                             size_t count);

/* All that was written is promised. */
void journal_history_acknowledge(struct journal_history *history);

/* Before an opening; then the on_record of journal_open, with the history as its ctx. */
void journal_history_rewind(struct journal_history *history);
int journal_history_on_record(void *ctx, const struct record *record, struct slice encoded);

/* After an opening: what is wrong with what was read, or NULL; what was read is acknowledged from
 * now on, the rest was never written. */
const char *journal_history_settle(struct journal_history *history);
