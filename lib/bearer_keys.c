/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/bearer_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base64url.h"
#include "lib/secret_file.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, P256_BYTES = 32 };

const char *bearer_alg_name(enum bearer_alg alg) {
    static const char *const names[BEARER_ALGS] = {"HS256", "RS256", "ES256"};
    ASSERT((size_t)alg < ARRAY_LEN(names));
    return names[alg];
}

/* ---- the set ---- */

static bool is_same_name(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Adds a key; the set owns `bytes` from now on, whatever comes of it. */
static int add(struct bearer_keys *keys, enum bearer_alg alg, const char *kid, unsigned char *bytes,
               size_t n, struct err *err) {
    struct bearer_key *key = &keys->keys[keys->count];
    for (size_t i = 0; i < keys->count; i++) {
        const struct bearer_key *other = &keys->keys[i];
        if (!is_same_name(kid, other->kid) || (kid == NULL && alg != other->alg)) continue;
        OPENSSL_clear_free(bytes, n);
        if (kid != NULL) return err_set(err, -EINVAL, "two keys have the kid \"%s\"", kid);
        return err_set(err, -EINVAL, "two keys for %s have no kid: name them",
                       bearer_alg_name(alg));
    }
    *key = (struct bearer_key){.alg = alg, .bytes = bytes, .n = (int)n};
    keys->count++; /* from here on bearer_keys_deinit frees it */
    if (kid != NULL && (key->kid = strdup(kid)) == NULL) return err_set(err, -ENOMEM, "no memory");
    return 0;
}

void bearer_keys_deinit(struct bearer_keys *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        OPENSSL_clear_free(keys->keys[i].bytes, (size_t)keys->keys[i].n);
        free(keys->keys[i].kid);
    }
    keys->count = 0;
}

const struct bearer_key *bearer_keys_find(const struct bearer_keys *keys, enum bearer_alg alg,
                                          const char *kid) {
    const struct bearer_key *found = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const struct bearer_key *key = &keys->keys[i];
        if (kid != NULL && is_same_name(key->kid, kid)) return key->alg == alg ? key : NULL;
        if (key->alg != alg || (kid != NULL && key->kid != NULL)) continue;
        if (kid == NULL && found != NULL) return NULL; /* it could be either */
        found = key;
    }
    return found;
}

/* ---- public keys ---- */

/* Which algorithm a public key is for; false, with why, when none. */
static bool alg_of(EVP_PKEY *key, enum bearer_alg *alg, struct err *err) {
    char group[32];
    size_t group_bytes;
    int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "RSA")) {
        *alg = BEARER_RS256;
        if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX) return true;
        err_set(err, -EINVAL, "an RSA key of %d bits: it must have %d to %d", bits, RSA_BITS_MIN,
                RSA_BITS_MAX);
        return false;
    }
    *alg = BEARER_ES256;
    if (EVP_PKEY_is_a(key, "EC") &&
        EVP_PKEY_get_group_name(key, group, sizeof group, &group_bytes) == 1 &&
        strcmp(group, "prime256v1") == 0)
        return true;
    err_set(err, -EINVAL, "a public key that is neither RSA nor of the curve P-256");
    return false;
}

static bool is_sound(EVP_PKEY *key) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool is_good = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return is_good;
}

/* As the library that checks signatures wants it: in PEM, with its length. */
static unsigned char *to_pem(EVP_PKEY *key, size_t *n) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    unsigned char *pem = NULL;
    if (bio != NULL && PEM_write_bio_PUBKEY(bio, key) == 1) {
        long bytes = BIO_get_mem_data(bio, &text);
        *n = (size_t)bytes;
        pem = OPENSSL_memdup(text, *n);
    }
    BIO_free(bio);
    return pem;
}

static int add_public(struct bearer_keys *keys, EVP_PKEY *key, const char *kid, struct err *err) {
    enum bearer_alg alg;
    size_t n = 0;
    if (!alg_of(key, &alg, err)) return -EINVAL;
    if (!is_sound(key)) return err_set(err, -EINVAL, "a public key that is malformed");
    unsigned char *pem = to_pem(key, &n);
    if (pem == NULL) return err_set(err, -ENOMEM, "no memory");
    return add(keys, alg, kid, pem, n, err);
}

/* ---- PEM ---- */

/* One block of a PEM file: `name` is what it is said to be. */
static int add_block(struct bearer_keys *keys, const char *name, const unsigned char *der, long n,
                     struct err *err) {
    if (strcmp(name, PEM_STRING_PUBLIC) != 0)
        return err_set(err, -EINVAL, "a PEM block %.40s: only PUBLIC KEY belongs here", name);
    if (keys->count == BEARER_KEYS_MAX)
        return err_set(err, -EINVAL, "more than %d keys", BEARER_KEYS_MAX);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, n);
    if (key == NULL) return err_set(err, -EINVAL, "a public key that is malformed");
    int code = add_public(keys, key, NULL, err);
    EVP_PKEY_free(key);
    return code;
}

