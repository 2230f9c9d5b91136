/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of bad tokens. Each row differs from a good one in one thing, and is signed anew where
 * it is that thing that is to be found out.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/bearer_fixture.h"
#include "lib/bearer.h"

enum { NOW_S = 1800000000 };
#define NOW_MS ((int64_t)NOW_S * 1000)

static EVP_PKEY *rsa, *other_rsa, *ec, *other_ec;
static struct fixture_signer hs = {.secret = {FIXTURE_SECRET, 32}};
static struct bearer *plain, *for_shop; /* without and with an audience; no leeway */

static struct bearer *make_bearer(const char *audience, int64_t leeway_ms) {
    static char text[4 * FIXTURE_JWK_BYTES], r[FIXTURE_JWK_BYTES], e[FIXTURE_JWK_BYTES];
    fixture_jwk(rsa, ",\"kid\":\"r\"", r);
    fixture_jwk(ec, ",\"kid\":\"e\"", e);
    snprintf(text, sizeof text,
             "{\"keys\":[%s,%s,{\"kty\":\"oct\",\"kid\":\"h\",\"k\":\"" FIXTURE_SECRET_K "\"}]}", r,
             e);
    struct bearer_keys keys;
    struct err err;
    assert_int_equal(bearer_keys_parse(&keys, slice_str(text), &err), 0);
    return bearer_of_keys(&keys, audience, leeway_ms);
}

static int set_up(void **state) {
    (void)state;
    rsa = EVP_RSA_gen(2048);
    other_rsa = EVP_RSA_gen(2048);
    ec = EVP_EC_gen("P-256");
    other_ec = EVP_EC_gen("P-256");
    plain = make_bearer(NULL, 0);
    for_shop = make_bearer("shop", 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bearer_unref(plain);
    bearer_unref(for_shop);
    bearer_unref(NULL);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(other_ec);
    return 0;
}

/* The claims of a good token. */
#define GOOD "{\"sub\":\"ada\",\"exp\":1800000060}"
#define HS "{\"alg\":\"HS256\",\"kid\":\"h\"}"
#define RS "{\"alg\":\"RS256\",\"kid\":\"r\"}"
#define ES "{\"alg\":\"ES256\",\"kid\":\"e\"}"

static enum bearer_result check_at(const struct bearer *bearer, const struct fixture_signer *signer,
                                   const char *header, const char *claims, int64_t now_ms) {
    static char token[FIXTURE_TOKEN_BYTES];
    size_t n = fixture_token(signer, slice_str(header), slice_str(claims), token);
    char *copy = malloc(n); /* of exactly this size, so that a read past it is seen */
    memcpy(copy, token, n);
    enum bearer_result result = bearer_check(bearer, slice_of(copy, n), SLICE("ada"), now_ms);
    free(copy);
    return result;
}

static enum bearer_result check(const struct fixture_signer *signer, const char *header,
                                const char *claims) {
    return check_at(plain, signer, header, claims, NOW_MS);
}

static enum bearer_result check_text(const char *authorization) {
    return bearer_check(plain, slice_str(authorization), SLICE("ada"), NOW_MS);
}

static void test_good_ones(void **state) {
    (void)state;
    const struct fixture_signer rs = {.key = rsa}, es = {.key = ec};
    assert_int_equal(check(&hs, HS, GOOD), BEARER_GOOD);
    assert_int_equal(check(&rs, RS, GOOD), BEARER_GOOD);
    for (int i = 0; i < 20; i++) /* each signature is another, some with leading zeros */
        assert_int_equal(check(&es, ES, GOOD), BEARER_GOOD);
    assert_int_equal(check(&hs, "{\"alg\":\"HS256\"}", GOOD), BEARER_GOOD);
    assert_int_equal(check(&hs, "{\"typ\":\"JWT\",\"alg\":\"HS256\",\"x\":[1,{}]}", GOOD),
                     BEARER_GOOD);
    assert_int_equal(check(&hs, "{\"typ\":\"jwt\",\"alg\":\"HS256\"}", GOOD), BEARER_GOOD);
    assert_int_equal(check(&hs, HS,
                           "{\"exp\":1.80000006e9,\"nbf\":1799999999.5,\"sub\":\"\\u0061da\","
                           "\"iat\":1900000000,\"deep\":{\"sub\":\"eve\"}}"),
                     BEARER_GOOD);
}

static void test_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        enum bearer_result result;
    } rows[] = {
        {"{\"alg\":\"none\"}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"None\"}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"\"}", BEARER_UNSUPPORTED},
        {"{}", BEARER_UNSUPPORTED},
        {"{\"alg\":null}", BEARER_UNSUPPORTED},
        {"{\"alg\":1}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"hs256\"}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"HS384\"}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"RS512\",\"kid\":\"r\"}", BEARER_UNSUPPORTED},
        {"{\"alg\":[\"HS256\"]}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"HS256\",\"typ\":\"JWE\"}", BEARER_UNSUPPORTED},
        {"{\"alg\":\"HS256\",\"typ\":1}", BEARER_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":7}", BEARER_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":\"x\"}", BEARER_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", BEARER_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"r\"}", BEARER_UNKNOWN_KEY},
        {"{\"alg\":\"RS256\",\"kid\":\"h\"}", BEARER_UNKNOWN_KEY},
        {"{\"alg\":\"ES256\",\"kid\":\"r\"}", BEARER_UNKNOWN_KEY},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", BEARER_MALFORMED},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", BEARER_MALFORMED},
        {"{\"alg\":\"HS256\",\"x\":{\"y\":1,\"y\":1}}", BEARER_MALFORMED},
        {"{\"alg\":\"HS256\"}x", BEARER_MALFORMED},
        {"{\"alg\":\"HS256\"", BEARER_MALFORMED},
        {"[\"HS256\"]", BEARER_MALFORMED},
        {"\"HS256\"", BEARER_MALFORMED},
        {"{\"alg\":\"HS256\",\"x\":\"\xff\"}", BEARER_MALFORMED},
        {"", BEARER_MALFORMED},
        {"{\"alg\":\"RS256\"}", BEARER_FORGED},
        {"{\"alg\":\"ES256\"}", BEARER_FORGED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (check(&hs, rows[i].header, GOOD) != rows[i].result)
            fail_msg("%s: %d", rows[i].header, (int)check(&hs, rows[i].header, GOOD));
}

