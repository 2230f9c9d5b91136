/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_export.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"

struct export_row {
    int64_t serial;
    struct slice user_id, coupon_id;
};

int load_export_begin(struct load_export *exported) {
    const struct load_verdict *verdict = exported->verdict;
    exported->stock = verdict->before.stock;
    if (verdict->is_after_known && verdict->after.stock > exported->stock)
        exported->stock = verdict->after.stock;
    exported->serials_seen = calloc((size_t)exported->stock / 64 + 1, sizeof(uint64_t));
    return exported->serials_seen == NULL ? -ENOMEM : 0;
}

static void note_serial(struct load_export *exported, const struct export_row *row) {
    struct findings *findings = &exported->verdict->findings;
    if (row->serial < 1 || row->serial > exported->stock) {
        findings_add(findings, FINDING_EXPORT_SERIAL,
                     "serial %" PRId64 " of user %.*s is not in 1..%" PRId64, row->serial,
                     (int)row->user_id.n, row->user_id.p, exported->stock);
        return;
    }
    uint64_t bit = UINT64_C(1) << (row->serial % 64);
    uint64_t *word = &exported->serials_seen[row->serial / 64];
    if ((*word & bit) != 0)
        findings_add(findings, FINDING_EXPORT_SERIAL, "serial %" PRId64 " twice, here of user %.*s",
                     row->serial, (int)row->user_id.n, row->user_id.p);
    *word |= bit;
}

static void note_coupon(struct load_export *exported, const struct export_row *row) {
    if (exported->coupons_count == exported->coupons_capacity) {
        size_t capacity = size_max(1024, exported->coupons_capacity * 2);
        uint64_t *coupons = reallocarray(exported->coupons, capacity, sizeof *coupons);
        if (coupons == NULL) {
            exported->out_of_memory = true;
            return;
        }
        exported->coupons = coupons;
        exported->coupons_capacity = capacity;
    }
    /* 64 bits: a chance of one in 30 million that a million different ones show a false twin. */
    static const struct hash_key key = {{1, 2}};
    exported->coupons[exported->coupons_count++] = hash_slice(&key, row->coupon_id);
}

static void note_foreign(struct load_export *exported, const struct export_row *row) {
    exported->verdict->export_foreign++;
    snprintf(exported->foreign_example, sizeof exported->foreign_example, "%.*s",
             (int)row->user_id.n, row->user_id.p);
}

static void compare_winner(struct load_export *exported, const struct export_row *row,
                           const struct winner_table *winners, struct winner *winner) {
    struct slice told = winner_coupon_id(winners, winner);
    winner->is_exported = true;
    if (winner->serial == row->serial && slice_eq(told, row->coupon_id)) return;
    findings_add(&exported->verdict->findings, FINDING_EXPORT_DIFFERS,
                 "user %.*s: told serial %" PRId64 " coupon_id %.*s, exported serial %" PRId64
                 " coupon_id %.*s",
                 (int)row->user_id.n, row->user_id.p, winner->serial, (int)told.n, told.p,
                 row->serial, (int)row->coupon_id.n, row->coupon_id.p);
}

/* A holder of this run who was not told so. */
static void compare_other(struct load_export *exported, const struct export_row *row,
                          uint8_t bits) {
    struct load_verdict *verdict = exported->verdict;
    bool may_be_unheard = (bits & USER_UNSURE) != 0 && (bits & USER_DENIED_FINAL) == 0;
    if (may_be_unheard) {
        verdict->export_unheard++;
    } else if ((bits & USER_ASKED) == 0) {
        if (!verdict->config->is_prefix_random)
            note_foreign(exported, row);
        else
            findings_add(&verdict->findings, FINDING_EXPORT_STRANGER,
                         "user %.*s, serial %" PRId64 ", never asked", (int)row->user_id.n,
                         row->user_id.p, row->serial);
    } else {
        findings_add(&verdict->findings, FINDING_EXPORT_DENIED,
                     "user %.*s, serial %" PRId64 ", was told no%s", (int)row->user_id.n,
                     row->user_id.p, row->serial,
                     (bits & USER_DENIED_FINAL) != 0 ? ": sold out, final" : "");
    }
}

