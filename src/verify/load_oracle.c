/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTE_BYTES = 120 }; /* of a body or of garbage, as evidence */

void oracle_init(struct oracle *oracle, const struct request_kit *kit, uint8_t *users) {
    *oracle = (struct oracle){
        .kit = kit, .users = users, .first_sold_out_ns = UINT64_MAX, .first_final_ns = UINT64_MAX};
}

void oracle_deinit(struct oracle *oracle) {
    winner_table_deinit(&oracle->winners);
    findings_deinit(&oracle->findings);
    free(oracle->marks);
    oracle->marks = NULL;
}

void oracle_mark_sends(struct oracle *oracle, uint64_t now_ns) {
    if (oracle->first_sold_out_ns != UINT64_MAX) return;
    if (oracle->marks_count == oracle->marks_capacity) {
        size_t capacity = size_max(256, oracle->marks_capacity * 2);
        struct oracle_mark *marks = reallocarray(oracle->marks, capacity, sizeof *marks);
        if (marks == NULL) {
            oracle->out_of_memory = true;
            return;
        }
        oracle->marks = marks;
        oracle->marks_capacity = capacity;
    }
    oracle->marks[oracle->marks_count++] = (struct oracle_mark){now_ns, oracle->users_asked};
}

/* Who asked, and what, for evidence. */
static const char *asker(const struct oracle *oracle, const struct load_sent *sent,
                         char out[REQUEST_USER_ID_BYTES_MAX + 1]) {
    return request_user_id(oracle->kit, sent->user, out).p;
}

static int quote_bytes(struct slice text) {
    return (int)size_min(text.n, QUOTE_BYTES);
}

static enum told wrong(struct oracle *oracle, const struct load_sent *sent,
                       const struct answer *answer, enum finding_kind kind, const char *what) {
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    findings_add(&oracle->findings, kind, "user %s: %s: status %d, body %.*s",
                 asker(oracle, sent, id), what, answer->status, quote_bytes(answer->body),
                 answer->body.p);
    return TOLD_WRONG;
}

/* The coupon against what the same user was told before. */
static void note_coupon(struct oracle *oracle, const struct load_sent *sent,
                        const struct answer *answer, const struct told_body *body) {
    struct slice coupon_id = slice_str(body->coupon_id);
    struct winner *winner = winner_find(&oracle->winners, sent->user);
    if (winner == NULL) {
        winner = winner_add(&oracle->winners, sent->user, body->serial, coupon_id);
        if (winner == NULL) {
            oracle->out_of_memory = true;
            return;
        }
        winner->sent_ns = sent->sent_ns;
    } else if (winner->serial != body->serial ||
               !slice_eq(winner_coupon_id(&oracle->winners, winner), coupon_id)) {
        struct slice first = winner_coupon_id(&oracle->winners, winner);
        char id[REQUEST_USER_ID_BYTES_MAX + 1];
        findings_add(&oracle->findings, FINDING_COUPON_CHANGED,
                     "user %s: first serial %" PRId64 " coupon_id %.*s, then serial %" PRId64
                     " coupon_id %s",
                     asker(oracle, sent, id), winner->serial, (int)first.n, first.p, body->serial,
                     body->coupon_id);
    }
    oracle->users[sent->user] |= USER_HOLDS;
    if (sent->kind == REQUEST_QUERY || body->told != TOLD_ISSUED) return;
    if (winner->told_issued)
        wrong(oracle, sent, answer, FINDING_ISSUED_TWICE, "told \"issued\" a second time");
    else
        winner->sent_ns = sent->sent_ns;
    winner->told_issued = true;
}

static void note_no(struct oracle *oracle, const struct load_sent *sent,
                    const struct answer *answer, enum told told, uint64_t now_ns) {
    uint8_t *user = &oracle->users[sent->user];
    *user |= USER_DENIED;
    if (told == TOLD_SOLD_OUT_FINAL) *user |= USER_DENIED_FINAL;
    bool is_sold_out = told == TOLD_SOLD_OUT_FINAL || told == TOLD_SOLD_OUT;
    if (is_sold_out && now_ns < oracle->first_sold_out_ns) oracle->first_sold_out_ns = now_ns;
    if (told == TOLD_SOLD_OUT_FINAL && now_ns < oracle->first_final_ns)
        oracle->first_final_ns = now_ns;
    if (sent->held_before && told != TOLD_RETURNED)
        wrong(oracle, sent, answer, FINDING_TAKEN_BACK, "had been told a coupon");
}

/* Headers that go with a result. NULL when all is well. */
static const char *header_problem(enum told told, const struct answer *answer) {
    bool waits = told == TOLD_NOT_STARTED || told == TOLD_PAUSED || told == TOLD_PENDING;
    if (waits && answer->retry_after_s < 0) return "no Retry-After";
    if (told == TOLD_ALREADY_ISSUED && !answer->is_replayed) return "no Idempotent-Replayed: true";
    if (told == TOLD_ISSUED && answer->is_replayed) return "Idempotent-Replayed on a new coupon";
    return NULL;
}

