/* SPDX-License-Identifier: Apache-2.0
 *
 * What Redis has of each event, kept, and held against what the log has decided. Reserved before
 * the log was read, so the log may be ahead, and is allowed to be: a finding names the generations
 * and versions that it was made at, and counts only when a second pass has the very same one.
 *
 *     R2  a holder by the log is not in Redis, or with another serial
 *     R3  a reservation is not in the log, and too old to be on its way
 *     R4  entries, free serials and the next one do not add up; a serial twice, or outside 1..N
 *     R5  the state is missing, of another gen or ver, has other fields, or was installed into
 *         another process, while there is something left to hand out
 *     R7  a key of an event that is not over has an end; the node evicts keys
 *
 * Of a state that came without its holders only R5 and R7 are asked. R2 and R3 are asked only of
 * one that is of the log's gen and ver. Of an event that is over nothing is missing: nobody asks
 * Redis for it any more, and its keys end some time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "verify/checks.h"
#include "verify/decision.h"
#include "verify/pairs.h"
#include "verify/texts.h"
#include "verify/truth.h"

enum { RESERVATION_AGE_MS_MAX = 30000 };

struct reserved_event {
    uint32_t id; /* text */
    struct reserve_state state;
    char policy[RESERVE_POLICY_BYTES];
    struct reserved_holder {
        uint32_t user; /* text */
        bool is_readable;
        int64_t serial, ms;
    } * holders;
    struct pairs by_user; /* (0, user) -> holder */
    int64_t *free;        /* serials */
    uint32_t holders_count, holders_max, free_count, free_max;
};

struct reservations {
    struct reserved_event *events;
    uint32_t count, max;
    bool failed; /* memory was short */
};

/* Zeroed memory is empty. */
void reservations_deinit(struct reservations *reservations);
/* One more event to be read. */
void reservations_list(struct reservations *reservations, struct texts *texts,
                       struct slice event_id);
/* Reads all that are listed. 0, or the failure of the source. */
int reservations_read(struct reservations *reservations, const struct reserve_source *source,
                      struct texts *texts, struct err *err) MUST_CHECK;
/* Entries of all events. */
uint64_t reservations_sum(const struct reservations *reservations);

/* `truth` is that of the log, read to its end afterwards, and of the same texts. `name` is the
 * source's. */
void reservations_compare(const struct reservations *reservations, const struct truth *truth,
                          const char *name, struct checks *checks);