static void compare_row(struct load_export *exported, const struct export_row *row) {
    struct load_verdict *verdict = exported->verdict;
    const struct load_shared *shared = verdict->workers[0].shared;
    uint32_t user;
    verdict->export_rows++;
    note_serial(exported, row);
    note_coupon(exported, row);
    if (!request_user_number(shared->kit, row->user_id, &user) || user >= verdict->config->users) {
        note_foreign(exported, row);
        return;
    }
    struct winner_table *winners = &load_verdict_worker(verdict, user)->oracle.winners;
    struct winner *winner = winner_find(winners, user);
    if (winner != NULL)
        compare_winner(exported, row, winners, winner);
    else
        compare_other(exported, row, shared->users[user]);
}

static bool read_row(const json_t *root, const char *event, struct export_row *row) {
    const json_t *event_id = json_object_get(root, "event_id");
    const json_t *user_id = json_object_get(root, "user_id");
    const json_t *coupon_id = json_object_get(root, "coupon_id");
    const json_t *serial = json_object_get(root, "serial");
    if (!json_is_string(event_id) || !json_is_string(user_id) || !json_is_string(coupon_id) ||
        !json_is_integer(serial) || strcmp(json_string_value(event_id), event) != 0)
        return false;
    row->serial = json_integer_value(serial);
    row->user_id = slice_of(json_string_value(user_id), json_string_length(user_id));
    row->coupon_id = slice_of(json_string_value(coupon_id), json_string_length(coupon_id));
    return true;
}

void load_export_line(struct load_export *exported, struct slice line) {
    struct load_verdict *verdict = exported->verdict;
    struct export_row row;
    json_error_t error;
    json_t *root = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &error);
    if (root != NULL && read_row(root, verdict->config->event, &row))
        compare_row(exported, &row);
    else
        findings_add(&verdict->findings, FINDING_EXPORT_LINE, "%.*s",
                     (int)size_min(line.n, EVIDENCE_BYTES_MAX), line.p);
    json_decref(root);
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_coupons(struct load_export *exported) {
    if (exported->coupons_count < 2) return;
    qsort(exported->coupons, exported->coupons_count, sizeof *exported->coupons, by_number);
    uint64_t twins = 0;
    for (size_t i = 1; i < exported->coupons_count; i++)
        twins += exported->coupons[i] == exported->coupons[i - 1] ? 1 : 0;
    if (twins > 0)
        findings_add(&exported->verdict->findings, FINDING_EXPORT_COUPON,
                     "%" PRIu64 " coupon_ids stand there more than once", twins);
}

static void check_missing(struct load_verdict *verdict) {
    const struct request_kit *kit = verdict->workers[0].shared->kit;
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    for (uint32_t i = 0; i < verdict->config->threads; i++) {
        const struct winner_table *winners = &verdict->workers[i].oracle.winners;
        for (size_t j = 0; j < winners->count; j++) {
            const struct winner *winner = &winners->items[j];
            if (winner->is_exported) continue;
            struct slice told = winner_coupon_id(winners, winner);
            findings_add(&verdict->findings, FINDING_EXPORT_MISSING,
                         "user %s: told serial %" PRId64 " coupon_id %.*s",
                         request_user_id(kit, winner->user, id).p, winner->serial, (int)told.n,
                         told.p);
        }
    }
}

static uint64_t export_findings(const struct load_verdict *verdict) {
    uint64_t sum = 0;
    for (size_t kind = FINDING_EXPORT_MISSING; kind <= FINDING_EXPORT_UNREADABLE; kind++)
        sum += verdict->findings.kinds[kind].count;
    return sum;
}

void load_export_end(struct load_export *exported) {
    struct load_verdict *verdict = exported->verdict;
    check_coupons(exported);
    check_missing(verdict);
    if (verdict->export_foreign > (uint64_t)verdict->before.holders && !verdict->config->is_shared)
        findings_add(&verdict->findings, FINDING_EXPORT_STRANGER,
                     "%" PRIu64 " holders are not of this run, %" PRId64
                     " held a coupon before it, for example %s",
                     verdict->export_foreign, verdict->before.holders, exported->foreign_example);
    if (exported->out_of_memory)
        findings_add(&verdict->findings, FINDING_EXPORT_UNREADABLE, "out of memory");
    verdict->is_export_equal = export_findings(verdict) == 0;
    snprintf(verdict->export_text, sizeof verdict->export_text, "%s",
             verdict->is_export_equal ? "export equal" : "export differs");
}

void load_export_deinit(struct load_export *exported) {
    free(exported->serials_seen);
    free(exported->coupons);
    exported->serials_seen = NULL;
    exported->coupons = NULL;
}