static int parse_pem(struct bearer_keys *keys, struct slice text, struct err *err) {
    char *name, *header;
    unsigned char *der;
    long n;
    int code = 0;
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    if (bio == NULL) return err_set(err, -ENOMEM, "no memory");
    ERR_clear_error();
    while (code == 0 && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
        code = add_block(keys, name, der, n, err);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)n);
    }
    bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    if (code == 0 && !is_end) code = err_set(err, -EINVAL, "a PEM block that is malformed");
    return code;
}

/* ---- JWK set ---- */

static int refuse(struct err *err, size_t i, const char *what) {
    return err_set(err, -EINVAL, "keys[%zu]: %s", i, what);
}

/* The bytes of a member in base64url, at most `max` of them; NULL when it is none. */
static unsigned char *take_bytes(const json_t *jwk, const char *name, size_t max, size_t *n) {
    const json_t *member = json_object_get(jwk, name);
    if (!json_is_string(member)) return NULL;
    struct slice text = slice_of(json_string_value(member), json_string_length(member));
    unsigned char *bytes =
        text.n <= BASE64URL_TEXT_BYTES(max) ? OPENSSL_malloc(BASE64URL_BYTES(text.n)) : NULL;
    ptrdiff_t decoded = bytes == NULL ? -1 : base64url_decode(text, bytes);
    if (decoded <= 0) {
        OPENSSL_free(bytes);
        return NULL;
    }
    *n = (size_t)decoded;
    return bytes;
}

static BIGNUM *take_number(const json_t *jwk, const char *name) {
    size_t n = 0;
    unsigned char *bytes = take_bytes(jwk, name, RSA_BITS_MAX / 8 + 1, &n);
    BIGNUM *number = bytes == NULL ? NULL : BN_bin2bn(bytes, (int)n, NULL);
    OPENSSL_free(bytes);
    return number;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *build) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_of(const json_t *jwk) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = take_number(jwk, "n"), *e = take_number(jwk, "e");
    if (build != NULL && n != NULL && e != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = make_key("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key;
}

/* Coordinate `name` of a point, of exactly as many bytes as the curve has. */
static bool take_coordinate(const json_t *jwk, const char *name, unsigned char out[P256_BYTES]) {
    size_t n = 0;
    unsigned char *bytes = take_bytes(jwk, name, P256_BYTES, &n);
    bool is_good = bytes != NULL && n == P256_BYTES;
    if (is_good) memcpy(out, bytes, P256_BYTES);
    OPENSSL_free(bytes);
    return is_good;
}

static EVP_PKEY *ec_of(const json_t *jwk) {
    EVP_PKEY *key = NULL;
    unsigned char point[1 + 2 * P256_BYTES] = {4}; /* not compressed */
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    if (curve == NULL || strcmp(curve, "P-256") != 0 || !take_coordinate(jwk, "x", point + 1) ||
        !take_coordinate(jwk, "y", point + 1 + P256_BYTES))
        return NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        key = make_key("EC", build);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static int add_secret(struct bearer_keys *keys, const json_t *jwk, const char *kid, size_t i,
                      struct err *err) {
    enum { SECRET_BYTES_MAX = 1024 };
    size_t n = 0;
    unsigned char *secret = take_bytes(jwk, "k", SECRET_BYTES_MAX, &n);
    if (secret == NULL) return refuse(err, i, "k must be a secret in base64url, without padding");
    if (n >= BEARER_SECRET_BYTES_MIN) return add(keys, BEARER_HS256, kid, secret, n, err);
    OPENSSL_clear_free(secret, n);
    return err_set(err, -EINVAL, "keys[%zu]: the secret has %zu bytes, HS256 needs at least %d", i,
                   n, BEARER_SECRET_BYTES_MIN);
}

static int add_jwk_public(struct bearer_keys *keys, const json_t *jwk, enum bearer_alg alg,
                          const char *kid, size_t i, struct err *err) {
    struct err why = {0};
    if (json_object_get(jwk, "d") != NULL)
        return refuse(err, i, "a private key (it has d): only public keys belong here");
    EVP_PKEY *key = alg == BEARER_RS256 ? rsa_of(jwk) : ec_of(jwk);
    if (key == NULL)
        return refuse(err, i,
                      alg == BEARER_RS256
                          ? "n and e must be those of an RSA key, in base64url"
                          : "crv must be P-256, x and y a point of it in base64url");
    int code = add_public(keys, key, kid, &why);
    EVP_PKEY_free(key);
    return code == 0 ? 0 : err_set(err, code, "keys[%zu]: %s", i, why.text);
}

/* The only algorithm that a key of type `kty` is for. */
static bool alg_of_type(const char *kty, enum bearer_alg *alg) {
    static const char *const types[BEARER_ALGS] = {"oct", "RSA", "EC"};
    for (size_t i = 0; kty != NULL && i < ARRAY_LEN(types); i++) {
        *alg = (enum bearer_alg)i;
        if (strcmp(kty, types[i]) == 0) return true;
    }
    return false;
}

static bool is_kid(const json_t *kid) {
    if (!json_is_string(kid)) return false;
    size_t n = json_string_length(kid);
    for (size_t i = 0; i < n; i++)
        if (json_string_value(kid)[i] < 0x20) return false;
    return n > 0 && n <= BEARER_KID_BYTES_MAX;
}

static int add_jwk(struct bearer_keys *keys, const json_t *jwk, size_t i, struct err *err) {
    enum bearer_alg alg;
    const json_t *kid = json_object_get(jwk, "kid"), *named = json_object_get(jwk, "alg");
    const char *use = json_string_value(json_object_get(jwk, "use"));
    if (!json_is_object(jwk)) return refuse(err, i, "must be an object");
    if (use != NULL && strcmp(use, "enc") == 0) return 0; /* for encryption: none of ours */
    if (!alg_of_type(json_string_value(json_object_get(jwk, "kty")), &alg))
        return refuse(err, i, "kty must be oct (HS256), RSA (RS256) or EC (ES256)");
    if (named != NULL &&
        (!json_is_string(named) || strcmp(json_string_value(named), bearer_alg_name(alg)) != 0))
        return err_set(err, -EINVAL, "keys[%zu]: alg of this kty must be %s", i,
                       bearer_alg_name(alg));
    if (kid != NULL && !is_kid(kid)) return refuse(err, i, "kid must be 1 to 128 characters");
    const char *name = json_string_value(kid);
    if (alg == BEARER_HS256) return add_secret(keys, jwk, name, i, err);
    return add_jwk_public(keys, jwk, alg, name, i, err);
}

static int parse_set(struct bearer_keys *keys, struct slice text, struct err *err) {
    json_error_t error;
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    /* Only the place: the text of the error quotes the file, which holds secrets. */
    if (root == NULL)
        return err_set(err, -EINVAL, "not good JSON, or a key twice (line %d, column %d)",
                       error.line, error.column);
    int code = 0;
    const json_t *list = json_object_get(root, "keys");
    if (!json_is_array(list))
        code = err_set(err, -EINVAL, "a JWK set must be an object with an array named keys");
    else if (json_array_size(list) > BEARER_KEYS_MAX)
        code = err_set(err, -EINVAL, "more than %d keys", BEARER_KEYS_MAX);
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++)
        code = add_jwk(keys, json_array_get(list, i), i, err);
    json_decref(root);
    return code;
}

/* ---- text and file ---- */

int bearer_keys_parse(struct bearer_keys *keys, struct slice text, struct err *err) {
    size_t at = 0;
    while (at < text.n && strchr(" \t\r\n", text.p[at]) != NULL && text.p[at] != '\0') at++;
    bool is_json = at < text.n && text.p[at] == '{';
    keys->count = 0;
    int code = is_json ? parse_set(keys, text, err) : parse_pem(keys, text, err);
    ERR_clear_error(); /* nobody else's business */
    if (code == 0 && keys->count == 0)
        code = err_set(err, -EINVAL, "no key: it must be a JWK set, or public keys in PEM");
    if (code != 0) bearer_keys_deinit(keys);
    return code;
}

static bool has_secret(const struct bearer_keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].alg == BEARER_HS256) return true;
    return false;
}

