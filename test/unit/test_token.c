/* SPDX-License-Identifier: Apache-2.0
 *
 * Which token wins, and what is said when there is none.
 */
#include "lib/token.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/token-XXXXXX";
static char file[64];

static void write_file(const char *text) {
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/token-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(file, sizeof file, "%s/a.token", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static void the_nearest_word_wins(void **state) {
    (void)state;
    char token[TOKEN_BYTES_MAX];
    struct err err = {0};
    write_file("from-the-file\r\nsecond line\n");
    struct token_source source = {.file = file, .text = "text", .folder = "/nowhere", .name = "x"};
    assert_int_equal(token_find(&source, token, &err), 0);
    assert_string_equal(token, "from-the-file");
    source.file = "";
    assert_int_equal(token_find(&source, token, &err), 0);
    assert_string_equal(token, "text");
    source = (struct token_source){.text = "", .folder = folder, .name = "a.token"};
    assert_int_equal(token_find(&source, token, &err), 0);
    assert_string_equal(token, "from-the-file");
}

static void none_is_told(void **state) {
    (void)state;
    char token[TOKEN_BYTES_MAX], large[TOKEN_BYTES_MAX + 1];
    struct err err = {0};
    struct token_source source = {.folder = folder, .name = "a.token"};
    assert_int_equal(token_find(&source, token, &err), -ENOENT);
    assert_non_null(strstr(err.text, "a.token"));
    source.file = file; /* named, so it has to be there */
    source.text = "text";
    assert_int_equal(token_find(&source, token, &err), -ENOENT);
    assert_non_null(strstr(err.text, file));
    write_file("\n");
    assert_int_equal(token_find(&source, token, &err), -EINVAL);
    memset(large, 'x', sizeof large);
    large[TOKEN_BYTES_MAX] = '\0';
    source = (struct token_source){.text = large};
    assert_int_equal(token_find(&source, token, &err), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_nearest_word_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
