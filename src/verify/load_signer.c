/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_signer.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base64url.h"
#include "lib/bearer_keys.h"

enum { SHA256_BYTES = 32, USER_ID_BYTES_MAX_SIGNED = 64 };

struct load_signer {
    EVP_MAC *mac;
    EVP_MAC_CTX *keyed; /* every signature begins as a copy of this */
    char header[BASE64URL_TEXT_BYTES(SIGNER_KEY_ID_BYTES_MAX + 64) + 1]; /* with its dot */
    size_t header_bytes;
    char claims[SIGNER_AUDIENCE_BYTES_MAX + 64]; /* {…,"sub":" */
    size_t claims_bytes;
};

static_assert(sizeof((struct load_signer *)0)->header +
                      BASE64URL_TEXT_BYTES(sizeof((struct load_signer *)0)->claims +
                                           USER_ID_BYTES_MAX_SIGNED + 2) +
                      1 + BASE64URL_TEXT_BYTES(SHA256_BYTES) <=
                  SIGNER_TOKEN_BYTES_MAX,
              "a token has room");

/* Prints `object` at `out` and releases it; its length, 0 when there is no room. */
static size_t print(json_t *object, char *out, size_t room) {
    size_t n = json_dumpb(object, out, room, JSON_COMPACT);
    json_decref(object);
    return n <= room ? n : 0;
}

static int make_header(struct load_signer *signer, const char *kid, struct err *err) {
    char text[SIGNER_KEY_ID_BYTES_MAX + 64];
    size_t n = print(json_pack("{s:s, s:s, s:s*}", "typ", "JWT", "alg", "HS256", "kid", kid), text,
                     sizeof text);
    if (n == 0) return err_set(err, -EINVAL, "--jwt-keys: the kid is too long");
    signer->header_bytes = base64url_encode(slice_of(text, n), signer->header);
    signer->header[signer->header_bytes++] = '.';
    return 0;
}

static int make_claims(struct load_signer *signer, const char *audience, int64_t expires_s,
                       struct err *err) {
    static const char subject[] = ",\"sub\":\"";
    bool has_audience = audience != NULL && audience[0] != '\0';
    size_t n = print(json_pack("{s:s*, s:I}", "aud", has_audience ? audience : NULL, "exp",
                               (json_int_t)expires_s),
                     signer->claims, sizeof signer->claims - sizeof subject);
    if (n == 0) return err_set(err, -EINVAL, "--jwt-audience is too long, or no UTF-8");
    memcpy(signer->claims + n - 1, subject, sizeof subject - 1); /* over the closing brace */
    signer->claims_bytes = n - 1 + sizeof subject - 1;
    return 0;
}

static int make_mac(struct load_signer *signer, const struct bearer_key *key, struct err *err) {
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                           OSSL_PARAM_construct_end()};
    signer->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    signer->keyed = EVP_MAC_CTX_new(signer->mac);
    if (signer->keyed != NULL && EVP_MAC_init(signer->keyed, key->bytes, (size_t)key->n, params))
        return 0;
    return err_set(err, -ENOMEM, "cannot prepare HMAC-SHA-256");
}

static const struct bearer_key *secret_of(const struct bearer_keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].alg == BEARER_HS256) return &keys->keys[i];
    return NULL;
}

static int make(struct load_signer *signer, const struct bearer_key *key, const char *audience,
                int64_t expires_s, struct err *err) {
    if (key == NULL)
        return err_set(err, -EINVAL, "--jwt-keys: to sign tokens, a secret (kty oct) is needed");
    int code = make_header(signer, key->kid, err);
    if (code == 0) code = make_claims(signer, audience, expires_s, err);
    if (code == 0) code = make_mac(signer, key, err);
    return code;
}

struct load_signer *load_signer_new(const char *key_file, const char *audience, int64_t expires_s,
                                    struct err *err) {
    struct bearer_keys keys;
    struct err why = {0};
    if (bearer_keys_load(&keys, key_file, &why) != 0) {
        err_set(err, -EINVAL, "--jwt-keys: %s", why.text);
        return NULL;
    }
    struct load_signer *signer = calloc(1, sizeof *signer);
    int code = signer == NULL ? err_set(err, -ENOMEM, "no memory")
                              : make(signer, secret_of(&keys), audience, expires_s, err);
    bearer_keys_deinit(&keys);
    if (code == 0) return signer;
    load_signer_free(signer);
    return NULL;
}

void load_signer_free(struct load_signer *signer) {
    if (signer == NULL) return;
    EVP_MAC_CTX_free(signer->keyed);
    EVP_MAC_free(signer->mac);
    free(signer);
}

size_t load_signer_write(const struct load_signer *signer, struct slice user_id, char *out) {
    char claims[sizeof signer->claims + USER_ID_BYTES_MAX_SIGNED + 2];
    unsigned char signature[SHA256_BYTES];
    size_t n = signer->claims_bytes, bytes = 0;
    ASSERT(user_id.n <= USER_ID_BYTES_MAX_SIGNED);
    memcpy(claims, signer->claims, n);
    memcpy(claims + n, user_id.p, user_id.n);
    n += user_id.n;
    memcpy(claims + n, "\"}", 2);
    memcpy(out, signer->header, signer->header_bytes);
    size_t at = signer->header_bytes;
    at += base64url_encode(slice_of(claims, n + 2), out + at);

    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(signer->keyed);
    bool is_signed = ctx != NULL && EVP_MAC_update(ctx, (const unsigned char *)out, at) &&
                     EVP_MAC_final(ctx, signature, &bytes, sizeof signature) &&
                     bytes == sizeof signature;
    ASSERT(is_signed);
    EVP_MAC_CTX_free(ctx);
    out[at++] = '.';
    return at + base64url_encode(slice_of(signature, sizeof signature), out + at);
}
