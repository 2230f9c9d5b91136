/* SPDX-License-Identifier: Apache-2.0
 *
 *     Bearer eyJhbGciOi….eyJzdWIiOi….SflKxwRJ…
 *            ^ header    ^ claims    ^ signature
 */
#include "lib/bearer.h"

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base64url.h"

struct bearer {
    atomic_uint references;
    struct bearer_keys keys;
    char *audience; /* NULL: none is set */
    int64_t leeway_ms;
};

struct bearer *bearer_of_keys(struct bearer_keys *keys, const char *audience, int64_t leeway_ms) {
    struct bearer *bearer = malloc(sizeof *bearer);
    bool has_audience = audience != NULL && audience[0] != '\0';
    char *copy = has_audience ? strdup(audience) : NULL;
    if (bearer == NULL || (has_audience && copy == NULL)) {
        bearer_keys_deinit(keys);
        free(copy);
        free(bearer);
        return NULL;
    }
    atomic_init(&bearer->references, 1);
    bearer->keys = *keys;
    bearer->audience = copy;
    bearer->leeway_ms = leeway_ms;
    return bearer;
}

int bearer_new(struct bearer **bearer, const char *key_file, const char *audience,
               int64_t leeway_ms, struct err *err) {
    struct bearer_keys keys;
    int code = bearer_keys_load(&keys, key_file, err);
    if (code != 0) return code;
    *bearer = bearer_of_keys(&keys, audience, leeway_ms);
    return *bearer != NULL ? 0 : err_set(err, -ENOMEM, "no memory for keys");
}

struct bearer *bearer_ref(struct bearer *bearer) {
    atomic_fetch_add_explicit(&bearer->references, 1, memory_order_relaxed);
    return bearer;
}

void bearer_unref(struct bearer *bearer) {
    if (bearer == NULL ||
        atomic_fetch_sub_explicit(&bearer->references, 1, memory_order_acq_rel) != 1)
        return;
    bearer_keys_deinit(&bearer->keys);
    free(bearer->audience);
    free(bearer);
}

size_t bearer_keys_count(const struct bearer *bearer) {
    return bearer->keys.count;
}

/* ---- the text ---- */

/* "Bearer", in any case, and spaces (RFC 9110 section 11.4); false when it is another scheme. */
static bool take_scheme(struct slice authorization, struct slice *token) {
    static const char scheme[] = "bearer ";
    const size_t n = sizeof scheme - 1;
    if (authorization.n < n || strncasecmp(authorization.p, scheme, n) != 0) return false;
    *token = slice_of(authorization.p + n, authorization.n - n);
    while (token->n > 0 && token->p[0] == ' ') *token = slice_of(token->p + 1, token->n - 1);
    return true;
}

/* Up to the first dot, or, when `is_last`, what holds no further one. */
static bool take_part(struct slice *rest, bool is_last, struct slice *part) {
    const char *dot = rest->n == 0 ? NULL : memchr(rest->p, '.', rest->n);
    if ((dot == NULL) != is_last) return false;
    *part = slice_of(rest->p, is_last ? rest->n : (size_t)(dot - rest->p));
    if (!is_last) *rest = slice_of(dot + 1, rest->n - part->n - 1);
    return part->n > 0;
}

/* libjwt reads signatures that could be spelled in more than one way. */
static bool is_signature(struct slice part) {
    char bytes[BASE64URL_BYTES(BEARER_TOKEN_BYTES_MAX)];
    return base64url_decode(part, bytes) > 0;
}

/* The JSON object that a part spells, NULL when it is none. The caller's to release. */
static json_t *read_object(struct slice part) {
    char text[BASE64URL_BYTES(BEARER_TOKEN_BYTES_MAX)];
    json_error_t error;
    ptrdiff_t n = base64url_decode(part, text);
    if (n <= 0) return NULL;
    json_t *object =
        json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (json_is_object(object)) return object;
    json_decref(object);
    return NULL;
}

/* ---- the header ---- */

static bool alg_of(const json_t *header, enum bearer_alg *alg) {
    const char *text = json_string_value(json_object_get(header, "alg"));
    for (size_t i = 0; text != NULL && i < BEARER_ALGS; i++) {
        *alg = (enum bearer_alg)i;
        if (strcmp(text, bearer_alg_name(*alg)) == 0) return true;
    }
    return false;
}

