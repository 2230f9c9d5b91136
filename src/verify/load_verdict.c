/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A coupon as it was told, whoever's. */
struct told_coupon {
    struct slice coupon_id;
    int64_t serial;
    uint32_t user;
};

static const struct request_kit *kit_of(const struct load_verdict *verdict) {
    return verdict->workers[0].shared->kit;
}

static const char *name_user(const struct load_verdict *verdict, uint32_t user,
                             char out[REQUEST_USER_ID_BYTES_MAX + 1]) {
    return request_user_id(kit_of(verdict), user, out).p;
}

struct load_worker *load_verdict_worker(const struct load_verdict *verdict, uint32_t user) {
    for (uint32_t i = 0; i < verdict->config->threads; i++) {
        const struct load_plan_setup *range = &verdict->workers[i].plan.setup;
        if (user >= range->first_user && user - range->first_user < range->users)
            return &verdict->workers[i];
    }
    return NULL;
}

static void gather_worker(struct load_verdict *verdict, struct load_worker *worker) {
    tally_merge(&verdict->tally, &worker->tally);
    for (size_t i = 0; i < TOLD_COUNT; i++) verdict->told[i] += worker->oracle.told[i];
    verdict->queries += worker->oracle.queries;
    verdict->users_asked += worker->oracle.users_asked;
    verdict->users_holding += worker->oracle.winners.count;
    findings_merge(&verdict->findings, &worker->oracle.findings);
    uint64_t left = plan_claims_left(&worker->plan);
    if (!worker->gave_up || left == 0 || verdict->config->claims == UINT64_MAX) return;
    findings_add(&verdict->findings, FINDING_UNANSWERED,
                 "%" PRIu64 " claims were never sent: the server stopped answering", left);
    verdict->findings.kinds[FINDING_UNANSWERED].count += left - 1;
}

static void count_users(struct load_verdict *verdict) {
    const uint8_t *users = verdict->workers[0].shared->users;
    for (uint32_t i = 0; i < verdict->config->users; i++) {
        uint8_t bits = users[i];
        if ((bits & USER_ASKED) == 0 || (bits & USER_HOLDS) != 0) continue;
        if ((bits & USER_DENIED_FINAL) != 0)
            verdict->users_sold_out++;
        else if ((bits & USER_DENIED) != 0)
            verdict->users_denied++;
        else
            verdict->users_undecided++;
    }
}

static int by_serial(const void *a, const void *b) {
    const struct told_coupon *x = a, *y = b;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static int by_coupon_id(const void *a, const void *b) {
    const struct told_coupon *x = a, *y = b;
    int order = memcmp(x->coupon_id.p, y->coupon_id.p, size_min(x->coupon_id.n, y->coupon_id.n));
    if (order != 0) return order;
    return x->coupon_id.n < y->coupon_id.n ? -1 : x->coupon_id.n > y->coupon_id.n;
}

static int64_t stock_max(const struct load_verdict *verdict) {
    int64_t after = verdict->is_after_known ? verdict->after.stock : 0;
    return after > verdict->before.stock ? after : verdict->before.stock;
}

static void add_pair(struct load_verdict *verdict, enum finding_kind kind,
                     const struct told_coupon *a, const struct told_coupon *b) {
    char first[REQUEST_USER_ID_BYTES_MAX + 1], second[REQUEST_USER_ID_BYTES_MAX + 1];
    findings_add(&verdict->findings, kind,
                 "serial %" PRId64 " coupon_id %.*s to %s, serial %" PRId64 " coupon_id %.*s to %s",
                 a->serial, (int)a->coupon_id.n, a->coupon_id.p, name_user(verdict, a->user, first),
                 b->serial, (int)b->coupon_id.n, b->coupon_id.p,
                 name_user(verdict, b->user, second));
}

/* Serials within 1..stock, no serial and no coupon_id twice (I1). */
static void check_coupons(struct load_verdict *verdict, struct told_coupon *coupons, size_t n) {
    int64_t stock = stock_max(verdict);
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    qsort(coupons, n, sizeof *coupons, by_serial);
    for (size_t i = 0; i < n; i++) {
        if (coupons[i].serial < 1 || coupons[i].serial > stock)
            findings_add(&verdict->findings, FINDING_SERIAL_RANGE,
                         "user %s: serial %" PRId64 " of a stock of %" PRId64,
                         name_user(verdict, coupons[i].user, id), coupons[i].serial, stock);
        if (i > 0 && coupons[i].serial == coupons[i - 1].serial)
            add_pair(verdict, FINDING_SERIAL_TWICE, &coupons[i - 1], &coupons[i]);
    }
    qsort(coupons, n, sizeof *coupons, by_coupon_id);
    for (size_t i = 1; i < n; i++)
        if (by_coupon_id(&coupons[i - 1], &coupons[i]) == 0)
            add_pair(verdict, FINDING_COUPON_TWICE, &coupons[i - 1], &coupons[i]);
}

static int check_all_coupons(struct load_verdict *verdict) {
    size_t n = 0;
    for (uint32_t i = 0; i < verdict->config->threads; i++)
        n += verdict->workers[i].oracle.winners.count;
    if (n == 0) return 0;
    struct told_coupon *coupons = calloc(n, sizeof *coupons);
    if (coupons == NULL) return -ENOMEM;
    size_t at = 0;
    for (uint32_t i = 0; i < verdict->config->threads; i++) {
        const struct winner_table *winners = &verdict->workers[i].oracle.winners;
        for (size_t j = 0; j < winners->count; j++) {
            const struct winner *winner = &winners->items[j];
            coupons[at++] = (struct told_coupon){winner_coupon_id(winners, winner), winner->serial,
                                                 winner->user};
        }
    }
    check_coupons(verdict, coupons, n);
    free(coupons);
    return 0;
}

static uint64_t first_told_ns(const struct load_verdict *verdict, bool is_final) {
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < verdict->config->threads; i++) {
        const struct oracle *oracle = &verdict->workers[i].oracle;
        uint64_t ns = is_final ? oracle->first_final_ns : oracle->first_sold_out_ns;
        if (ns < first) first = ns;
    }
    return first;
}

