/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the value of an Authorization field; and, because the fuzzer cannot sign, as the
 * header and the claims of a token that is signed here (HEADER \n CLAIMS). What is let through must
 * be so by a second reading: the algorithm, the user, the time.
 */
#include "fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>

#include "fake/bearer_fixture.h"
#include "lib/bearer.h"

#define NOW_MS INT64_C(1800000000000)

/* The private half of the second is gone: the one signature that was made with it is in the corpus.
 * libjwt reads it in other spellings, too. */
#define ES256_SIGNATURE                                                                            \
    "GpeOkeuWYqoQD_Cyx0sUwWWw-HC7PTqrIpNXX_nqWQf"                                                  \
    "II8jrzizR9zx5CzMr_BGCV03RCGpOEoFg4Ez0Z4qUpA"

static const char key_file[] =
    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"h\",\"k\":\"" FIXTURE_SECRET_K "\"},"
    "{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\","
    "\"x\":\"QuMtZYtCWRlPrLXulNixubIO_-VCTGDrR9cwArr5Q18\","
    "\"y\":\"_fiNaZpJYQDyzswzcf2KfXpTw5yEac3mjKbmPS-Z-Tw\"}]}";

static const struct bearer *bearer(void) {
    static struct bearer *made;
    struct bearer_keys keys;
    struct err err;
    if (made == NULL) {
        ASSERT(bearer_keys_parse(&keys, slice_str(key_file), &err) == 0);
        made = bearer_of_keys(&keys, "shop", 1000);
        ASSERT(made != NULL);
    }
    return made;
}

/* A second reading, lenient where the first is strict. */
static void check_good(struct slice header_text, struct slice claims_text) {
    json_t *header = json_loadb(header_text.p, header_text.n, 0, NULL);
    json_t *claims = json_loadb(claims_text.p, claims_text.n, 0, NULL);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    ASSERT(alg != NULL && strcmp(alg, "HS256") == 0);
    ASSERT(subject != NULL && strcmp(subject, "ada") == 0);
    ASSERT(json_number_value(json_object_get(claims, "exp")) > 1800000000. - 1.);
    ASSERT(json_number_value(json_object_get(claims, "nbf")) <= 1800000000. + 1.);
    ASSERT(json_object_get(claims, "aud") != NULL);
    json_decref(header);
    json_decref(claims);
}

static void check_signed(struct slice bytes) {
    static char token[FIXTURE_TOKEN_BYTES];
    static const struct fixture_signer signer = {.secret = {FIXTURE_SECRET, 32}};
    const char *line = bytes.n == 0 ? NULL : memchr(bytes.p, '\n', bytes.n);
    if (line == NULL || bytes.n > FIXTURE_TOKEN_BYTES / 4) return;
    struct slice header = slice_of(bytes.p, (size_t)(line - bytes.p));
    struct slice claims = slice_of(line + 1, bytes.n - header.n - 1);
    size_t n = fixture_token(&signer, header, claims, token);
    if (bearer_check(bearer(), slice_of(token, n), SLICE("ada"), NOW_MS) == BEARER_GOOD)
        check_good(header, claims);
}

/* True when the token is signed by the secret above, or is the one that was signed by the other
 * key. */
static bool is_known(struct slice bytes) {
    const char *dot = memrchr(bytes.p, '.', bytes.n);
    const char *space = memrchr(bytes.p, ' ', bytes.n);
    unsigned char signature[FIXTURE_SIGNATURE_BYTES];
    char text[64];
    const struct fixture_signer signer = {.secret = {FIXTURE_SECRET, 32}};
    ASSERT(dot != NULL && space != NULL && space < dot);
    struct slice last = slice_of(dot + 1, bytes.n - (size_t)(dot + 1 - bytes.p));
    if (slice_eq(last, SLICE(ES256_SIGNATURE))) return true;
    size_t n = fixture_sign(&signer, slice_of(space + 1, (size_t)(dot - space - 1)), signature);
    n = base64url_encode(slice_of(signature, n), text);
    return slice_eq(slice_of(text, n), last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice bytes = slice_of(data, size);
    enum bearer_result result = bearer_check(bearer(), bytes, SLICE("ada"), NOW_MS);
    ASSERT(result < BEARER_RESULTS);
    if (result == BEARER_GOOD) ASSERT(is_known(bytes));
    check_signed(bytes);
    return 0;
}
