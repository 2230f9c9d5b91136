/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files: what is taken, which key a token means, and what is refused with which words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/bearer_fixture.h"
#include "lib/bearer_keys.h"

static EVP_PKEY *rsa, *ec;

static int make_keys(void **state) {
    (void)state;
    rsa = EVP_RSA_gen(2048);
    ec = EVP_EC_gen("P-256");
    return rsa == NULL || ec == NULL;
}

static int free_keys(void **state) {
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    return 0;
}

static int parse(struct bearer_keys *keys, const char *text, struct err *err) {
    *err = (struct err){0};
    return bearer_keys_parse(keys, slice_str(text), err);
}

static void assert_refused(const char *text, const char *why) {
    struct bearer_keys keys;
    struct err err;
    assert_int_equal(parse(&keys, text, &err), -EINVAL);
    if (strstr(err.text, why) == NULL) fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    assert_int_equal(keys.count, 0);
}

#define OCT(more) "{\"kty\":\"oct\",\"k\":\"" FIXTURE_SECRET_K "\"" more "}"
#define SET(keys) "{\"keys\":[" keys "]}"

static void test_a_set_of_all_kinds(void **state) {
    (void)state;
    static char text[4 * FIXTURE_JWK_BYTES], r[FIXTURE_JWK_BYTES], e[FIXTURE_JWK_BYTES];
    fixture_jwk(rsa, ",\"kid\":\"r\",\"alg\":\"RS256\",\"use\":\"sig\",\"x5t\":\"ignored\"", r);
    fixture_jwk(ec, ",\"kid\":\"e\"", e);
    snprintf(text, sizeof text,
             " \n{\"keys\":[%s,%s,%s,{\"kty\":\"RSA\",\"use\":\"enc\",\"alg\":\"RSA-OAEP\"}],"
             "\"more\":1}",
             r, e, OCT(",\"kid\":\"h\",\"alg\":\"HS256\""));
    struct bearer_keys keys;
    struct err err;
    assert_int_equal(parse(&keys, text, &err), 0);
    assert_int_equal(keys.count, 3);
    const struct bearer_key *key = bearer_keys_find(&keys, BEARER_HS256, "h");
    assert_non_null(key);
    assert_int_equal(key->n, 32);
    assert_memory_equal(key->bytes, FIXTURE_SECRET, 32);
    char pem[FIXTURE_JWK_BYTES];
    key = bearer_keys_find(&keys, BEARER_RS256, "r");
    assert_int_equal(key->n, fixture_pem(rsa, pem));
    assert_memory_equal(key->bytes, pem, (size_t)key->n);
    key = bearer_keys_find(&keys, BEARER_ES256, "e");
    assert_int_equal(key->n, fixture_pem(ec, pem));
    assert_memory_equal(key->bytes, pem, (size_t)key->n);
    bearer_keys_deinit(&keys);
}

static void test_a_name_is_bound_to_one_algorithm(void **state) {
    (void)state;
    static char text[3 * FIXTURE_JWK_BYTES], r[FIXTURE_JWK_BYTES];
    fixture_jwk(rsa, ",\"kid\":\"r\"", r);
    snprintf(text, sizeof text, "{\"keys\":[%s,%s]}", r, OCT(""));
    struct bearer_keys keys;
    struct err err;
    assert_int_equal(parse(&keys, text, &err), 0);
    assert_null(bearer_keys_find(&keys, BEARER_HS256, "r"));
    assert_null(bearer_keys_find(&keys, BEARER_ES256, "r"));
    assert_null(bearer_keys_find(&keys, BEARER_RS256, "other"));
    assert_ptr_equal(bearer_keys_find(&keys, BEARER_RS256, NULL), &keys.keys[0]);
    /* The one without name stands for every name that is none's. */
    assert_ptr_equal(bearer_keys_find(&keys, BEARER_HS256, "other"), &keys.keys[1]);
    assert_ptr_equal(bearer_keys_find(&keys, BEARER_HS256, NULL), &keys.keys[1]);
    bearer_keys_deinit(&keys);

    assert_int_equal(parse(&keys, SET(OCT(",\"kid\":\"a\"") "," OCT(",\"kid\":\"b\"")), &err), 0);
    assert_ptr_equal(bearer_keys_find(&keys, BEARER_HS256, "b"), &keys.keys[1]);
    assert_null(bearer_keys_find(&keys, BEARER_HS256, NULL)); /* it could be either */
    assert_null(bearer_keys_find(&keys, BEARER_HS256, "c"));
    bearer_keys_deinit(&keys);
}

