/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/history_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "verify/history_check_private.h"

void history_finding(struct history_checking *checking, enum check check,
                     const struct history_op *op, const char *format, ...) {
    const struct history_index *index = &checking->index;
    char text[CHECK_EVIDENCE_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct slice user = texts_at(&index->truth->texts, op->user);
    char serial[32] = "";
    if (op->serial != 0) snprintf(serial, sizeof serial, " serial %" PRIu32, op->serial);
    checks_add(checking->checks, check, check_item("op", index->event_id, op->line),
               "%s:%" PRIu32 ": event %.*s, user %.*s, %s told %s%s: %s",
               index->history->files[op->file].path, op->line, (int)index->event_id.n,
               index->event_id.p, (int)user.n, user.p, op->is_query ? "query" : "claim",
               history_told_name(op->told), serial, text);
}

void history_finding_entry(struct history_checking *checking, enum check check,
                           const struct truth_entry *entry, const char *format, ...) {
    const struct history_index *index = &checking->index;
    char text[CHECK_EVIDENCE_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct slice user = texts_at(&index->truth->texts, entry->user);
    checks_add(checking->checks, check, check_item("seq", index->event_id, entry->seq),
               "log seq %" PRIu64 ": event %.*s, user %.*s, serial %" PRIu32 ": %s", entry->seq,
               (int)index->event_id.n, index->event_id.p, (int)user.n, user.p, entry->serial, text);
}

/* Coupons told of an event that the log does not have. */
static void check_unknown_event(const struct history *history, struct truth *truth, uint32_t id,
                                struct checks *checks) {
    struct slice event = texts_at(&truth->texts, id);
    for (size_t i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->event != id || !history_is_pass(op)) continue;
        struct slice user = texts_at(&truth->texts, op->user);
        checks_add(checks, CHECK_C3, check_item("op", event, op->line),
                   "%s:%" PRIu32 ": user %.*s was told serial %" PRIu32
                   " of event %.*s, which the log does not have",
                   history->files[op->file].path, op->line, (int)user.n, user.p, op->serial,
                   (int)event.n, event.p);
    }
}

static int check_event(const struct history *history, struct truth *truth,
                       struct truth_event *event, const struct history_check_options *options,
                       struct checks *checks) {
    struct history_checking checking = {.options = options, .checks = checks};
    int code = history_index_init(&checking.index, history, truth, event);
    if (code != 0) return code;
    checking.keys = reallocarray(NULL, checking.index.ops_count + 1, sizeof *checking.keys);
    if (checking.keys == NULL) {
        checking.failed = true;
    } else {
        history_check_coupons(&checking);
        history_check_order(&checking);
        history_check_users(&checking);
    }
    free(checking.keys);
    history_index_deinit(&checking.index);
    return checking.failed || checks->failed ? -ENOMEM : 0;
}

int history_check(const struct history *history, struct truth *truth,
                  const struct history_check_options *options, struct checks *checks,
                  struct err *err) {
    for (size_t i = 0; i < history->files_count; i++) {
        uint32_t id = history->files[i].event;
        bool is_done = false;
        for (size_t k = 0; k < i; k++) is_done |= history->files[k].event == id;
        if (is_done) continue;
        struct truth_event *event = truth_event(truth, id);
        if (event == NULL) {
            check_unknown_event(history, truth, id, checks);
            continue;
        }
        if (check_event(history, truth, event, options, checks) != 0)
            return err_set(err, -ENOMEM, "no memory to check the histories");
    }
    return 0;
}
