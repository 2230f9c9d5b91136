/* SPDX-License-Identifier: Apache-2.0 */
#include "api/issue.h"

#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/issue_body.h"
#include "api/limits.h"
#include "claim/decide.h"
#include "record/audit.h"

enum { RETRY_SOON_S = 1, RETRY_PAUSED_S = 5, RETRY_BUSY_S_MAX = 3 };

/* What an answer is written with: the same for one decided now and one that waited. */
struct answer {
    const struct event *event;
    struct slice user_id;
    enum claim_outcome outcome;
    struct coupon coupon; /* of ISSUED and ALREADY_ISSUED */
    bool close, head_only;
};

static void write_reply(struct server *server, const struct answer *answer, int status,
                        struct slice fields, const struct body *body) {
    reply_write(&server->out, server->date,
                &(struct reply){.status = status,
                                .fields = fields,
                                .body = body_slice(body),
                                .close = answer->close,
                                .head_only = answer->head_only});
}

static void write_problem(struct server *server, const struct answer *answer,
                          struct problem problem) {
    carried_log(&server->out.carried, &problem);
    reply_write_problem(&server->out, server->date, &problem, answer->close, answer->head_only);
}

static_assert((int)EVENT_ID_BYTES_MAX <= (int)AUDIT_ID_BYTES_MAX &&
                  (int)USER_ID_BYTES_MAX <= (int)AUDIT_ID_BYTES_MAX,
              "every id can be noted");

/* Whoever is told a coupon, at whatever route, is told it by this thread's own view (I3). */
static void note(struct server *server, const struct event *event, const struct coupon *coupon) {
    if (server->shared->audit == NULL) return;
    audit_note(server->shared->audit, server->index,
               &(struct audit_told){.event_id = event->id,
                                    .user_id = coupon->user_id,
                                    .event = event->number,
                                    .serial = coupon->serial,
                                    .seq = view_offset(server->view)});
}

bool issue_add_coupon(struct server *server, struct body *body, const struct event *event,
                      const struct coupon *coupon) {
    char code[COUPON_CODE_BYTES_MAX];
    size_t n = server_coupon_code(server, event, coupon, code);
    if (n == 0) return false;
    body_printf(body,
                ",\"event_id\":\"%.*s\",\"user_id\":\"%.*s\",\"coupon_id\":\"%.*s\",\"serial\":%u,"
                "\"issued_at\":",
                (int)event->id.n, event->id.p, (int)coupon->user_id.n, coupon->user_id.p, (int)n,
                code, coupon->serial);
    body_add_instant(body, coupon->issued_ms);
    note(server, event, coupon);
    return true;
}

static uint32_t remaining(const struct event *event) {
    const struct judge_state *state = judge_state(event->judge);
    return state->stock - state->taken;
}

static const struct problem key_missing = {
    .status = 503,
    .code = "code_key_missing",
    .detail = "This node lacks the key of the event's codes.",
    .retry_after_s = RETRY_PAUSED_S,
};

static void write_coupon(struct server *server, const struct answer *answer) {
    bool is_replay = answer->outcome == CLAIM_ALREADY_ISSUED;
    struct body body;
    body.n = 0;
    body_add(&body, is_replay
                        ? SLICE("{\"success\":true,\"result\":\"already_issued\",\"message\":\"You "
                                "already hold this coupon.\"")
                        : SLICE("{\"success\":true,\"result\":\"issued\",\"message\":\"The coupon "
                                "is yours.\""));
    if (!issue_add_coupon(server, &body, answer->event, &answer->coupon)) {
        write_problem(server, answer, key_missing);
        return;
    }
    body_printf(&body, ",\"remaining_stock\":%u}", remaining(answer->event));
    write_reply(server, answer, 200, is_replay ? SLICE("Idempotent-Replayed: true\r\n") : SLICE(""),
                &body);
}

static void write_sold_out(struct server *server, const struct answer *answer) {
    bool is_final = remaining(answer->event) == 0 && server_is_current(server);
    if (is_final && !answer->close) {
        sold_out_reply_write(&server->out, &server->sold_out);
        return;
    }
    struct body body;
    body.n = 0;
    body_printf(
        &body,
        "{\"success\":false,\"result\":\"sold_out\",\"message\":\"All coupons of this event "
        "are taken.\",\"coupon_id\":null,\"remaining_stock\":0,\"final\":%s}",
        is_final ? "true" : "false");
    write_reply(server, answer, 200, is_final ? SLICE("") : SLICE("Retry-After: 1\r\n"), &body);
}

