/* SPDX-License-Identifier: Apache-2.0 */
#include "api/auth.h"

#include "lib/bearer.h"

#define CHALLENGE "WWW-Authenticate: Bearer realm=\"coupond\""
#define INVALID CHALLENGE ", error=\"invalid_token\"\r\n"

enum { UNAUTHORIZED = 401, FORBIDDEN = 403 };

/* What is counted, and said of a token that is not good. */
static const struct {
    enum claim_refusal why;
    const char *detail;
} refusals[BEARER_RESULTS] = {
    [BEARER_MISSING] = {REFUSED_TOKEN_MISSING,
                        "Send the user's token: Authorization: Bearer, and a signed JWT."},
    [BEARER_MALFORMED] = {REFUSED_TOKEN, "The token is no signed JWT that can be read."},
    [BEARER_UNSUPPORTED] = {REFUSED_TOKEN, "The token must be of typ JWT and signed by HS256, "
                                           "RS256 or ES256, without crit."},
    [BEARER_UNKNOWN_KEY] = {REFUSED_TOKEN, "The token is signed with a key (kid, alg) that is not "
                                           "known here."},
    [BEARER_FORGED] = {REFUSED_TOKEN, "The signature of the token is wrong."},
    [BEARER_EXPIRED] = {REFUSED_TOKEN_EXPIRED, "The token has expired. Get a new one."},
    [BEARER_TOO_EARLY] = {REFUSED_TOKEN, "The token is not valid yet (nbf)."},
    [BEARER_ENDLESS] = {REFUSED_TOKEN, "The token must have an end (exp)."},
    [BEARER_AUDIENCE] = {REFUSED_TOKEN, "The token is for another audience (aud)."},
    [BEARER_NOBODY] = {REFUSED_TOKEN, "The token must name its user (sub)."},
    [BEARER_ANOTHER] = {REFUSED_TOKEN_USER, "The token is another user's: sub must be user_id."},
};

static struct problem problem_of(enum bearer_result result) {
    struct problem problem = {.status = UNAUTHORIZED,
                              .code = claim_refusal_code(refusals[result].why),
                              .detail = refusals[result].detail,
                              .field = "Authorization",
                              .fields = SLICE(INVALID)};
    if (result == BEARER_MISSING) problem.fields = SLICE(CHALLENGE "\r\n");
    if (result == BEARER_ANOTHER) {
        problem.status = FORBIDDEN;
        problem.field = "user_id";
        problem.fields = slice_of(NULL, 0);
    }
    return problem;
}

static void write_refusal(struct server *server, const struct waiting *place) {
    struct problem problem = problem_of((enum bearer_result)place->outcome);
    reply_write_problem(&server->out, server->date, &problem, place->close, place->head_only);
}

/* A refusal waits for its turn instead of being put back and checked again. */
static void queue_refusal(struct exchange *exchange, enum bearer_result result) {
    struct waiting *place = waiting_take(&exchange->server->waiting);
    ASSERT(place != NULL); /* nothing is taken from a connection with a queue otherwise */
    place->state = WAITING_READY;
    place->write = write_refusal;
    place->outcome = (uint8_t)result;
    connection_wait(exchange, place);
}

bool auth_admits(struct exchange *exchange, struct slice user_id, bool is_claim) {
    struct server *server = exchange->server;
    if (server->bearer == NULL) return true;
    enum bearer_result result = bearer_check(server->bearer, exchange->request->authorization,
                                             user_id, clock_wall_ms(server->shared->clock));
    if (result == BEARER_GOOD) return true;
    if (is_claim) counter_add(&server->counts.refused[refusals[result].why], 1);
    if (exchange->connection->first != NULL)
        queue_refusal(exchange, result);
    else
        exchange_problem(exchange, problem_of(result));
    return false;
}
