/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin.h"

#include <string.h>

#include "api/admin_access.h"
#include "api/admin_request.h"
#include "api/export.h"
#include "api/issue.h"
#include "api/status.h"
#include "api/stream.h"
#include "api/views.h"
#include "claim/decide.h"

static const struct slice no_store = {"Cache-Control: no-store\r\n", 25};

/* ---- reading ---- */

static void add_event(struct server *server, struct body *body, const struct event *event) {
    status_add_event(body, event, status_now_ms(server));
    body_add(body, SLICE(",\"created_at\":"));
    body_add_instant(body, event->created_ms);
    body_add(body, SLICE(",\"code\":{\"prefix\":"));
    body_add_json_string(body, event->code.prefix);
    body_add(body, SLICE(",\"alphabet\":"));
    body_add_json_string(body, event->code.alphabet);
    body_printf(body, ",\"length\":%u}", event->code.length);
    body_printf(body, ",\"key_id\":\"%016llx\"}", (unsigned long long)event->key_id);
}

void admin_handle_show(struct exchange *exchange) {
    if (!admin_admits(exchange)) return;
    const struct event *event = issue_event_of_path(exchange, exchange->parameters[0]);
    if (event == NULL) return;
    struct body body;
    body.n = 0;
    add_event(exchange->server, &body, event);
    exchange_reply(
        exchange,
        (struct reply){.status = 200, .fields = no_store, .body = body_slice(&body)});
}

void admin_handle_views(struct exchange *exchange) {
    enum { VIEWS_MAX = 80 };
    if (!admin_admits(exchange)) return;
    const struct server *server = exchange->server;
    struct view_point points[VIEWS_MAX];
    size_t count = views_points(server->shared, server->engine, points, VIEWS_MAX);
    struct body body;
    body.n = 0;
    body_add(&body, SLICE("{\"views\":["));
    for (size_t i = 0; i < count; i++)
        body_printf(&body, "%s{\"name\":\"%s\",\"seq\":%llu,\"digest\":\"%016llx\"}",
                    i == 0 ? "" : ",", points[i].name, (unsigned long long)points[i].seq,
                    (unsigned long long)points[i].digest);
    body_add(&body, SLICE("]}"));
    exchange_reply(exchange, (struct reply){.status = 200, .body = body_slice(&body)});
}

void admin_handle_export(struct exchange *exchange) {
    if (!admin_admits(exchange)) return;
    const struct event *event = issue_event_of_path(exchange, exchange->parameters[0]);
    if (event == NULL) return;
    struct slice query = exchange->request->query;
    bool is_csv = slice_eq(query, SLICE("format=csv"));
    if (!is_csv && query.n != 0 && !slice_eq(query, SLICE("format=ndjson"))) {
        exchange_problem(exchange, (struct problem){.status = 422,
                                                    .code = "invalid_field",
                                                    .detail = "format must be csv or ndjson.",
                                                    .field = "format"});
        return;
    }
    if (!server_has_key(exchange->server, event)) {
        exchange_problem(exchange,
                         (struct problem){.status = 503,
                                          .code = "code_key_missing",
                                          .detail = "This node lacks the key of the event's codes.",
                                          .retry_after_s = 5});
        return;
    }
    export_start(exchange, event, is_csv ? EXPORT_CSV : EXPORT_NDJSON);
}

/* ---- writing ---- */

