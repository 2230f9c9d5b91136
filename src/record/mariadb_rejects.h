/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of rejects, as a person sees to it. A dead letter waits (state dead) until it has been
 * put into the log again (replayed) or been looked at and left (resolved); who did so and why is
 * kept, and it is done once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "record/mariadb.h"

/* Texts live during the call that hands it over. */
struct maria_reject {
    uint64_t offset;
    struct slice state, reason, error;
    int64_t logged_ms, rejected_ms;
    uint64_t raw_bytes;
    struct slice raw;            /* of maria_reject_find alone */
    struct slice operator, note; /* who settled it, and why */
    int64_t settled_ms;
};

typedef void (*maria_reject_fn)(void *ctx, const struct maria_reject *reject);

/* In order of their offsets, those that wait, or with `all` every one. */
enum maria_class maria_rejects_list(struct maria *db, bool all, maria_reject_fn on_reject,
                                    void *ctx, struct err *err) MUST_CHECK;
/* The one at `offset`; on_reject is not called when there is none. */
enum maria_class maria_reject_find(struct maria *db, uint64_t offset, maria_reject_fn on_reject,
                                   void *ctx, struct err *err) MUST_CHECK;
/* From dead to `state`; `*is_done` false when it was not dead (any more): nothing was changed. */
enum maria_class maria_reject_settle(struct maria *db, uint64_t offset, const char *state,
                                     struct slice operator_name, struct slice note, int64_t now_ms,
                                     bool *is_done, struct err *err) MUST_CHECK;
