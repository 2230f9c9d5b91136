/* SPDX-License-Identifier: Apache-2.0
 *
 * A journal on a simulated disk with the history of what was written into it: what every test of
 * the journal sets up. The folder is "data".
 */
#pragma once

#include "log/journal.h"
#include "sim/disk_sim.h"
#include "sim/journal_history.h"

enum { RIG_SEGMENT_BYTES = 64 * 1024, RIG_COUNT_MAX = 64 };

#define RIG_FIRST_SEGMENT "data/journal-0000000000000001.log"

struct journal_rig {
    struct disk_sim *sim;
    struct random_sim random;
    struct journal_history history;
    struct journal_options options;
    struct journal *journal; /* NULL while closed */
    struct err err;
    _Alignas(8) char batch[RIG_COUNT_MAX * RECORD_BYTES_MAX]; /* of the last append */
};

struct journal_rig *journal_rig_new(uint64_t seed);

/* Closes the journal. False when it left a file open. */
bool journal_rig_free(struct journal_rig *rig);

/* The files as they are, all durable, and the history; the journal is closed in the copy. */
struct journal_rig *journal_rig_clone(const struct journal_rig *rig, uint64_t seed);

/* Opens (the journal must be closed); 0 or journal_open's code, rig->err. On success what was read
 * is compared and becomes the history; *wrong tells what was wrong with it, or NULL. */
int journal_rig_open(struct journal_rig *rig, const char **wrong) MUST_CHECK;

void journal_rig_close(struct journal_rig *rig);

/* Appends the next `count` records of the history and acknowledges them if that says 0. */
int journal_rig_append(struct journal_rig *rig, size_t count) MUST_CHECK;

/* Prepares and hands over the next segment where one is wanted. 0 or the code of the failure. */
int journal_rig_prepare(struct journal_rig *rig) MUST_CHECK;