/* How many different users had claimed by a moment not after the first sold out. */
static uint64_t asked_by(const struct load_verdict *verdict, uint64_t ns) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < verdict->config->threads; i++) {
        const struct oracle *oracle = &verdict->workers[i].oracle;
        size_t n = oracle->marks_count;
        while (n > 0 && oracle->marks[n - 1].ns > ns) n--;
        if (n > 0) sum += oracle->marks[n - 1].users;
    }
    return sum;
}

/* Sold out may only be told when all are taken or reserved (I5), and each of those has claimed. */
static void check_early(struct load_verdict *verdict) {
    uint64_t first_ns = first_told_ns(verdict, false);
    if (first_ns == UINT64_MAX || verdict->config->is_shared) return;
    uint64_t asked = asked_by(verdict, first_ns);
    if (asked + (uint64_t)verdict->before.holders >= (uint64_t)verdict->before.stock) return;
    findings_add(&verdict->findings, FINDING_SOLD_OUT_EARLY,
                 "sold out was told when %" PRIu64 " users had claimed and %" PRId64
                 " held a coupon before, of a stock of %" PRId64,
                 asked, verdict->before.holders, verdict->before.stock);
}

static bool stock_changed(const struct load_verdict *verdict) {
    return verdict->is_after_known && verdict->after.stock != verdict->before.stock;
}

static void check_winner(struct load_verdict *verdict, const struct winner *winner,
                         uint64_t first_final_ns) {
    uint8_t bits = verdict->workers[0].shared->users[winner->user];
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    bool may_be_old = verdict->before.holders > 0 && !verdict->config->is_prefix_random;
    if (!winner->told_issued && (bits & USER_UNSURE) == 0) {
        verdict->users_held_before += may_be_old ? 1 : 0;
        if (!may_be_old)
            findings_add(&verdict->findings, FINDING_ALREADY_NEW,
                         "user %s: told already_issued with serial %" PRId64 ", never issued",
                         name_user(verdict, winner->user, id), winner->serial);
    }
    if (stock_changed(verdict)) return;
    if ((bits & USER_DENIED_FINAL) != 0)
        findings_add(&verdict->findings, FINDING_FINAL_REOPENED,
                     "user %s: told sold out, final, and also serial %" PRId64,
                     name_user(verdict, winner->user, id), winner->serial);
    else if (winner->told_issued && winner->sent_ns > first_final_ns)
        findings_add(&verdict->findings, FINDING_FINAL_REOPENED,
                     "user %s: serial %" PRId64 " for a claim sent %" PRIu64
                     " us after somebody was told sold out, final",
                     name_user(verdict, winner->user, id), winner->serial,
                     (winner->sent_ns - first_final_ns) / 1000);
}

static void check_winners(struct load_verdict *verdict) {
    uint64_t first_final_ns = first_told_ns(verdict, true);
    uint64_t issued = 0;
    for (uint32_t i = 0; i < verdict->config->threads; i++) {
        const struct winner_table *winners = &verdict->workers[i].oracle.winners;
        for (size_t j = 0; j < winners->count; j++) {
            check_winner(verdict, &winners->items[j], first_final_ns);
            issued += winners->items[j].told_issued ? 1 : 0;
        }
    }
    uint64_t holders = (uint64_t)verdict->before.holders;
    if (issued + holders > (uint64_t)stock_max(verdict))
        findings_add(&verdict->findings, FINDING_OVERSOLD,
                     "%" PRIu64 " issued in this run and %" PRIu64
                     " before, of a stock of %" PRId64,
                     issued, holders, stock_max(verdict));
    if (first_final_ns != UINT64_MAX && verdict->is_after_known && !stock_changed(verdict) &&
        verdict->after.remaining > 0)
        findings_add(&verdict->findings, FINDING_UNDERSOLD,
                     "final sold out was told, and the status says %" PRId64 " of %" PRId64
                     " are left",
                     verdict->after.remaining, verdict->after.stock);
}

int load_verdict_judge(struct load_verdict *verdict) {
    int failed = tally_init(&verdict->tally);
    if (failed != 0) return failed;
    for (uint32_t i = 0; i < verdict->config->threads; i++) {
        if (verdict->workers[i].oracle.out_of_memory) return -ENOMEM;
        gather_worker(verdict, &verdict->workers[i]);
    }
    count_users(verdict);
    failed = check_all_coupons(verdict);
    if (failed != 0) return failed;
    check_early(verdict);
    check_winners(verdict);
    return 0;
}

void load_verdict_deinit(struct load_verdict *verdict) {
    tally_deinit(&verdict->tally);
    findings_deinit(&verdict->findings);
}
