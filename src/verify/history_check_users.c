/* SPDX-License-Identifier: Apache-2.0
 *
 * What one user was told over time: C7 (claims) and C8 ("did I get it?").
 */
#include <inttypes.h>

#include "verify/history_check_private.h"

/* What a user has been told so far. */
struct so_far {
    const struct history_op *pass;   /* the first coupon, by the time it was sent */
    const struct history_op *issued; /* the first "issued" */
    int64_t pass_ns, returned_ns;    /* when the first of them was told */
};

static void check_coupon(struct history_checking *checking, const struct history_op *op,
                         struct so_far *so_far) {
    enum check check = op->is_query ? CHECK_C8 : CHECK_C7;
    const char *path = checking->index.history->files[op->file].path;
    const struct history_op *pass = so_far->pass;
    if (pass != NULL && (pass->serial != op->serial || pass->coupon != op->coupon ||
                         pass->issued_ms != op->issued_ms))
        history_finding(checking, check, op,
                        "before, serial %" PRIu32 " was told (line %" PRIu32
                        "), or another code or time",
                        pass->serial, pass->line);
    if (so_far->returned_ns < op->invoke_ns)
        history_finding(checking, check, op, "sent after the coupon had been told returned");
    if (op->told == TOLD_ISSUED && !op->is_query) {
        if (so_far->issued != NULL)
            history_finding(checking, check, op, "was told \"issued\" before (%s:%" PRIu32 ")",
                            path, so_far->issued->line);
        else
            so_far->issued = op;
    }
    if (pass == NULL) so_far->pass = op;
    if (op->return_ns < so_far->pass_ns) so_far->pass_ns = op->return_ns;
}

static bool is_no(const struct history_op *op) {
    return op->told == TOLD_SOLD_OUT || op->told == TOLD_SOLD_OUT_FINAL ||
           op->told == TOLD_NOT_STARTED || op->told == TOLD_ENDED || op->told == TOLD_PAUSED;
}

static void check_no(struct history_checking *checking, const struct asker *asker,
                     const struct history_op *op, struct so_far *so_far) {
    bool had = so_far->pass_ns < op->invoke_ns;
    if (had && is_no(op))
        history_finding(checking, CHECK_C7, op,
                        "had been told serial %" PRIu32 " (line %" PRIu32 ")", so_far->pass->serial,
                        so_far->pass->line);
    if (had && op->told == TOLD_NOTHING && !asker->is_returned)
        history_finding(checking, CHECK_C8, op,
                        "had been told serial %" PRIu32 " (line %" PRIu32 ")", so_far->pass->serial,
                        so_far->pass->line);
    if (op->told != TOLD_RETURNED) return;
    if (!asker->is_returned)
        history_finding(checking, CHECK_C7, op, "the log has no return of this user");
    if (op->return_ns < so_far->returned_ns) so_far->returned_ns = op->return_ns;
}

void history_check_users(struct history_checking *checking) {
    const struct history_index *index = &checking->index;
    for (size_t i = 0; i < index->askers_count; i++) {
        const struct asker *asker = &index->askers[i];
        struct so_far so_far = {.pass_ns = HISTORY_NEVER, .returned_ns = HISTORY_NEVER};
        for (uint32_t k = asker->first; k < asker->first + asker->count; k++) {
            const struct history_op *op = &index->ops[k];
            if (history_is_pass(op))
                check_coupon(checking, op, &so_far);
            else
                check_no(checking, asker, op, &so_far);
        }
    }
}
