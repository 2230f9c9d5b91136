/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/decisions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "claim/copy_rows.h"
#include "claim/view.h"
#include "lib/disk.h"
#include "lib/random.h"
#include "log/journal.h"

static_assert((int)DECISION_NO_TIME == (int)STORE_NO_TIME, "one word for no time");

struct decisions {
    struct view *view;
    struct copy_rows *rows;
    struct store_change change; /* owns the texts of the last decision */
};

struct decisions *decisions_new(const struct code_keys *keys, const struct hash_key *hash_key) {
    struct decisions *decisions = calloc(1, sizeof *decisions);
    if (decisions == NULL) return NULL;
    decisions->view = view_new(hash_key);
    decisions->rows = copy_rows_new(keys);
    if (decisions->view != NULL && decisions->rows != NULL) return decisions;
    decisions_free(decisions);
    return NULL;
}

void decisions_free(struct decisions *decisions) {
    if (decisions == NULL) return;
    copy_rows_free(decisions->rows);
    view_free(decisions->view);
    free(decisions);
}

static void fill_event(struct decision *decision, const struct store_change *change) {
    static const enum decided_state states[] = {[STORE_OPEN] = DECIDED_OPEN,
                                                [STORE_PAUSED] = DECIDED_PAUSED,
                                                [STORE_CLOSED] = DECIDED_CLOSED};
    decision->kind = change->kind == STORE_EVENT_OPENED ? DECISION_OPENED : DECISION_CHANGED;
    decision->state = states[change->state];
    decision->stock = change->stock;
    decision->starts_ms = change->starts_ms;
    decision->ends_ms = change->ends_ms;
}

static void fill_coupon(struct decision *decision, const struct record *record,
                        const struct store_change *change) {
    bool is_issued = change->kind == STORE_COUPON_ISSUED;
    decision->kind = is_issued ? DECISION_ISSUED : DECISION_RETURNED;
    decision->serial = change->serial;
    decision->round = is_issued ? change->round : 0;
    decision->user_id = store_id_slice(&change->user_id);
    if (is_issued) {
        decision->claim_id = store_id_slice(&change->claim_id);
        decision->code = slice_of(change->code.text, change->code.bytes);
    } else {
        decision->operator= record->operator;
        decision->reason = record->reason;
    }
}

int decisions_next(struct decisions *decisions, const struct record *record,
                   const struct log_place *place, struct decision *decision) {
    enum verdict verdict;
    int code = view_apply(decisions->view, record, &verdict);
    if (code != 0) return code;
    *decision = (struct decision){
        .place = *place, .digest = view_digest(decisions->view), .ms = record->ms};
    const struct event *event = view_find(decisions->view, record->event_id);
    if (event == NULL) return 0;
    decision->event_id = record->event_id;
    decision->ver = judge_state(event->judge)->ver;
    decision->gen = judge_state(event->judge)->gen;
    const struct store_change *change = &decisions->change;
    if (!copy_rows_change(decisions->rows, decisions->view, record, verdict, &decisions->change)) {
        if (record->type != RECORD_WIN || verdict == VERDICT_DUP) return 0;
        decision->kind = DECISION_VOID;
        decision->serial = record->win.serial;
        decision->user_id = record->win.user_id;
    } else if (change->kind == STORE_COUPON_ISSUED || change->kind == STORE_COUPON_RETURNED) {
        fill_coupon(decision, record, change);
    } else {
        fill_event(decision, change);
    }
    return 0;
}

/* ---- A folder ---- */

int decisions_folder_init(struct decisions_folder *from, const char *folder, struct err *err) {
    struct err no_key = {0};
    *from = (struct decisions_folder){.folder = folder};
    random_fill(&random_system, &from->hash_key, sizeof from->hash_key);
    int code = code_keys_load(&from->keys, folder, false, &random_system, &no_key);
    if (code == 0) return 0;
    from->keys.count = 0;
    if (code == -ENOENT) return 0; /* then codes are not compared */
    *err = no_key;
    return code;
}

void decisions_folder_deinit(struct decisions_folder *from) {
    explicit_bzero(&from->keys, sizeof from->keys);
}

struct reading {
    struct decisions *decisions;
    decision_fn on_decision;
    void *ctx;
};

static int on_record(void *ctx, const struct record *record, struct slice encoded) {
    struct reading *reading = ctx;
    const struct log_place place = {
        .seq = record->seq, .segment = record->segment, .crc = record_crc(encoded.p)};
    struct decision decision;
    int code = decisions_next(reading->decisions, record, &place, &decision);
    return code != 0 ? code : reading->on_decision(reading->ctx, &decision);
}

int decisions_read(void *ctx, decision_fn on_decision, void *on_decision_ctx, struct err *err) {
    const struct decisions_folder *from = ctx;
    struct reading reading = {.on_decision = on_decision, .ctx = on_decision_ctx};
    reading.decisions = decisions_new(&from->keys, &from->hash_key);
    if (reading.decisions == NULL) return err_set(err, -ENOMEM, "no memory to read the journal");
    const struct journal_options options = {
        .folder = from->folder, .disk = &disk_system, .random = &random_system, .read_only = true};
    struct journal *journal = NULL;
    int code = journal_open(&journal, &options, on_record, &reading, err);
    journal_close(journal);
    decisions_free(reading.decisions);
    return code;
}
