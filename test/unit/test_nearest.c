/* SPDX-License-Identifier: Apache-2.0
 *
 * Which words are near enough to be meant.
 */
#include "lib/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void distances(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"listen", "listen", 0},
        {"listn", "listen", 1},
        {"lissten", "listen", 1},
        {"listten", "listen", 1},
        {"lisetn", "listen", 1},
        {"xisten", "listen", 1},
        {"kitten", "sitting", 3},
        {"abcd", "badc", 2},
        {"ab", "ba", 1},
        {"data", "data-dir", 1},
        {"threads-max", "threads", 1},
        {"us", "users", 3},
        {"stock", "rate", 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(nearest_distance(rows[i].a, rows[i].b), rows[i].distance);
        assert_int_equal(nearest_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
}

static void words_too_long_are_far(void **state) {
    (void)state;
    char word[NEAREST_BYTES_MAX + 2];
    memset(word, 'a', sizeof word);
    word[NEAREST_BYTES_MAX] = '\0';
    assert_int_equal(nearest_distance(word, "bbb"), NEAREST_BYTES_MAX);
    word[NEAREST_BYTES_MAX] = 'a';
    word[NEAREST_BYTES_MAX + 1] = '\0';
    assert_true(nearest_distance(word, "bbb") == SIZE_MAX);
    assert_true(nearest_distance("bbb", word) == SIZE_MAX);
    assert_false(nearest_is_near(word, SIZE_MAX));
}

static void longer_words_may_have_more_mistakes(void **state) {
    (void)state;
    assert_true(nearest_is_near("abc", 1));
    assert_false(nearest_is_near("abc", 2));
    assert_true(nearest_is_near("admin-listen", 4));
    assert_false(nearest_is_near("admin-listen", 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(words_too_long_are_far),
        cmocka_unit_test(longer_words_may_have_more_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
