/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens that a load run signs are those that a server takes, for each user his own.
 */
#include "verify/load_signer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/bearer_fixture.h"
#include "lib/bearer.h"

enum { EXPIRES_S = 1800000000 };
#define EXPIRES_MS ((int64_t)EXPIRES_S * 1000)

static char path[] = "/tmp/signer-XXXXXX";

static void write_keys(const char *keys) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "{\"keys\":[%s]}", keys);
    fclose(file);
}

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

#define OCT(more) "{\"kty\":\"oct\",\"k\":\"" FIXTURE_SECRET_K "\"" more "}"

static enum bearer_result check(const struct load_signer *signer, const struct bearer *bearer,
                                const char *signed_for, const char *claimed_by, int64_t now_ms) {
    char text[SIGNER_TOKEN_BYTES_MAX + 7] = "Bearer ";
    size_t n = load_signer_write(signer, slice_str(signed_for), text + 7);
    assert_true(n <= SIGNER_TOKEN_BYTES_MAX);
    return bearer_check(bearer, slice_of(text, n + 7), slice_str(claimed_by), now_ms);
}

static void a_server_takes_the_tokens(void **state) {
    (void)state;
    static const struct {
        const char *keys, *audience;
    } rows[] = {
        {OCT(""), NULL},
        {OCT(""), ""},
        {OCT(",\"kid\":\"2026 \\\"x\\\"\""), "shop \"\\\xed\x95\x9c"},
        {OCT(",\"kid\":\"first\"") "," OCT(",\"kid\":\"second\""), "https://shop.example/"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err;
        struct bearer *bearer;
        write_keys(rows[i].keys);
        struct load_signer *signer = load_signer_new(path, rows[i].audience, EXPIRES_S, &err);
        assert_non_null(signer);
        assert_int_equal(bearer_new(&bearer, path, rows[i].audience, 0, &err), 0);
        assert_int_equal(check(signer, bearer, "ada", "ada", EXPIRES_MS - 1), BEARER_GOOD);
        assert_int_equal(check(signer, bearer, "ada", "ada", EXPIRES_MS), BEARER_EXPIRED);
        assert_int_equal(check(signer, bearer, "ada", "eve", EXPIRES_MS - 1), BEARER_ANOTHER);
        bearer_unref(bearer);
        load_signer_free(signer);
    }
}

static void what_cannot_be_signed_with_is_named(void **state) {
    (void)state;
    struct err err;
    static char long_audience[SIGNER_AUDIENCE_BYTES_MAX + 64];
    memset(long_audience, 'a', sizeof long_audience - 1);
    write_keys(OCT(""));
    assert_null(load_signer_new(path, long_audience, EXPIRES_S, &err));
    assert_non_null(strstr(err.text, "--jwt-audience"));
    assert_null(load_signer_new(path, "\xff", EXPIRES_S, &err));
    assert_non_null(strstr(err.text, "--jwt-audience"));
    assert_null(load_signer_new("/nonexistent", NULL, EXPIRES_S, &err));
    assert_non_null(strstr(err.text, "--jwt-keys: cannot open /nonexistent"));

    char jwk[FIXTURE_JWK_BYTES];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    fixture_jwk(key, "", jwk);
    EVP_PKEY_free(key);
    write_keys(jwk);
    assert_null(load_signer_new(path, NULL, EXPIRES_S, &err));
    assert_non_null(strstr(err.text, "a secret (kty oct) is needed"));
    load_signer_free(NULL);
}

static void the_longest_of_everything_fits(void **state) {
    (void)state;
    struct err err;
    struct bearer *bearer;
    char keys[512], kid[2 * BEARER_KID_BYTES_MAX + 1] = "", audience[200], user[65];
    for (size_t i = 0; i < BEARER_KID_BYTES_MAX; i++) strcat(kid, "\\\"");
    memset(audience, 'a', sizeof audience);
    audience[sizeof audience - 1] = '\0';
    memset(user, 'u', sizeof user);
    user[64] = '\0';
    snprintf(keys, sizeof keys, OCT(",\"kid\":\"%s\""), kid);
    write_keys(keys);
    struct load_signer *signer = load_signer_new(path, audience, EXPIRES_S, &err);
    assert_non_null(signer);
    assert_int_equal(bearer_new(&bearer, path, audience, 0, &err), 0);
    assert_int_equal(check(signer, bearer, user, user, 0), BEARER_GOOD);
    bearer_unref(bearer);
    load_signer_free(signer);
}

static void *sign_many(void *argument) {
    char text[SIGNER_TOKEN_BYTES_MAX], again[SIGNER_TOKEN_BYTES_MAX];
    size_t n = load_signer_write(argument, SLICE("ada"), text);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(load_signer_write(argument, SLICE("ada"), again), n);
        assert_memory_equal(text, again, n);
    }
    return NULL;
}

static void threads_sign_with_one_key(void **state) {
    (void)state;
    struct err err;
    pthread_t threads[4];
    write_keys(OCT(""));
    struct load_signer *signer = load_signer_new(path, NULL, EXPIRES_S, &err);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, signer), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) pthread_join(threads[i], NULL);
    load_signer_free(signer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_takes_the_tokens),
        cmocka_unit_test(what_cannot_be_signed_with_is_named),
        cmocka_unit_test(the_longest_of_everything_fits),
        cmocka_unit_test(threads_sign_with_one_key),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