/* The public key as it is published, taken for a secret: in all the texts that one may guess. */
static void test_a_public_key_is_no_secret(void **state) {
    (void)state;
    char pem[FIXTURE_JWK_BYTES];
    EVP_PKEY *keys[] = {rsa, ec};
    static const char *const headers[] = {"{\"alg\":\"HS256\",\"kid\":\"r\"}",
                                          "{\"alg\":\"HS256\",\"kid\":\"e\"}",
                                          "{\"alg\":\"HS256\",\"kid\":\"h\"}",
                                          "{\"alg\":\"HS256\"}",
                                          RS,
                                          ES};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        for (size_t j = 0; j < ARRAY_LEN(headers); j++)
            for (size_t cut = 0; cut <= 1; cut++) {
                size_t n = fixture_pem(keys[i], pem);
                const struct fixture_signer signer = {.secret = slice_of(pem, n - cut)};
                assert_int_not_equal(check(&signer, headers[j], GOOD), BEARER_GOOD);
            }
}

static void test_another_key(void **state) {
    (void)state;
    const struct fixture_signer secret = {.secret = SLICE("0123456789abcdef0123456789ABCDEG")};
    const struct fixture_signer nothing = {.secret = {"", 0}};
    const struct fixture_signer rs = {.key = other_rsa}, es = {.key = other_ec};
    assert_int_equal(check(&secret, HS, GOOD), BEARER_FORGED);
    assert_int_equal(check(&nothing, HS, GOOD), BEARER_FORGED);
    assert_int_equal(check(&rs, RS, GOOD), BEARER_FORGED);
    assert_int_equal(check(&es, ES, GOOD), BEARER_FORGED);
    const struct fixture_signer crossed[] = {{.key = rsa}, {.key = ec}};
    assert_int_equal(check(&crossed[0], ES, GOOD), BEARER_FORGED);
    assert_int_equal(check(&crossed[1], RS, GOOD), BEARER_FORGED);
    assert_int_equal(check(&crossed[0], HS, GOOD), BEARER_FORGED);
}

