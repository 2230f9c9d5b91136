/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that bearer tokens (JWT, RFC 7519) are checked with, from a file that is
 *
 *   - a JWK set (RFC 7517): {"keys":[{"kty":"RSA","kid":"2026","n":…,"e":…}, …]}, or
 *   - one or more public keys in PEM: -----BEGIN PUBLIC KEY----- …
 *
 * Each key is bound to one algorithm, by what it is: a secret (kty oct, at least 32 bytes) to
 * HS256, an RSA key (at least 2,048 bits) to RS256, a key of the curve P-256 to ES256. So no token
 * can have a public key taken for a secret. Private keys are refused: they do not belong here.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"

enum bearer_alg { BEARER_HS256, BEARER_RS256, BEARER_ES256, BEARER_ALGS };

/* "HS256", … */
const char *bearer_alg_name(enum bearer_alg alg);

enum {
    BEARER_KEYS_MAX = 64,
    BEARER_KEY_FILE_BYTES_MAX = 128 * 1024,
    BEARER_KID_BYTES_MAX = 128,
    BEARER_SECRET_BYTES_MIN = 32,
};

struct bearer_key {
    enum bearer_alg alg;
    char *kid;            /* its name; NULL for none */
    unsigned char *bytes; /* the secret, or the public key in PEM */
    int n;
};

struct bearer_keys {
    size_t count;
    struct bearer_key keys[BEARER_KEYS_MAX];
};

/* Reads the file at `path`. 0, or a negative errno with a sentence that names the file and what is
 * wrong, and then `keys` holds nothing. Refused besides what is no key: two keys that one token
 * could mean (the same kid, two without kid for one algorithm); a file that others may write, and
 * one with a secret that others may read. */
int bearer_keys_load(struct bearer_keys *keys, const char *path, struct err *err) MUST_CHECK;

/* The same from text; the sentence begins with what is wrong. */
int bearer_keys_parse(struct bearer_keys *keys, struct slice text, struct err *err) MUST_CHECK;

/* Wipes and frees. */
void bearer_keys_deinit(struct bearer_keys *keys);

/* The key that a token of `alg` is checked with: the one named `kid`, which must be for `alg`; for
 * a kid that no key has, the key without name; for a token without kid (NULL), the only key of
 * `alg`. NULL when there is none. */
const struct bearer_key *bearer_keys_find(const struct bearer_keys *keys, enum bearer_alg alg,
                                          const char *kid);