/* {"success":false,"result":…,"message":…,"coupon_id":null,"remaining_stock":…,"final":… */
static void begin_no(struct body *body, const struct answer *answer, const char *result,
                     const char *message, bool is_final) {
    body->n = 0;
    body_printf(body,
                "{\"success\":false,\"result\":\"%s\",\"message\":\"%s\",\"coupon_id\":null,"
                "\"remaining_stock\":%u,\"final\":%s",
                result, message, remaining(answer->event), is_final ? "true" : "false");
}

static struct slice retry_after(char *text, size_t bytes, uint64_t seconds) {
    int n = snprintf(text, bytes, "Retry-After: %llu\r\n", (unsigned long long)seconds);
    ASSERT(n > 0 && (size_t)n < bytes);
    return slice_of(text, (size_t)n);
}

static void write_not_started(struct server *server, const struct answer *answer) {
    const struct judge_state *state = judge_state(answer->event->judge);
    int64_t wait_ms = state->starts_ms - server->engine_ms;
    uint64_t wait_s = wait_ms <= 1000 ? 1 : (uint64_t)(wait_ms + 999) / 1000;
    char text[64];
    struct body body;
    begin_no(&body, answer, "not_started", "The event has not started yet.", false);
    body_add(&body, SLICE(",\"starts_at\":"));
    body_add_instant(&body, state->starts_ms);
    body_add(&body, SLICE("}"));
    write_reply(server, answer, 200, retry_after(text, sizeof text, wait_s), &body);
}

/* Decided before the operator moved the end, but told only in its turn, it is not the last word. */
static void write_ended(struct server *server, const struct answer *answer) {
    bool is_final = server_is_current(server) &&
                    event_status(answer->event, server->engine_ms) == EVENT_ENDED;
    struct body body;
    begin_no(&body, answer, "ended", "The event is over.", is_final);
    body_add(&body, SLICE(",\"ends_at\":"));
    body_add_instant(&body, judge_state(answer->event->judge)->ends_ms);
    body_add(&body, SLICE("}"));
    write_reply(server, answer, 200, is_final ? SLICE("") : SLICE("Retry-After: 1\r\n"), &body);
}

static void write_simple_no(struct server *server, const struct answer *answer) {
    char text[64];
    struct body body;
    bool is_paused = answer->outcome == CLAIM_PAUSED;
    if (is_paused)
        begin_no(&body, answer, "paused", "The event is paused. Try again.", false);
    else
        begin_no(&body, answer, "returned", "You gave this event's coupon back.", true);
    body_add(&body, SLICE("}"));
    write_reply(server, answer, 200,
                is_paused ? retry_after(text, sizeof text, RETRY_PAUSED_S) : SLICE(""), &body);
}

static void write_pending(struct server *server, const struct answer *answer) {
    char text[64];
    struct body body;
    body.n = 0;
    body_printf(&body,
                "{\"success\":null,\"result\":\"pending\",\"message\":\"Not decided yet. Ask at "
                "status_url, or send the same request again.\",\"coupon_id\":null,\"status_url\":"
                "\"/api/v1/coupons/user/%.*s/event/%.*s\"}",
                (int)answer->user_id.n, answer->user_id.p, (int)answer->event->id.n,
                answer->event->id.p);
    write_reply(server, answer, 202, retry_after(text, sizeof text, RETRY_SOON_S), &body);
}

static void write_busy(struct server *server, const struct answer *answer) {
    /* Spread over a few seconds, so that whoever was sent away does not come back all at once. */
    uint32_t wait_s = 1 + server->busy_count++ % RETRY_BUSY_S_MAX;
    write_problem(server, answer,
                  (struct problem){.status = 503,
                                   .code = "busy",
                                   .detail = "This cannot be decided now. Nothing was reserved; "
                                             "send the same request again.",
                                   .retry_after_s = wait_s});
}

static void write_answer(struct server *server, const struct answer *answer) {
    switch (answer->outcome) {
    case CLAIM_ISSUED:
    case CLAIM_ALREADY_ISSUED:
        write_coupon(server, answer);
        return;
    case CLAIM_SOLD_OUT:
        write_sold_out(server, answer);
        return;
    case CLAIM_NOT_STARTED:
        write_not_started(server, answer);
        return;
    case CLAIM_ENDED:
        write_ended(server, answer);
        return;
    case CLAIM_PAUSED:
    case CLAIM_RETURNED:
        write_simple_no(server, answer);
        return;
    case CLAIM_PENDING:
        write_pending(server, answer);
        return;
    case CLAIM_NONE:
    case CLAIM_UNAVAILABLE:
        write_busy(server, answer);
        return;
    }
}