static enum bearer_result choose_key(const struct bearer *bearer, const json_t *header,
                                     const struct bearer_key **key) {
    enum bearer_alg alg;
    const json_t *kid = json_object_get(header, "kid"), *type = json_object_get(header, "typ");
    if (kid != NULL && !json_is_string(kid)) return BEARER_MALFORMED;
    if (type != NULL && !json_is_string(type)) return BEARER_MALFORMED;
    if (!alg_of(header, &alg) || json_object_get(header, "crit") != NULL) return BEARER_UNSUPPORTED;
    if (type != NULL && strcasecmp(json_string_value(type), "JWT") != 0) return BEARER_UNSUPPORTED;
    *key = bearer_keys_find(&bearer->keys, alg, json_string_value(kid));
    return *key != NULL ? BEARER_GOOD : BEARER_UNKNOWN_KEY;
}

/* ---- the signature ---- */

/* The library takes the algorithm from the header: by now that is the one of the key. */
static bool is_signed(struct slice token, const struct bearer_key *key) {
    static const jwt_alg_t algs[BEARER_ALGS] = {JWT_ALG_HS256, JWT_ALG_RS256, JWT_ALG_ES256};
    char text[BEARER_TOKEN_BYTES_MAX + 1];
    jwt_t *jwt = NULL;
    memcpy(text, token.p, token.n);
    text[token.n] = '\0';
    bool is_good =
        jwt_decode(&jwt, text, key->bytes, key->n) == 0 && jwt_get_alg(jwt) == algs[key->alg];
    jwt_free(jwt);
    return is_good;
}

/* ---- the claims ---- */

static enum bearer_result check_time(const struct bearer *bearer, const json_t *claims,
                                     int64_t now_ms) {
    const json_t *expires = json_object_get(claims, "exp"),
                 *begins = json_object_get(claims, "nbf");
    double now_s = (double)now_ms / 1000, leeway_s = (double)bearer->leeway_ms / 1000;
    if (expires == NULL) return BEARER_ENDLESS;
    if (!json_is_number(expires) || (begins != NULL && !json_is_number(begins)))
        return BEARER_MALFORMED;
    if (now_s >= json_number_value(expires) + leeway_s) return BEARER_EXPIRED;
    if (begins != NULL && now_s + leeway_s < json_number_value(begins)) return BEARER_TOO_EARLY;
    return BEARER_GOOD;
}

static bool is_text(const json_t *value, const char *text) {
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static bool has_audience(const struct bearer *bearer, const json_t *claims) {
    const json_t *audience = json_object_get(claims, "aud"), *one;
    size_t i;
    if (bearer->audience == NULL) return audience == NULL;
    if (!json_is_array(audience)) return is_text(audience, bearer->audience);
    json_array_foreach((json_t *)audience, i, one) if (is_text(one, bearer->audience)) return true;
    return false;
}

static enum bearer_result check_claims(const struct bearer *bearer, const json_t *claims,
                                       struct slice user, int64_t now_ms) {
    enum bearer_result result = check_time(bearer, claims, now_ms);
    if (result != BEARER_GOOD) return result;
    if (!has_audience(bearer, claims)) return BEARER_AUDIENCE;
    const json_t *subject = json_object_get(claims, "sub");
    if (!json_is_string(subject) || json_string_length(subject) == 0) return BEARER_NOBODY;
    bool is_same =
        slice_eq(slice_of(json_string_value(subject), json_string_length(subject)), user);
    return is_same ? BEARER_GOOD : BEARER_ANOTHER;
}

enum bearer_result bearer_check(const struct bearer *bearer, struct slice authorization,
                                struct slice user, int64_t now_ms) {
    struct slice token, rest, part[3];
    if (!take_scheme(authorization, &token)) return BEARER_MISSING;
    if (token.n > BEARER_TOKEN_BYTES_MAX) return BEARER_MALFORMED;
    rest = token;
    for (size_t i = 0; i < ARRAY_LEN(part); i++)
        if (!take_part(&rest, i == 2, &part[i])) return BEARER_MALFORMED;
    if (!is_signature(part[2])) return BEARER_MALFORMED;

    const struct bearer_key *key = NULL;
    json_t *header = read_object(part[0]);
    enum bearer_result result =
        header == NULL ? BEARER_MALFORMED : choose_key(bearer, header, &key);
    json_decref(header);
    if (result != BEARER_GOOD) return result;
    if (!is_signed(token, key)) return BEARER_FORGED;

    json_t *claims = read_object(part[1]);
    result = claims == NULL ? BEARER_MALFORMED : check_claims(bearer, claims, user, now_ms);
    json_decref(claims);
    return result;
}
