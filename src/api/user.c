/* SPDX-License-Identifier: Apache-2.0 */
#include "api/user.h"

#include <string.h>

#include "api/auth.h"
#include "api/issue.h"
#include "api/limits.h"
#include "claim/decide.h"

static const struct slice no_store = {"Cache-Control: no-store\r\n", 25};

/* {"event_id":…,"user_id":…,"coupon_id":…,…,"coupon":{"coupon_id":…,"serial":…,"issued_at":…}} */
static bool body_of_coupon(struct server *server, struct body *body, const struct event *event,
                           const struct coupon *coupon) {
    char code[COUPON_CODE_BYTES_MAX];
    size_t n = server_coupon_code(server, event, coupon, code);
    if (n == 0) return false;
    body_add(body, SLICE("{\"success\":true,\"result\":\"issued\""));
    if (!issue_add_coupon(server, body, event, coupon)) return false;
    body_printf(body, ",\"coupon\":{\"coupon_id\":\"%.*s\",\"serial\":%u,\"issued_at\":", (int)n,
                code, coupon->serial);
    body_add_instant(body, coupon->issued_ms);
    body_add(body, SLICE("}}"));
    return true;
}

static void body_of_none(struct body *body, const struct event *event, struct slice user_id,
                         const char *result) {
    body_printf(body,
                "{\"success\":false,\"result\":\"%s\",\"event_id\":\"%.*s\",\"user_id\":\"%.*s\","
                "\"coupon_id\":null,\"coupon\":null}",
                result, (int)event->id.n, event->id.p, (int)user_id.n, user_id.p);
}

static struct problem key_missing(void) {
    return (struct problem){.status = 503,
                            .code = "code_key_missing",
                            .detail = "This node lacks the key of the event's codes.",
                            .retry_after_s = 5};
}

static void write_answer(struct server *server, const struct waiting *place) {
    const struct event *event = view_at(server->view, place->event);
    struct slice user_id = slice_of(place->user_id, place->user_id_bytes);
    struct body body;
    body.n = 0;
    struct reply reply = {
        .status = 200, .fields = no_store, .close = place->close, .head_only = place->head_only};
    struct problem problem = {.status = 503,
                              .code = "busy",
                              .detail = "This cannot be known now. Ask again.",
                              .retry_after_s = 1};
    bool is_problem = false;
    struct coupon coupon;
    switch (judge_lookup(event->judge, user_id, &coupon)) {
    case HOLDING_COUPON:
        is_problem = !body_of_coupon(server, &body, event, &coupon);
        if (is_problem) problem = key_missing();
        break;
    case HOLDING_RETURNED:
        body_of_none(&body, event, user_id, "returned");
        break;
    case HOLDING_NONE:
        if (place->outcome == CLAIM_PENDING) {
            reply.status = 202;
            reply.fields = SLICE("Retry-After: 1\r\nCache-Control: no-store\r\n");
            body_printf(&body,
                        "{\"success\":null,\"result\":\"pending\",\"event_id\":\"%.*s\","
                        "\"user_id\":\"%.*s\",\"status_url\":"
                        "\"/api/v1/coupons/user/%.*s/event/%.*s\"}",
                        (int)event->id.n, event->id.p, (int)user_id.n, user_id.p, (int)user_id.n,
                        user_id.p, (int)event->id.n, event->id.p);
        } else if (place->outcome == CLAIM_NONE) {
            body_of_none(&body, event, user_id, "none");
        } else {
            is_problem = true;
        }
        break;
    }
    reply.body = body_slice(&body);
    if (is_problem) {
        carried_log(&server->out.carried, &problem);
        reply_write_problem(&server->out, server->date, &problem, place->close, place->head_only);
    } else {
        reply_write(&server->out, server->date, &reply);
    }
}

enum { ID_TEXT_MAX = 3 * USER_ID_BYTES_MAX }; /* every character escaped */

/* The decoded segment in `text`; empty, which no id is, for one that is too long or malformed. */
static struct slice decode(struct slice segment, char text[ID_TEXT_MAX]) {
    ptrdiff_t n = segment.n <= ID_TEXT_MAX ? http_percent_decode(segment, text) : -1;
    return slice_of(text, n < 0 ? 0 : (size_t)n);
}

/* Reads both parameters; false when one was refused. The texts keep the decoded ids. */
static bool read_ids(struct exchange *exchange, char user_text[ID_TEXT_MAX],
                     char event_text[ID_TEXT_MAX], struct slice *user_id, struct slice *event_id) {
    *user_id = decode(exchange->parameters[0], user_text);
    *event_id = decode(exchange->parameters[1], event_text);
    bool user_is_good = user_id_is_valid(*user_id);
    if (user_is_good && event_id_is_valid(*event_id)) return true;
    exchange_problem(exchange, (struct problem){.status = 422,
                                                .code = "invalid_field",
                                                .detail = user_is_good ? "event_id is malformed."
                                                                       : "user_id is malformed.",
                                                .field = user_is_good ? "event_id" : "user_id"});
    return false;
}

void user_handle(struct exchange *exchange) {
    struct server *server = exchange->server;
    char user_text[READ_BYTES / 4], event_text[READ_BYTES / 4];
    struct slice user_id, event_id;
    if (!limits_pass_address(exchange)) return;
    if (exchange->parameters[0].n > sizeof user_text ||
        exchange->parameters[1].n > sizeof event_text) {
        issue_unknown_event(exchange);
        return;
    }
    if (!read_ids(exchange, user_text, event_text, &user_id, &event_id)) return;
    const struct event *event = view_find(server->view, event_id);
    if (event == NULL) {
        issue_unknown_event(exchange);
        return;
    }
    struct waiting now = {.event = event->number,
                          .user_id_bytes = (uint8_t)user_id.n,
                          .outcome = CLAIM_NONE,
                          .close = exchange->close,
                          .head_only = exchange->head_only};
    memcpy(now.user_id, user_id.p, user_id.n);
    enum claim_outcome outcome;
    struct coupon coupon;
    /* A paused event may still have wins on their way; all other answers of a view are the last
     * word. */
    const struct decide_by by = server_decide_by(server);
    bool is_known =
        claim_decide(event, user_id, &by, &outcome, &coupon) &&
        (outcome == CLAIM_ALREADY_ISSUED || outcome == CLAIM_RETURNED || outcome == CLAIM_SOLD_OUT);
    if (is_known && exchange_must_wait(exchange)) return;
    if (!auth_admits(exchange, user_id, false)) return;
    if (!limits_pass_user(exchange, user_id)) return;
    if (!is_known) {
        issue_ask(exchange, CLAIM_KIND_QUERY, write_answer, event, user_id, slice_of(NULL, 0));
        return;
    }
    if (exchange->close) exchange->connection->is_last = true;
    write_answer(server, &now);
}