static void test_claims(void **state) {
    (void)state;
    static const struct {
        const char *claims;
        enum bearer_result result;
    } rows[] = {
        {"{\"sub\":\"ada\",\"exp\":1800000000}", BEARER_EXPIRED}, /* from this instant on */
        {"{\"sub\":\"ada\",\"exp\":1800000001}", BEARER_GOOD},
        {"{\"sub\":\"ada\",\"exp\":0}", BEARER_EXPIRED},
        {"{\"sub\":\"ada\",\"exp\":-1}", BEARER_EXPIRED},
        {"{\"sub\":\"ada\",\"exp\":9007199254740993}", BEARER_GOOD},
        {"{\"sub\":\"ada\",\"exp\":1e999}", BEARER_FORGED}, /* nothing holds that */
        {"{\"sub\":\"ada\",\"exp\":\"1800000060\"}", BEARER_MALFORMED},
        {"{\"sub\":\"ada\",\"exp\":null}", BEARER_MALFORMED},
        {"{\"sub\":\"ada\"}", BEARER_ENDLESS},
        {"{\"sub\":\"ada\",\"exp\":1800000060,\"nbf\":1800000000}", BEARER_GOOD},
        {"{\"sub\":\"ada\",\"exp\":1800000060,\"nbf\":1800000001}", BEARER_TOO_EARLY},
        {"{\"sub\":\"ada\",\"exp\":1800000060,\"nbf\":\"0\"}", BEARER_MALFORMED},
        {"{\"sub\":\"ada\",\"exp\":1800000060,\"aud\":\"shop\"}", BEARER_AUDIENCE},
        {"{\"exp\":1800000060}", BEARER_NOBODY},
        {"{\"sub\":\"\",\"exp\":1800000060}", BEARER_NOBODY},
        {"{\"sub\":7,\"exp\":1800000060}", BEARER_NOBODY},
        {"{\"sub\":[\"ada\"],\"exp\":1800000060}", BEARER_NOBODY},
        {"{\"sub\":\"eve\",\"exp\":1800000060}", BEARER_ANOTHER},
        {"{\"sub\":\"Ada\",\"exp\":1800000060}", BEARER_ANOTHER},
        {"{\"sub\":\"ada \",\"exp\":1800000060}", BEARER_ANOTHER},
        {"{\"sub\":\"ad\",\"exp\":1800000060}", BEARER_ANOTHER},
        {"{\"sub\":\"eve\",\"exp\":1}", BEARER_EXPIRED}, /* nothing is said of whose it was */
        {"{\"sub\":\"ada\\u0000\",\"exp\":1800000060}", BEARER_FORGED}, /* libjwt reads no NUL */
        {"{\"sub\":\"eve\",\"sub\":\"ada\",\"exp\":1800000060}", BEARER_MALFORMED},
        {"{\"sub\":\"ada\",\"exp\":1,\"exp\":1800000060}", BEARER_MALFORMED},
        {"{\"sub\":\"ada\",\"exp\":1800000060,\"x\":{\"y\":1,\"y\":2}}", BEARER_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (check(&hs, HS, rows[i].claims) != rows[i].result)
            fail_msg("%s: %d", rows[i].claims, (int)check(&hs, HS, rows[i].claims));
    static const char *const no_objects[] = {"", "[]", "7", "{", "{\"sub\":\"ada\"}}", "null"};
    for (size_t i = 0; i < ARRAY_LEN(no_objects); i++)
        assert_true(check(&hs, HS, no_objects[i]) == BEARER_FORGED ||
                    check(&hs, HS, no_objects[i]) == BEARER_MALFORMED);
}

static void test_audiences(void **state) {
    (void)state;
    static const struct {
        const char *audience;
        enum bearer_result result;
    } rows[] = {
        {",\"aud\":\"shop\"", BEARER_GOOD},
        {",\"aud\":[\"shop\"]", BEARER_GOOD},
        {",\"aud\":[\"other\",7,\"shop\"]", BEARER_GOOD},
        {"", BEARER_AUDIENCE},
        {",\"aud\":[]", BEARER_AUDIENCE},
        {",\"aud\":\"shops\"", BEARER_AUDIENCE},
        {",\"aud\":\"Shop\"", BEARER_AUDIENCE},
        {",\"aud\":[[\"shop\"]]", BEARER_AUDIENCE},
        {",\"aud\":{\"shop\":1}", BEARER_AUDIENCE},
        {",\"aud\":null", BEARER_AUDIENCE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char claims[256];
        snprintf(claims, sizeof claims, "{\"sub\":\"ada\",\"exp\":1800000060%s}", rows[i].audience);
        assert_int_equal(check_at(for_shop, &hs, HS, claims, NOW_MS), rows[i].result);
    }
}

static void test_leeway(void **state) {
    (void)state;
    struct bearer *lenient = make_bearer(NULL, 5000);
    const char *late = "{\"sub\":\"ada\",\"exp\":1800000000}";
    const char *early = "{\"sub\":\"ada\",\"exp\":1800000060,\"nbf\":1800000005}";
    assert_int_equal(check_at(lenient, &hs, HS, late, NOW_MS + 4999), BEARER_GOOD);
    assert_int_equal(check_at(lenient, &hs, HS, late, NOW_MS + 5000), BEARER_EXPIRED);
    assert_int_equal(check_at(lenient, &hs, HS, early, NOW_MS), BEARER_GOOD);
    assert_int_equal(check_at(lenient, &hs, HS, early, NOW_MS - 1), BEARER_TOO_EARLY);
    bearer_unref(lenient);
}

static void test_schemes(void **state) {
    (void)state;
    static char token[FIXTURE_TOKEN_BYTES], text[FIXTURE_TOKEN_BYTES + 16];
    size_t n = fixture_token(&hs, SLICE(HS), SLICE(GOOD), token);
    token[n] = '\0';
    static const struct {
        const char *scheme;
        enum bearer_result result;
    } rows[] = {
        {"Bearer ", BEARER_GOOD},
        {"bearer ", BEARER_GOOD},
        {"BEARER   ", BEARER_GOOD},
        {"Bearer", BEARER_MISSING},
        {"Bearer\t", BEARER_MISSING},
        {"Basic ", BEARER_MISSING},
        {"", BEARER_MISSING},
        {"Token ", BEARER_MISSING},
        {"Bearer: ", BEARER_MISSING},
        {" Bearer ", BEARER_MISSING},
        {"Bearer \t", BEARER_MALFORMED},
        {"Bearer Bearer ", BEARER_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(text, sizeof text, "%s%s", rows[i].scheme, token + 7);
        assert_int_equal(check_text(text), rows[i].result);
    }
    assert_int_equal(bearer_check(plain, slice_of(NULL, 0), SLICE("ada"), NOW_MS), BEARER_MISSING);
    assert_int_equal(check_text("Bearer"), BEARER_MISSING);
    assert_int_equal(check_text("Bearer "), BEARER_MALFORMED);
}

static void test_shapes(void **state) {
    (void)state;
    static const char *const bad[] = {"Bearer .",       "Bearer ..",         "Bearer ...",
                                      "Bearer a.b",     "Bearer a.b.",       "Bearer .b.c",
                                      "Bearer a.b.c",   "Bearer a..c",       "Bearer !.!.!",
                                      "Bearer a.b.c.d", "Bearer \x01.\xff.z"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(check_text(bad[i]), BEARER_MALFORMED);
    /* Without a signature, and with what stands for one. */
    static const char *const heads[] = {HS, "{\"alg\":\"none\"}"};
    static const char *const ends[] = {".", "", ".AA", ".AAAA", "..", ".."};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        for (size_t j = 0; j < ARRAY_LEN(ends); j++) {
            char text[512] = "Bearer ";
            size_t n = 7 + base64url_encode(slice_str(heads[i]), text + 7);
            text[n++] = '.';
            n += base64url_encode(SLICE(GOOD), text + n);
            snprintf(text + n, sizeof text - n, "%s", ends[j]);
            assert_int_not_equal(check_text(text), BEARER_GOOD);
        }
}

/* Cut anywhere, or with any one character changed, a token is not that token. */
static void test_every_cut_and_every_change(void **state) {
    (void)state;
    static char token[FIXTURE_TOKEN_BYTES];
    const struct fixture_signer es = {.key = ec}, *signers[] = {&hs, &es};
    static const char *const headers[] = {HS, ES};
    for (size_t s = 0; s < ARRAY_LEN(signers); s++) {
        size_t n = fixture_token(signers[s], slice_str(headers[s]), SLICE(GOOD), token);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_not_equal(bearer_check(plain, slice_of(token, cut), SLICE("ada"), NOW_MS),
                                 BEARER_GOOD);
        for (size_t at = 7; at < n; at++) {
            char kept = token[at];
            for (const char *c = "A-.=+/ \t"; *c != '\0'; c++) {
                if (*c == kept || (at == 7 && *c == ' ')) continue;
                token[at] = *c;
                assert_int_not_equal(bearer_check(plain, slice_of(token, n), SLICE("ada"), NOW_MS),
                                     BEARER_GOOD);
            }
            token[at] = (char)(kept ^ 1);
            assert_int_not_equal(bearer_check(plain, slice_of(token, n), SLICE("ada"), NOW_MS),
                                 BEARER_GOOD);
            token[at] = kept;
        }
        /* The last one has bits that mean nothing. */
        char kept = token[n - 1];
        for (int c = 1; c < 256; c++) {
            token[n - 1] = (char)c;
            bool is_good =
                bearer_check(plain, slice_of(token, n), SLICE("ada"), NOW_MS) == BEARER_GOOD;
            assert_int_equal(is_good, token[n - 1] == kept);
        }
    }
}

static void test_the_longest_token(void **state) {
    (void)state;
    static char header[FIXTURE_TOKEN_BYTES / 2];
    size_t good = 0, too_long = 0;
    for (size_t fill = 5800; fill < 6200; fill++) {
        int n = snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"x\":\"");
        memset(header + n, 'x', fill);
        memcpy(header + n + fill, "\"}", 3);
        enum bearer_result result = check(&hs, header, GOOD);
        assert_true(result == (too_long == 0 ? result : BEARER_MALFORMED));
        good += result == BEARER_GOOD;
        too_long += result == BEARER_MALFORMED;
    }
    assert_true(good > 0 && too_long > 0 && good + too_long == 400);
    /* A header that is nothing but depth. */
    memset(header, '[', 6000);
    header[6000] = '\0';
    assert_int_equal(check(&hs, header, GOOD), BEARER_MALFORMED);
}

static void *hold(void *argument) {
    struct bearer *bearer = argument;
    for (int i = 0; i < 10000; i++) bearer_unref(bearer_ref(bearer));
    bearer_unref(bearer);
    return NULL;
}

/* The last one to let go frees; sanitizers see it when that is done twice or never. */
static void test_references_of_many_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    struct bearer *bearer = make_bearer("shop", 0);
    assert_int_equal(bearer_keys_count(bearer), 3);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold, bearer_ref(bearer)), 0);
    bearer_unref(bearer);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) pthread_join(threads[i], NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_a_public_key_is_no_secret),
        cmocka_unit_test(test_another_key),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_audiences),
        cmocka_unit_test(test_leeway),
        cmocka_unit_test(test_schemes),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_every_cut_and_every_change),
        cmocka_unit_test(test_the_longest_token),
        cmocka_unit_test(test_references_of_many_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