/* Answers a claim, and counts it. */
static void tell(struct server *server, const struct answer *answer) {
    bool has_coupon = answer->outcome == CLAIM_ISSUED || answer->outcome == CLAIM_ALREADY_ISSUED;
    if (UNLIKELY(has_coupon && !server_has_key(server, answer->event)))
        counter_add(&server->counts.refused[REFUSED_CODE_KEY], 1);
    else
        counter_add(
            &counts_of_event(&server->counts, answer->event->number)->outcomes[answer->outcome], 1);
    write_answer(server, answer);
}

/* What is told is what this thread's own view holds now (I3). A "no" that has waited for its turn may
 * have been overtaken by another claim of the user, which won: who holds a coupon hears of it (I2). */
static void write_waiting(struct server *server, const struct waiting *place) {
    struct answer answer = {.event = view_at(server->view, place->event),
                            .user_id = slice_of(place->user_id, place->user_id_bytes),
                            .outcome = (enum claim_outcome)place->outcome,
                            .close = place->close,
                            .head_only = place->head_only};
    bool is_won = answer.outcome == CLAIM_ISSUED || answer.outcome == CLAIM_ALREADY_ISSUED;
    enum holding holding = judge_lookup(answer.event->judge, answer.user_id, &answer.coupon);
    ASSERT(!is_won || holding != HOLDING_NONE);
    if (holding == HOLDING_RETURNED) answer.outcome = CLAIM_RETURNED;
    if (holding == HOLDING_COUPON && !is_won) answer.outcome = CLAIM_ALREADY_ISSUED;
    tell(server, &answer);
}

/* A decided claim behind an undecided one of the same connection: it takes a place, too, and is
 * written in its turn. */
static void queue_decided(struct exchange *exchange, const struct answer *answer) {
    struct waiting *place = waiting_take(&exchange->server->waiting);
    ASSERT(place != NULL); /* nothing is taken from a connection with a queue otherwise */
    place->state = WAITING_READY;
    place->write = write_waiting;
    place->event = answer->event->number;
    place->outcome = (uint8_t)answer->outcome;
    place->user_id_bytes = (uint8_t)answer->user_id.n;
    memcpy(place->user_id, answer->user_id.p, answer->user_id.n);
    connection_wait(exchange, place);
}

void issue_ask(struct exchange *exchange, enum claim_kind kind,
               void (*write)(struct server *server, const struct waiting *place),
               const struct event *event, struct slice user_id, struct slice claim_id) {
    struct server *server = exchange->server;
    struct waiting *place = server->has_failed ? NULL : waiting_take(&server->waiting);
    if (place == NULL) {
        if (exchange_must_wait(exchange)) return;
        struct answer busy = {.event = event,
                              .user_id = user_id,
                              .outcome = CLAIM_UNAVAILABLE,
                              .close = exchange->close,
                              .head_only = exchange->head_only};
        if (exchange->close) exchange->connection->is_last = true;
        if (kind == CLAIM_KIND_CLAIM)
            tell(server, &busy);
        else
            write_answer(server, &busy);
        return;
    }
    place->write = write;
    place->event = event->number;
    place->is_claim = kind == CLAIM_KIND_CLAIM;
    place->user_id_bytes = (uint8_t)user_id.n;
    memcpy(place->user_id, user_id.p, user_id.n);

    struct claim claim = {.event = event->number,
                          .thread = server->index,
                          .token = waiting_token(&server->waiting, place),
                          .kind = (uint8_t)kind,
                          .user_id_bytes = (uint8_t)user_id.n,
                          .claim_id_bytes = (uint8_t)claim_id.n};
    memcpy(claim.user_id, user_id.p, user_id.n);
    if (claim_id.n != 0) memcpy(claim.claim_id, claim_id.p, claim_id.n);
    waiting_ask(&server->waiting, place, server_await_answer(server));
    connection_wait(exchange, place);
    server_send_claim(server, &claim);
}

void issue_unknown_event(struct exchange *exchange) {
    exchange_problem(exchange, (struct problem){.status = 404,
                                                .code = "unknown_event",
                                                .detail = "There is no event with this event_id.",
                                                .field = "event_id"});
}

