/* SPDX-License-Identifier: Apache-2.0
 *
 * An error is a code and one line, whatever is printed into it.
 */
#include "lib/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void it_returns_the_code_and_clears_the_policy(void **state) {
    (void)state;
    struct err err = {.retriable = true, .fatal = true};
    assert_int_equal(err_set(&err, -ENOSPC, "%s is full", "disk"), -ENOSPC);
    assert_int_equal(err.code, -ENOSPC);
    assert_false(err.retriable);
    assert_false(err.fatal);
    assert_string_equal(err.text, "disk is full");
}

static void the_text_is_one_line(void **state) {
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, -EINVAL, "a\nb\rc\x1b\x7f%s", "\t"), -EINVAL);
    assert_string_equal(err.text, "a b c   ");
}

static void a_long_text_is_cut(void **state) {
    (void)state;
    struct err err;
    char path[1000];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(err_set(&err, -ENOENT, "%s", path), -ENOENT);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_returns_the_code_and_clears_the_policy),
        cmocka_unit_test(the_text_is_one_line),
        cmocka_unit_test(a_long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
