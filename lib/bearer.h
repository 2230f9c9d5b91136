/* SPDX-License-Identifier: Apache-2.0
 *
 * Is this bearer token (JWT, RFC 7519) good, and is it this user's? The signature is libjwt's to
 * check; everything around it is read strictly here first: three parts of base64url, JSON without a
 * repeated key, an algorithm that is the one of the key and nothing else ("none" is no algorithm).
 *
 * A token must have `exp`; `nbf` is obeyed when it is there. `aud` must hold the audience, and must
 * not be there when none is set. A critical extension (`crit`) is never understood.
 *
 * Pure: no I/O, no clock. Nothing here writes a token, or a part of one, anywhere.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/bearer_keys.h"
#include "lib/err.h"
#include "lib/slice.h"

enum { BEARER_TOKEN_BYTES_MAX = 8192 };

enum bearer_result {
    BEARER_GOOD,
    BEARER_MISSING,   /* no Authorization, or not of the scheme Bearer */
    BEARER_MALFORMED, /* no signed JWT that can be read: parts, base64url, JSON, types, too long */
    BEARER_UNSUPPORTED, /* alg is not HS256, RS256 or ES256, typ is not JWT, or there is a crit */
    BEARER_UNKNOWN_KEY, /* no key of that kid and alg */
    BEARER_FORGED,      /* the signature is wrong */
    BEARER_EXPIRED,
    BEARER_TOO_EARLY, /* nbf is to come */
    BEARER_ENDLESS,   /* no exp */
    BEARER_AUDIENCE,  /* aud is another's, or missing */
    BEARER_NOBODY,    /* no sub */
    BEARER_ANOTHER,   /* good, and of another user */
    BEARER_RESULTS,
};

/* Keys and what else tokens are held against. Never changes once made, so threads read it without a
 * lock; it lives until the last of them lets go. */
struct bearer;

/* Reads the keys of the file at `key_file`. The caller holds the one reference. Errors as those of
 * bearer_keys_load. `audience` NULL or empty: none is set. */
int bearer_new(struct bearer **bearer, const char *key_file, const char *audience,
               int64_t leeway_ms, struct err *err) MUST_CHECK;
/* The same with keys at hand, which it owns from now on. NULL without memory. */
struct bearer *bearer_of_keys(struct bearer_keys *keys, const char *audience, int64_t leeway_ms);
struct bearer *bearer_ref(struct bearer *bearer);
void bearer_unref(struct bearer *bearer); /* NULL is nothing */
size_t bearer_keys_count(const struct bearer *bearer);

/* What the value of an Authorization field (p NULL: none) says of `user` at `now_ms`. Never reads
 * claims before the signature is checked. */
enum bearer_result bearer_check(const struct bearer *bearer, struct slice authorization,
                                struct slice user, int64_t now_ms);