const struct event *issue_event_of_path(struct exchange *exchange, struct slice segment) {
    char text[3 * EVENT_ID_BYTES_MAX];
    const struct event *event = NULL;
    ptrdiff_t n = segment.n <= sizeof text ? http_percent_decode(segment, text) : -1;
    if (n >= 0) event = view_find(exchange->server->view, slice_of(text, (size_t)n));
    if (event == NULL) issue_unknown_event(exchange);
    return event;
}

/* Counts a claim that was refused, unless its turn has not come. */
static void count_refusal(const struct exchange *exchange, enum claim_refusal why) {
    if (!exchange->is_deferred) counter_add(&exchange->server->counts.refused[why], 1);
}

static void refuse_claim(struct exchange *exchange, enum claim_refusal why,
                         struct problem problem) {
    exchange_problem(exchange, problem);
    count_refusal(exchange, why);
}

/* The refusals of a request that is no claim. True when it was refused. */
static bool refuse(struct exchange *exchange, struct issue_body *body) {
    const struct http_request *request = exchange->request;
    if (!http_is_json(request->content_type)) {
        refuse_claim(exchange, REFUSED_MEDIA_TYPE,
                     (struct problem){.status = 415,
                                      .code = "unsupported_media_type",
                                      .detail = "Content-Type must be application/json.",
                                      .field = "Content-Type"});
        return true;
    }
    if (request->idempotency_key.p != NULL && !claim_id_is_valid(request->idempotency_key)) {
        refuse_claim(exchange, REFUSED_IDEMPOTENCY_KEY,
                     (struct problem){.status = 400,
                                      .code = "bad_idempotency_key",
                                      .detail = "Idempotency-Key must be 1 to 64 visible ASCII "
                                                "characters.",
                                      .field = "Idempotency-Key"});
        return true;
    }
    switch (issue_body_parse(exchange->body, body)) {
    case ISSUE_BODY_OK:
        return false;
    case ISSUE_BODY_NOT_JSON:
        refuse_claim(exchange, REFUSED_JSON,
                     (struct problem){.status = 400, .code = "bad_json", .detail = body->detail});
        return true;
    case ISSUE_BODY_FIELD:
        refuse_claim(exchange, REFUSED_FIELD,
                     (struct problem){.status = 422,
                                      .code = "invalid_field",
                                      .detail = body->detail,
                                      .field = body->field});
        return true;
    }
    return true;
}

/* An answer that is the same for everybody tells nothing of the user. */
static bool is_personal(bool is_decided, enum claim_outcome outcome) {
    return !is_decided || outcome == CLAIM_ALREADY_ISSUED || outcome == CLAIM_RETURNED;
}

void issue_handle(struct exchange *exchange) {
    struct server *server = exchange->server;
    struct connection *connection = exchange->connection;
    struct issue_body body;
    if (!limits_pass_address(exchange)) {
        count_refusal(exchange, REFUSED_RATE);
        return;
    }
    if (refuse(exchange, &body)) return;
    const struct event *event = view_find(server->view, body.event_id);
    if (event == NULL) {
        issue_unknown_event(exchange);
        count_refusal(exchange, REFUSED_EVENT);
        return;
    }
    struct answer answer = {.event = event,
                            .user_id = body.user_id,
                            .close = exchange->close,
                            .head_only = exchange->head_only};
    const struct decide_by by = server_decide_by(server);
    bool is_decided =
        claim_decide(event, body.user_id, &by, &answer.outcome, &answer.coupon);
    bool needs_token = server->bearer != NULL && is_personal(is_decided, answer.outcome);
    if (needs_token && !auth_admits(exchange, body.user_id, true)) return;
    /* Where tokens are asked for, nobody uses up the requests of another by his name alone. */
    if ((needs_token || server->bearer == NULL) && !limits_pass_user(exchange, body.user_id)) {
        count_refusal(exchange, REFUSED_RATE);
        return;
    }
    if (!is_decided && !server_has_key(server, event)) {
        /* Decided, it could not be told. */
        refuse_claim(exchange, REFUSED_CODE_KEY, key_missing);
    } else if (!is_decided) {
        issue_ask(exchange, CLAIM_KIND_CLAIM, write_waiting, event, body.user_id,
                  exchange->request->idempotency_key);
    } else if (connection->first != NULL) {
        queue_decided(exchange, &answer);
    } else {
        if (exchange->close) connection->is_last = true;
        tell(server, &answer);
    }
}