static void test_pem(void **state) {
    (void)state;
    static char text[2 * FIXTURE_JWK_BYTES];
    size_t n = fixture_pem(rsa, text);
    fixture_pem(ec, text + n);
    struct bearer_keys keys;
    struct err err;
    assert_int_equal(parse(&keys, text, &err), 0);
    assert_int_equal(keys.count, 2);
    assert_ptr_equal(bearer_keys_find(&keys, BEARER_RS256, "any"), &keys.keys[0]);
    assert_ptr_equal(bearer_keys_find(&keys, BEARER_ES256, NULL), &keys.keys[1]);
    assert_null(bearer_keys_find(&keys, BEARER_HS256, NULL));
    bearer_keys_deinit(&keys);
    memmove(text + n, text, n + 1);
    text[2 * n] = '\0';
    assert_refused(text, "two keys for RS256 have no kid");
    text[n] = '\0';
    text[n / 2] = '!';
    assert_refused(text, "a PEM block that is malformed");
}

static void test_private_keys_in_pem(void **state) {
    (void)state;
    char text[FIXTURE_JWK_BYTES];
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, ec, NULL, NULL, 0, NULL, NULL), 1);
    int n = BIO_read(bio, text, sizeof text - 1);
    BIO_free(bio);
    text[n] = '\0';
    assert_refused(text, "a PEM block PRIVATE KEY: only PUBLIC KEY belongs here");
}

static void test_other_public_keys(void **state) {
    (void)state;
    char text[FIXTURE_JWK_BYTES];
    EVP_PKEY *others[] = {EVP_RSA_gen(1024), EVP_EC_gen("P-384"), EVP_EC_gen("secp256k1"),
                          EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    static const char *const why[] = {"an RSA key of 1024 bits", "neither RSA nor of the curve",
                                      "neither RSA nor of the curve",
                                      "neither RSA nor of the curve"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        fixture_pem(others[i], text);
        assert_refused(text, why[i]);
        EVP_PKEY_free(others[i]);
    }
}

static void test_what_is_no_set(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "no key"},
        {"secret", "no key"},
        {"{", "not good JSON"},
        {"{\"keys\":[],\"keys\":[]}", "a key twice"},
        {"{}", "an array named keys"},
        {"{\"keys\":{}}", "an array named keys"},
        {OCT(""), "an array named keys"},
        {SET(""), "no key"},
        {SET("1"), "keys[0]: must be an object"},
        {SET("{}"), "keys[0]: kty must be"},
        {SET("{\"kty\":7}"), "kty must be"},
        {SET("{\"kty\":\"OKP\"}"), "kty must be"},
        {SET(OCT("") ",{\"kty\":\"oct\"}"), "keys[1]: k must be a secret"},
        {SET("{\"kty\":\"oct\",\"k\":7}"), "k must be a secret"},
        {SET("{\"kty\":\"oct\",\"k\":\"" FIXTURE_SECRET_K "=\"}"), "k must be a secret"},
        {SET("{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}"),
         "the secret has 5 bytes, HS256 needs at least 32"},
        {SET("{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERQ\"}"), "31 bytes"},
        {SET(OCT(",\"alg\":\"RS256\"")), "alg of this kty must be HS256"},
        {SET(OCT(",\"alg\":\"none\"")), "alg of this kty must be HS256"},
        {SET(OCT(",\"alg\":\"HS512\"")), "alg of this kty must be HS256"},
        {SET(OCT(",\"alg\":null")), "alg of this kty must be HS256"},
        {SET(OCT(",\"kid\":\"\"")), "kid must be"},
        {SET(OCT(",\"kid\":7")), "kid must be"},
        {SET(OCT(",\"kid\":\"a\\n\"")), "kid must be"},
        {SET(OCT(",\"kid\":\"a\"") "," OCT(",\"kid\":\"a\"")), "two keys have the kid \"a\""},
        {SET(OCT("") "," OCT("")), "two keys for HS256 have no kid"},
        {SET("{\"kty\":\"RSA\",\"n\":\"AQ\"}"), "n and e must be"},
        {SET("{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}"), "an RSA key of 1 bits"},
        {SET("{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\",\"d\":\"AQ\"}"), "a private key"},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AQ\",\"y\":\"AQ\"}"), "crv must be P-256"},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"}"), "crv must be P-256"},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" FIXTURE_SECRET_K
             "\",\"y\":\"" FIXTURE_SECRET_K "\"}"),
         "a point of it"}, /* which is not on the curve */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) assert_refused(rows[i].text, rows[i].why);
}