static struct problem problem_of(enum control_outcome outcome) {
    switch (outcome) {
    case CONTROL_EXISTS:
        return (struct problem){
            .status = 409, .code = "event_exists", .detail = "There is an event of this name."};
    case CONTROL_UNKNOWN:
        return (struct problem){.status = 404,
                                .code = "unknown_event",
                                .detail = "There is no event with this event_id.",
                                .field = "event_id"};
    case CONTROL_CLOSED:
        return (struct problem){.status = 409,
                                .code = "event_closed",
                                .detail = "The event is closed, which is final."};
    case CONTROL_REFUSED:
        return (struct problem){
            .status = 409, .code = "refused", .detail = "The event's coupons do not allow this."};
    case CONTROL_NO_SPACE:
        return (struct problem){.status = 507,
                                .code = "no_space",
                                .detail = "The disk's reserve is short: no new event is opened. "
                                          "Make room on the disk of the data folder.",
                                .retry_after_s = 30};
    case CONTROL_DONE:
    case CONTROL_UNAVAILABLE:
        break;
    }
    return (struct problem){.status = 503,
                            .code = "busy",
                            .detail = "This cannot be done now. Look at the event, then try again.",
                            .retry_after_s = 1};
}

static void write_undecided(struct server *server, const struct waiting *place) {
    reply_write(
        &server->out, server->date,
        &(struct reply){.status = 202,
                        .fields = SLICE("Retry-After: 1\r\n"),
                        .body = SLICE("{\"success\":null,\"result\":\"pending\",\"message\":"
                                      "\"Not confirmed yet. Look at the event.\"}"),
                        .close = place->close});
}

static void write_answer(struct server *server, const struct waiting *place) {
    if (place->state == WAITING_LATE) {
        write_undecided(server, place);
        return;
    }
    if (place->outcome != CONTROL_DONE) {
        struct problem problem = problem_of((enum control_outcome)place->outcome);
        reply_write_problem(&server->out, server->date, &problem, place->close, false);
        return;
    }
    const struct event *event =
        view_find(server->view, slice_of(place->event_id, place->event_id_bytes));
    ASSERT(event != NULL); /* DONE: this thread, too, has applied it */
    struct body body;
    body.n = 0;
    add_event(server, &body, event);
    reply_write(&server->out, server->date,
                &(struct reply){.status = place->is_creation ? 201 : 200,
                                .fields = no_store,
                                .body = body_slice(&body),
                                .close = place->close});
}

/* The record goes to the engine; its answer is written by write_answer. */
static void send_control(struct exchange *exchange, const struct record *record) {
    struct server *server = exchange->server;
    if (exchange_must_wait(exchange)) return;
    struct waiting *place = server->has_failed ? NULL : waiting_take(&server->waiting);
    if (place == NULL) {
        exchange_problem(exchange, (struct problem){.status = 503,
                                                    .code = "busy",
                                                    .detail = "This cannot be done now. Nothing "
                                                              "was changed; try again.",
                                                    .retry_after_s = 1});
        return;
    }
    place->write = write_answer;
    place->is_creation = record->type == RECORD_OPEN;
    place->event_id_bytes = (uint8_t)record->event_id.n;
    memcpy(place->event_id, record->event_id.p, record->event_id.n);
    waiting_ask(&server->waiting, place, server_await_answer(server));
    connection_wait(exchange, place);
    server_send_control(server, record, waiting_token(&server->waiting, place));
}

/* No event rests on settings that would lose its coupons (R7): true when 503 was answered. That one
 * of this name is there already is a better answer. */
static bool refuses_settings(struct exchange *exchange, struct slice event_id) {
    static const char head[] = "No event is opened while this is so: ";
    const struct server *server = exchange->server;
    char detail[sizeof head + SETTINGS_TEXT_BYTES];
    struct settings_watch *settings = server->shared->settings;
    if (settings == NULL || view_find(server->view, event_id) != NULL ||
        !settings_watch_has_wrong(settings, detail + sizeof head - 1))
        return false;
    memcpy(detail, head, sizeof head - 1);
    exchange_problem(exchange, (struct problem){.status = 503,
                                                .code = "settings_wrong",
                                                .detail = detail,
                                                .retry_after_s = 5});
    return true;
}