/* Reads all of `fd` into `text`; how many bytes, or a negative errno. */
static ssize_t read_all(int fd, char *text, size_t room) {
    size_t n = 0;
    while (n < room) {
        ssize_t got = read(fd, text + n, room - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static int load_text(struct bearer_keys *keys, int fd, const char *path, char *text,
                     struct err *err) {
    struct err why = {0};
    int code = secret_file_check(fd, path, S_IWGRP | S_IWOTH, err);
    if (code != 0) return code;
    ssize_t n = read_all(fd, text, BEARER_KEY_FILE_BYTES_MAX);
    if (n < 0) return err_set(err, (int)n, "cannot read %s: %s", path, strerror((int)-n));
    if (n == BEARER_KEY_FILE_BYTES_MAX) return err_set(err, -EFBIG, "%s is too large", path);
    code = bearer_keys_parse(keys, slice_of(text, (size_t)n), &why);
    if (code != 0) return err_set(err, code, "%s: %s", path, why.text);
    if (has_secret(keys)) code = secret_file_check(fd, path, S_IRWXG | S_IRWXO, err);
    if (code != 0) bearer_keys_deinit(keys);
    return code;
}

int bearer_keys_load(struct bearer_keys *keys, const char *path, struct err *err) {
    keys->count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
    char *text = malloc(BEARER_KEY_FILE_BYTES_MAX);
    int code =
        text == NULL ? err_set(err, -ENOMEM, "no memory") : load_text(keys, fd, path, text, err);
    if (text != NULL) OPENSSL_cleanse(text, BEARER_KEY_FILE_BYTES_MAX);
    free(text);
    close(fd);
    return code;
}