/* The sentence goes to a log: no byte of a secret may be in it. */
static void test_no_secret_is_quoted(void **state) {
    (void)state;
    struct bearer_keys keys;
    struct err err;
    static const char *const texts[] = {
        "{\"keys\":[{\"kty\":\"oct\",\"k\":" FIXTURE_SECRET_K "}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"" FIXTURE_SECRET_K "\":1,\"" FIXTURE_SECRET_K "\":2}]}",
        SET(OCT(",\"alg\":\"" FIXTURE_SECRET_K "\"")),
        FIXTURE_SECRET_K,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(parse(&keys, texts[i], &err), -EINVAL);
        assert_null(strstr(err.text, "MDEy"));
    }
}

static void test_too_many(void **state) {
    (void)state;
    static char text[80 * 256] = "{\"keys\":[";
    for (int i = 0; i < BEARER_KEYS_MAX + 1; i++)
        snprintf(text + strlen(text), 256, "%s" OCT(",\"kid\":\"%d\""), i == 0 ? "" : ",", i);
    strcat(text, "]}");
    assert_refused(text, "more than 64 keys");
}

static int load_with_mode(const char *text, mode_t mode, struct err *err) {
    char path[] = "/tmp/bearer-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    struct bearer_keys keys;
    *err = (struct err){0};
    int code = bearer_keys_load(&keys, path, err);
    if (code != 0) assert_non_null(strstr(err->text, path));
    if (code == 0) assert_int_equal(keys.count, 1);
    bearer_keys_deinit(&keys);
    unlink(path);
    return code;
}

static void test_who_may_read_and_write_the_file(void **state) {
    (void)state;
    struct err err;
    char pem[FIXTURE_JWK_BYTES];
    fixture_pem(ec, pem);
    assert_int_equal(load_with_mode(SET(OCT("")), 0600, &err), 0);
    assert_int_equal(load_with_mode(SET(OCT("")), 0400, &err), 0);
    assert_int_equal(load_with_mode(SET(OCT("")), 0640, &err), -EACCES);
    assert_non_null(strstr(err.text, "run chmod 600"));
    assert_int_equal(load_with_mode(SET(OCT("")), 0604, &err), -EACCES);
    assert_int_equal(load_with_mode(pem, 0644, &err), 0);
    assert_int_equal(load_with_mode(pem, 0664, &err), -EACCES);
    assert_int_equal(load_with_mode(pem, 0646, &err), -EACCES);
    assert_int_equal(load_with_mode("{", 0600, &err), -EINVAL);
    struct bearer_keys keys;
    assert_int_equal(bearer_keys_load(&keys, "/nonexistent/keys", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/keys: No such file"));
    assert_int_equal(bearer_keys_load(&keys, "/tmp", &err), -EBADMSG);
}

static void test_a_file_that_is_too_large(void **state) {
    (void)state;
    struct err err;
    char *text = calloc(1, BEARER_KEY_FILE_BYTES_MAX + 1);
    memset(text, ' ', BEARER_KEY_FILE_BYTES_MAX);
    memcpy(text, SET(OCT("")), strlen(SET(OCT(""))));
    assert_int_equal(load_with_mode(text, 0600, &err), -EFBIG);
    text[BEARER_KEY_FILE_BYTES_MAX - 1] = '\0';
    assert_int_equal(load_with_mode(text, 0600, &err), 0);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_of_all_kinds),
        cmocka_unit_test(test_a_name_is_bound_to_one_algorithm),
        cmocka_unit_test(test_pem),
        cmocka_unit_test(test_private_keys_in_pem),
        cmocka_unit_test(test_other_public_keys),
        cmocka_unit_test(test_what_is_no_set),
        cmocka_unit_test(test_no_secret_is_quoted),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_who_may_read_and_write_the_file),
        cmocka_unit_test(test_a_file_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
