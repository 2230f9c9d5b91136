/* SPDX-License-Identifier: Apache-2.0
 *
 * One text for each run of bytes, and nothing else is one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base64url.h"

static void test_known_texts(void **state) {
    (void)state;
    /* RFC 4648 section 10, without the padding; the last two have the characters of base64url. */
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg"},
        {"fo", "Zm8"},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg"},
        {"fooba", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xef", "_-8"},
        {"\xfb\xff\xbf", "-_-_"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char text[16], bytes[16];
        size_t n = base64url_encode(slice_str(pairs[i][0]), text);
        assert_int_equal(n, strlen(pairs[i][1]));
        assert_int_equal(n, BASE64URL_TEXT_BYTES(strlen(pairs[i][0])));
        assert_memory_equal(text, pairs[i][1], n);
        assert_int_equal(base64url_decode(slice_of(text, n), bytes), strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], strlen(pairs[i][0]));
    }
}

static void test_what_is_none(void **state) {
    (void)state;
    static const char *const bad[] = {
        "A",    "AAAAA", "Zg==", "Zm8=", "Zm9v\n", " Zm9v",   "Zm+v",
        "Zm/v", "Zm9v.", "Zm.v", "Zh",   "Zm9",    "\xffm9v", "Zm9v ",
    };
    char bytes[16];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(base64url_decode(slice_str(bad[i]), bytes), -1);
    assert_int_equal(base64url_decode(slice_of("Zm\0v", 4), bytes), -1);
}

/* Whatever is read was written that way, and takes no more room than promised. */
static void test_every_text_of_three_characters(void **state) {
    (void)state;
    for (unsigned code = 0; code < 1u << 21; code++) {
        char text[3] = {(char)(code & 127), (char)(code >> 7 & 127), (char)(code >> 14)}, again[4];
        char *bytes = malloc(BASE64URL_BYTES(3));
        ptrdiff_t n = base64url_decode(slice_of(text, 3), bytes);
        if (n >= 0) {
            assert_int_equal(n, 2);
            assert_int_equal(base64url_encode(slice_of(bytes, 2), again), 3);
            assert_memory_equal(text, again, 3);
        }
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_every_text_of_three_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
