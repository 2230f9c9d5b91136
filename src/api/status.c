/* SPDX-License-Identifier: Apache-2.0 */
#include "api/status.h"

#include "api/issue.h"
#include "claim/decide.h"

void status_add_event(struct body *body, const struct event *event, int64_t now_ms) {
    const struct judge_state *state = judge_state(event->judge);
    body_printf(body,
                "{\"event_id\":\"%.*s\",\"total_stock\":%u,\"remaining_stock\":%u,"
                "\"total_participants\":%u,\"status\":\"%s\",\"starts_at\":",
                (int)event->id.n, event->id.p, state->stock, state->stock - state->taken,
                state->taken, event_status_name(event_status(event, now_ms)));
    body_add_instant(body, state->starts_ms);
    body_add(body, SLICE(",\"ends_at\":"));
    body_add_instant(body, state->ends_ms);
}

uint64_t status_claims_told(const struct server_shared *shared, uint32_t event,
                            enum claim_outcome outcome) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared->servers_count; i++)
        sum += counts_read_event(&shared->servers[i]->counts, event, outcome);
    return sum;
}

uint64_t status_claims(const struct server_shared *shared, uint32_t event) {
    uint64_t sum = 0;
    for (int i = 0; i <= CLAIM_PENDING; i++)
        sum += status_claims_told(shared, event, (enum claim_outcome)i);
    return sum;
}

int64_t status_now_ms(const struct server *server) {
    int64_t wall_ms = clock_wall_ms(server->shared->clock);
    return wall_ms > server->engine_ms ? wall_ms : server->engine_ms;
}

void status_handle(struct exchange *exchange) {
    struct server *server = exchange->server;
    const struct event *event = issue_event_of_path(exchange, exchange->parameters[0]);
    if (event == NULL) return;
    struct body body;
    body.n = 0;
    status_add_event(&body, event, status_now_ms(server));
    body_add(&body, SLICE("}"));
    exchange_reply(exchange, (struct reply){.status = 200,
                                            .fields = SLICE("Cache-Control: no-store\r\n"),
                                            .body = body_slice(&body)});
}
