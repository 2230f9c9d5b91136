/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct hash_key hash_key = {{3, 4}};

static void a_text_has_one_number(void **state) {
    (void)state;
    struct texts texts;
    texts_init(&texts, &hash_key);
    assert_int_equal(texts_find(&texts, SLICE("ada")), TEXT_UNKNOWN);
    assert_int_equal(texts_number(&texts, SLICE("")), 0);
    uint32_t ada = texts_number(&texts, SLICE("ada")), bob = texts_number(&texts, SLICE("bob"));
    assert_true(ada != bob && ada != 0 && bob != 0);
    assert_int_equal(texts_number(&texts, SLICE("ada")), ada);
    assert_int_equal(texts_find(&texts, SLICE("bob")), bob);
    assert_int_equal(texts_find(&texts, SLICE("bo")), TEXT_UNKNOWN);
    assert_int_equal(texts_find(&texts, SLICE("")), 0);
    assert_true(slice_eq(texts_at(&texts, ada), SLICE("ada")));
    assert_int_equal(texts_at(&texts, 0).n, 0);
    assert_int_equal(texts_at(&texts, 1000000).n, 0);
    texts_deinit(&texts);
}

static void many_texts(void **state) {
    (void)state;
    enum { COUNT = 50000 };
    struct texts texts;
    char text[32];
    static char large[200000];
    texts_init(&texts, &hash_key);
    for (unsigned i = 1; i <= COUNT; i++) {
        int n = snprintf(text, sizeof text, "user-%u", i);
        assert_int_equal(texts_number(&texts, slice_of(text, (size_t)n)), i);
    }
    uint32_t number = texts_number(&texts, slice_of(large, sizeof large));
    for (unsigned i = 1; i <= COUNT; i++) {
        int n = snprintf(text, sizeof text, "user-%u", i);
        assert_int_equal(texts_find(&texts, slice_of(text, (size_t)n)), i);
        assert_true(slice_eq(texts_at(&texts, i), slice_of(text, (size_t)n)));
    }
    assert_int_equal(texts_at(&texts, number).n, sizeof large);
    assert_false(texts.failed);
    texts_deinit(&texts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_has_one_number),
        cmocka_unit_test(many_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