static enum told note_decided(struct oracle *oracle, const struct load_sent *sent,
                              const struct answer *answer, const struct told_body *body,
                              uint64_t now_ns) {
    switch (body->told) {
    case TOLD_ISSUED:
    case TOLD_ALREADY_ISSUED:
        note_coupon(oracle, sent, answer, body);
        break;
    case TOLD_PENDING:
        oracle->users[sent->user] |= USER_UNSURE;
        break;
    case TOLD_NOTHING:
        if (sent->held_before)
            wrong(oracle, sent, answer, FINDING_TAKEN_BACK, "had been told a coupon");
        break;
    default:
        note_no(oracle, sent, answer, body->told, now_ns);
        break;
    }
    return body->told;
}

/* A 200 or 202 to a claim or a query. */
static enum told judge_body(struct oracle *oracle, const struct load_sent *sent,
                            const struct answer *answer, uint64_t now_ns) {
    static const enum finding_kind kinds[] = {
        [TOLD_BAD_BODY] = FINDING_BODY,
        [TOLD_BAD_FIELD] = FINDING_FIELD,
        [TOLD_DISAGREES] = FINDING_DISAGREE,
    };
    struct told_body *body = &oracle->body;
    const char *text = NULL;
    bool is_query = sent->kind == REQUEST_QUERY;
    enum told_problem problem =
        (is_query ? told_read_query : told_read_claim)(answer->body, answer->status, body, &text);
    if (problem != TOLD_GOOD) return wrong(oracle, sent, answer, kinds[problem], text);
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    if (body->user_id[0] != '\0' && strcmp(body->user_id, asker(oracle, sent, id)) != 0)
        return wrong(oracle, sent, answer, FINDING_WRONG_USER, "answered for another user");
    if (body->event_id[0] != '\0' && strcmp(body->event_id, oracle->kit->event) != 0)
        return wrong(oracle, sent, answer, FINDING_FIELD, "answered for another event");
    if (!answer->is_json)
        return wrong(oracle, sent, answer, FINDING_HEADER, "Content-Type is not application/json");
    text = is_query ? NULL : header_problem(body->told, answer);
    if (text != NULL) wrong(oracle, sent, answer, FINDING_HEADER, text);
    return note_decided(oracle, sent, answer, body, now_ns);
}

static enum told judge_refusal(struct oracle *oracle, const struct load_sent *sent,
                               const struct answer *answer) {
    const struct request_template *template = &oracle->kit->templates[sent->kind];
    if (answer->status != template->expected_status) {
        findings_add(&oracle->findings, FINDING_STATUS, "%s: status %d where %d is right: %.*s",
                     template->what, answer->status, template->expected_status,
                     quote_bytes(answer->body), answer->body.p);
        return TOLD_WRONG;
    }
    if (!answer->is_problem || !told_is_problem(answer->body))
        return wrong(oracle, sent, answer, FINDING_BODY, "a refusal that is no problem+json");
    if (answer->status == 405 && !answer->has_allow)
        return wrong(oracle, sent, answer, FINDING_HEADER, "405 without Allow");
    return TOLD_REFUSED;
}

static enum told judge(struct oracle *oracle, const struct load_sent *sent,
                       const struct answer *answer, uint64_t now_ns) {
    if (answer->status == 429 || answer->status == 503) {
        if (sent->kind == REQUEST_CLAIM) oracle->users[sent->user] |= USER_UNSURE;
        if (answer->retry_after_s < 0)
            wrong(oracle, sent, answer, FINDING_HEADER, "no Retry-After");
        return TOLD_BUSY;
    }
    if (sent->kind >= REQUEST_BAD) return judge_refusal(oracle, sent, answer);
    if (answer->status == 200 || answer->status == 202)
        return judge_body(oracle, sent, answer, now_ns);
    return wrong(oracle, sent, answer, FINDING_STATUS, "a good request was refused");
}

enum told oracle_on_answer(struct oracle *oracle, const struct load_sent *sent,
                           const struct answer *answer, uint64_t now_ns) {
    enum told told = judge(oracle, sent, answer, now_ns);
    if (told == TOLD_WRONG && sent->kind == REQUEST_CLAIM) oracle->users[sent->user] |= USER_UNSURE;
    if (sent->kind == REQUEST_QUERY)
        oracle->queries++;
    else
        oracle->told[told]++;
    return told;
}

bool oracle_is_common(enum told told, const struct answer *answer) {
    /* Whoever echoes the user's id tells something about the user. */
    return (told == TOLD_SOLD_OUT_FINAL || told == TOLD_SOLD_OUT || told == TOLD_ENDED) &&
           !answer->closes && memmem(answer->body.p, answer->body.n, "\"user_id\"", 9) == NULL;
}

void oracle_on_lost(struct oracle *oracle, const struct load_sent *sent) {
    if (sent->kind == REQUEST_CLAIM) oracle->users[sent->user] |= USER_UNSURE;
}

void oracle_on_unanswered(struct oracle *oracle, const struct load_sent *sent, const char *why) {
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    oracle_on_lost(oracle, sent);
    findings_add(&oracle->findings, FINDING_UNANSWERED, "user %s: %s", asker(oracle, sent, id),
                 why);
}

void oracle_on_garbage(struct oracle *oracle, const struct load_sent *sent, struct slice bytes,
                       const char *problem) {
    char id[REQUEST_USER_ID_BYTES_MAX + 1];
    if (sent != NULL) oracle_on_lost(oracle, sent);
    findings_add(&oracle->findings, FINDING_PROTOCOL, "%s%s: %s: %.*s",
                 sent == NULL ? "nobody asked" : "user ",
                 sent == NULL ? "" : asker(oracle, sent, id), problem, quote_bytes(bytes), bytes.p);
}
