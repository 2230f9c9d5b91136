/* SPDX-License-Identifier: Apache-2.0
 *
 * A load run without a server: workers that are never started, and answers made by hand. For the
 * tests of the oracle, the verdict, the export and the exchange.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/load_verdict.h"
#include "verify/load_worker.h"

enum { FIXTURE_WORKERS_MAX = 4, FIXTURE_TEXT_BYTES = 1024 };

struct load_fixture {
    struct load_config config;
    struct request_kit kit;
    struct load_shared shared;
    struct load_worker workers[FIXTURE_WORKERS_MAX];
    struct load_verdict verdict;
};

/* Users "u-0…" of event E, a stock, nobody held anything before, a random prefix. */
static inline void fixture_open(struct load_fixture *fixture, uint32_t users, int64_t stock,
                                uint32_t threads) {
    *fixture = (struct load_fixture){.config = {.event = "E",
                                                .users = users,
                                                .claims = users,
                                                .connections = threads,
                                                .pipeline = 8,
                                                .threads = threads,
                                                .timeout_ns = 1000000000,
                                                .busy_rounds_max = 2,
                                                .is_prefix_random = true}};
    struct err err;
    ASSERT(request_kit_init(&fixture->kit, "h", "E", "u-", users, NULL, &err) == 0);
    fixture->shared = (struct load_shared){.config = &fixture->config,
                                           .kit = &fixture->kit,
                                           .clock = &clock_system,
                                           .users = calloc(users, 1)};
    for (uint32_t i = 0; i < threads; i++)
        ASSERT(worker_init(&fixture->workers[i], &fixture->shared, i, -1) == 0);
    fixture->verdict.config = &fixture->config;
    fixture->verdict.workers = fixture->workers;
    fixture->verdict.before = (struct load_status){.stock = stock, .remaining = stock};
}

static inline void fixture_close(struct load_fixture *fixture) {
    for (uint32_t i = 0; i < fixture->config.threads; i++) worker_deinit(&fixture->workers[i]);
    load_verdict_deinit(&fixture->verdict);
    free(fixture->shared.users);
}

/* A body of the contract; `word` is "issued" or "already_issued". */
static inline const char *coupon_body(char out[FIXTURE_TEXT_BYTES], const char *word,
                                      const char *user_id, int serial, const char *coupon_id) {
    snprintf(out, FIXTURE_TEXT_BYTES,
             "{\"success\":true,\"result\":\"%s\",\"event_id\":\"E\",\"user_id\":\"%s\","
             "\"coupon_id\":\"%s\",\"serial\":%d,\"issued_at\":\"2026-11-23T08:43:00.123Z\"}",
             word, user_id, coupon_id, serial);
    return out;
}

#define SOLD_OUT_FINAL "{\"success\":false,\"result\":\"sold_out\",\"final\":true}"
#define SOLD_OUT "{\"success\":false,\"result\":\"sold_out\",\"final\":false}"

static inline struct answer make_answer(int status, const char *body) {
    return (struct answer){.status = status,
                           .is_json = status < 400,
                           .is_problem = status >= 400,
                           .retry_after_s = -1,
                           .body = slice_str(body)};
}

/* `user` claims at `sent_ns`. */
static inline struct load_sent send_claim(struct load_fixture *fixture, uint32_t user,
                                          uint64_t sent_ns) {
    struct oracle *oracle = &load_verdict_worker(&fixture->verdict, user)->oracle;
    struct load_sent sent = {.sent_ns = sent_ns, .intended_ns = sent_ns, .user = user};
    oracle_on_send(oracle, &sent);
    oracle_mark_sends(oracle, sent_ns);
    return sent;
}

static inline enum told receive(struct load_fixture *fixture, const struct load_sent *sent,
                                const struct answer *answer, uint64_t now_ns) {
    struct oracle *oracle = &load_verdict_worker(&fixture->verdict, sent->user)->oracle;
    return oracle_on_answer(oracle, sent, answer, now_ns);
}

/* `user` claims at `ns` and is told `body` right after it. */
static inline enum told tell(struct load_fixture *fixture, uint32_t user, const char *body,
                             uint64_t ns) {
    struct load_sent sent = send_claim(fixture, user, ns);
    struct answer answer = make_answer(200, body);
    answer.is_replayed = strstr(body, "already_issued") != NULL;
    return receive(fixture, &sent, &answer, ns + 1);
}

/* The usual coupon with this serial. */
static inline enum told tell_coupon(struct load_fixture *fixture, uint32_t user, const char *word,
                                    int serial, uint64_t ns) {
    char body[FIXTURE_TEXT_BYTES], id[REQUEST_USER_ID_BYTES_MAX + 1], coupon_id[16];
    request_user_id(&fixture->kit, user, id);
    snprintf(coupon_id, sizeof coupon_id, "C%d", serial);
    return tell(fixture, user, coupon_body(body, word, id, serial, coupon_id), ns);
}

/* The findings of a worker, or after the judgement those of the verdict. */
static inline uint64_t found(const struct load_fixture *fixture, enum finding_kind kind) {
    uint64_t sum = fixture->verdict.findings.kinds[kind].count;
    for (uint32_t i = 0; i < fixture->config.threads; i++)
        sum += fixture->workers[i].oracle.findings.kinds[kind].count;
    return sum;
}

static inline uint64_t found_in_all(const struct load_fixture *fixture) {
    uint64_t sum = 0;
    for (unsigned kind = 0; kind < FINDING_KINDS_COUNT; kind++) sum += found(fixture, kind);
    return sum;
}