void admin_handle_create(struct exchange *exchange) {
    if (!admin_admits(exchange) || admin_refuses_type(exchange)) return;
    struct admin_request request;
    struct record record;
    if (!admin_request_read(&request, exchange->body) ||
        !admin_request_open(&request, exchange->server->shared->keys->current, &record))
        admin_refuse_body(exchange, &request);
    else if (!refuses_settings(exchange, record.event_id))
        send_control(exchange, &record);
    admin_request_free(&request);
}

/* The serial that the user of a RETURN holds; false when 409 was answered. */
static bool find_serial(struct exchange *exchange, const struct event *event,
                        struct record *record) {
    struct coupon coupon;
    if (judge_lookup(event->judge, record->give_back.user_id, &coupon) == HOLDING_COUPON) {
        record->give_back.serial = coupon.serial;
        return true;
    }
    exchange_problem(exchange, (struct problem){.status = 409,
                                                .code = "not_a_holder",
                                                .detail = "This user holds no coupon of the event.",
                                                .field = "user_id"});
    return false;
}

/* A control record of the event in the path. */
static void change(struct exchange *exchange, enum record_type type) {
    if (!admin_admits(exchange) || admin_refuses_type(exchange)) return;
    const struct event *event = issue_event_of_path(exchange, exchange->parameters[0]);
    if (event == NULL) return;
    struct admin_request request;
    struct record record = {.event_id = event->id};
    if (type == RECORD_RESCHEDULE) {
        record.reschedule.starts_ms = judge_state(event->judge)->starts_ms;
        record.reschedule.ends_ms = judge_state(event->judge)->ends_ms;
    }
    /* A pause or a close needs no words. */
    struct slice text = exchange->body.n == 0 ? SLICE("{}") : exchange->body;
    if (!admin_request_read(&request, text) ||
        !admin_request_change(&request, type, &record))
        admin_refuse_body(exchange, &request);
    else if (type != RECORD_RETURN || find_serial(exchange, event, &record))
        send_control(exchange, &record);
    admin_request_free(&request);
}

void admin_handle_restock(struct exchange *exchange) {
    change(exchange, RECORD_RESTOCK);
}
void admin_handle_reschedule(struct exchange *exchange) {
    change(exchange, RECORD_RESCHEDULE);
}
void admin_handle_pause(struct exchange *exchange) {
    change(exchange, RECORD_PAUSE);
}
void admin_handle_resume(struct exchange *exchange) {
    change(exchange, RECORD_RESUME);
}
void admin_handle_close(struct exchange *exchange) {
    change(exchange, RECORD_CLOSE);
}
void admin_handle_return(struct exchange *exchange) {
    change(exchange, RECORD_RETURN);
}

/* ---- the list ---- */

/* {"events":[ … ]}, as many events as fit into a piece. */
static size_t list_piece(struct server *server, struct stream *stream, char *out) {
    enum { EVENT_BYTES_MAX = 1024 };
    size_t n = 0;
    if (stream->has_ended) return 0;
    struct body body;
    body.n = 0;
    if (!stream->has_begun) body_add(&body, SLICE("{\"events\":["));
    stream->has_begun = true;
    uint32_t count = view_events_count(server->view);
    while (stream->next < count && n + 2 * EVENT_BYTES_MAX <= STREAM_PIECE_BYTES) {
        if (stream->next != 0) body_add(&body, SLICE(","));
        add_event(server, &body, view_at(server->view, stream->next++));
        ASSERT(body.n <= EVENT_BYTES_MAX);
        memcpy(out + n, body.bytes, body.n);
        n += body.n;
        body.n = 0;
    }
    if (stream->next == count) {
        body_add(&body, SLICE("]}"));
        stream->has_ended = true;
    }
    memcpy(out + n, body.bytes, body.n);
    return n + body.n;
}

void admin_handle_list(struct exchange *exchange) {
    if (!admin_admits(exchange)) return;
    stream_start(exchange, SLICE("application/json"), &(struct stream){.piece = list_piece, .fields = no_store});
}
