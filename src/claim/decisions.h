/* SPDX-License-Identifier: Apache-2.0
 *
 * What the judge makes of a log, in the words of the last stage (verify/decision.h), which knows no
 * records: the loader that a server starts with reads a journal, a view judges it anew, and each
 * record is handed on with its verdict. Works on the files alone, whether a server is running or
 * not; a backup is such a folder too.
 */
#pragma once

#include "claim/coupon_code.h"
#include "lib/base.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "log/record.h"
#include "verify/decision.h"

struct decisions;

/* `keys` derive the codes of coupons; without the key of an event its codes are empty. NULL when
 * memory is short. */
struct decisions *decisions_new(const struct code_keys *keys,
                                const struct hash_key *hash_key) MUST_CHECK;
void decisions_free(struct decisions *decisions);

/* Judges the next record, which is at `place`. `*decision` lives until the next call. 0 or -ENOMEM.
 */
int decisions_next(struct decisions *decisions, const struct record *record,
                   const struct log_place *place, struct decision *decision) MUST_CHECK;

/* A journal folder, as a source for verify/. */
struct decisions_folder {
    const char *folder;
    struct code_keys keys;
    struct hash_key hash_key;
};

/* Loads the keys that are in the folder (none is no failure). 0, or a negative errno with the
 * reason. */
int decisions_folder_init(struct decisions_folder *from, const char *folder,
                          struct err *err) MUST_CHECK;
void decisions_folder_deinit(struct decisions_folder *from);
/* log_source.read; `ctx` is a struct decisions_folder. Each call is a reading of its own. */
int decisions_read(void *ctx, decision_fn on_decision, void *on_decision_ctx, struct err *err);
