/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, the texts of their files, and tokens of any header and claims signed with them, for tests.
 */
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base.h"
#include "lib/base64url.h"
#include "lib/bearer_keys.h"
#include "lib/slice.h"

enum { FIXTURE_TOKEN_BYTES = 32 * 1024, FIXTURE_JWK_BYTES = 4096, FIXTURE_SIGNATURE_BYTES = 1024 };

/* 32 bytes, and as k of a JWK. */
#define FIXTURE_SECRET "0123456789abcdef0123456789ABCDEF"
#define FIXTURE_SECRET_K "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY"

/* What a token is signed with: key NULL means `secret`. */
struct fixture_signer {
    EVP_PKEY *key;
    struct slice secret;
};

static inline size_t fixture_part(char *out, struct slice bytes) {
    ASSERT(bytes.n < FIXTURE_TOKEN_BYTES / 2);
    return base64url_encode(bytes, out);
}

/* The signature of `text` at `out`; its length. */
static inline size_t fixture_sign(const struct fixture_signer *signer, struct slice text,
                                  unsigned char out[FIXTURE_SIGNATURE_BYTES]) {
    if (signer->key == NULL) {
        unsigned n = 0;
        ASSERT(HMAC(EVP_sha256(), signer->secret.p, (int)signer->secret.n,
                    (const unsigned char *)text.p, text.n, out, &n) != NULL);
        return n;
    }
    size_t n = FIXTURE_SIGNATURE_BYTES;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ASSERT(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, signer->key) == 1);
    ASSERT(EVP_DigestSign(ctx, out, &n, (const unsigned char *)text.p, text.n) == 1);
    EVP_MD_CTX_free(ctx);
    if (!EVP_PKEY_is_a(signer->key, "EC")) return n;
    const unsigned char *der = out; /* a token has the two numbers side by side */
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    ASSERT(sig != NULL);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32);
    ECDSA_SIG_free(sig);
    return 64;
}

/* "Bearer HEADER.CLAIMS.SIGNATURE" at `out`; its length. */
static inline size_t fixture_token(const struct fixture_signer *signer, struct slice header,
                                   struct slice claims, char out[FIXTURE_TOKEN_BYTES]) {
    unsigned char signature[FIXTURE_SIGNATURE_BYTES];
    static const char scheme[] = "Bearer ";
    memcpy(out, scheme, sizeof scheme - 1);
    char *token = out + sizeof scheme - 1;
    size_t n = fixture_part(token, header);
    token[n++] = '.';
    n += fixture_part(token + n, claims);
    size_t bytes = fixture_sign(signer, slice_of(token, n), signature);
    token[n++] = '.';
    n += fixture_part(token + n, slice_of(signature, bytes));
    return n + sizeof scheme - 1;
}

/* Number `name` of a key, in base64url and NUL-terminated at `out`. */
static inline void fixture_number(EVP_PKEY *key, const char *name, int bytes, char *out) {
    unsigned char binary[1024];
    BIGNUM *number = NULL;
    ASSERT(EVP_PKEY_get_bn_param(key, name, &number) == 1);
    if (bytes == 0) bytes = BN_num_bytes(number);
    ASSERT(bytes <= (int)sizeof binary && BN_bn2binpad(number, binary, bytes) == bytes);
    BN_free(number);
    out[base64url_encode(slice_of(binary, (size_t)bytes), out)] = '\0';
}

/* {"kty":…} with `more` (",\"kid\":…") before its end. */
static inline void fixture_jwk(EVP_PKEY *key, const char *more, char out[FIXTURE_JWK_BYTES]) {
    char a[1400], b[1400];
    bool is_rsa = EVP_PKEY_is_a(key, "RSA");
    fixture_number(key, is_rsa ? "n" : "qx", is_rsa ? 0 : 32, a);
    fixture_number(key, is_rsa ? "e" : "qy", is_rsa ? 0 : 32, b);
    snprintf(out, FIXTURE_JWK_BYTES,
             is_rsa ? "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}"
                    : "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}",
             a, b, more);
}

/* The public key in PEM, NUL-terminated; its length. */
static inline size_t fixture_pem(EVP_PKEY *key, char out[FIXTURE_JWK_BYTES]) {
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(PEM_write_bio_PUBKEY(bio, key) == 1);
    int n = BIO_read(bio, out, FIXTURE_JWK_BYTES - 1);
    ASSERT(n > 0);
    BIO_free(bio);
    out[n] = '\0';
    return (size_t)n;
}
