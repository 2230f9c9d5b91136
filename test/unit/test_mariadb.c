/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes into statements, and what a list of servers is. The rest needs a server
 * (test/integration/test_schema.py, test_consume.py).
 */
#include "record/mariadb.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check_text(const char *text, size_t n, const char *wanted) {
    struct buf sql;
    buf_init(&sql, 1000);
    maria_add_text(&sql, slice_of(text, n));
    assert_int_equal(sql.n, strlen(wanted));
    assert_memory_equal(sql.p, wanted, sql.n);
    buf_deinit(&sql);
}

static void texts(void **state) {
    (void)state;
    check_text("", 0, "''");
    check_text("plain", 5, "'plain'");
    check_text("it's", 4, "'it\\'s'");
    check_text("\\", 1, "'\\\\'");
    check_text("a\0b", 3, "'a\\0b'");
    check_text("' OR 1=1 -- \\'", 14, "'\\' OR 1=1 -- \\\\\\''");
    check_text("쿠폰", 6, "'쿠폰'");
}

static void others(void **state) {
    (void)state;
    struct buf sql;
    buf_init(&sql, 1000);
    maria_add_text_or_null(&sql, slice_of("", 0));
    maria_add_text_or_null(&sql, SLICE("x"));
    maria_add_bytes(&sql, slice_of("\x00\xff'", 3));
    maria_add_bytes(&sql, slice_of("", 0));
    maria_add_i64(&sql, INT64_MIN);
    buf_add(&sql, "", 1);
    assert_string_equal(sql.p, "NULL'x'x'00ff27'x''-9223372036854775808");
    buf_deinit(&sql);
}

static void numbers(void **state) {
    (void)state;
    assert_int_equal(maria_u64(SLICE("18446744073709551615")), UINT64_MAX);
    assert_int_equal(maria_u64(slice_of(NULL, 0)), 0);
    assert_int_equal(maria_i64(SLICE("-17")), -17);
    assert_int_equal(maria_i64(SLICE("9223372036854775807")), INT64_MAX);
    assert_int_equal(maria_i64(SLICE("")), 0);
}

static void servers(void **state) {
    (void)state;
    static const char *const good[] = {"db:3306", "10.0.0.1:1", "[::1]:3306", "a:1, b:65535",
                                       "a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1"};
    static const char *const bad[] = {
        "",         "db",   ":3306",    "db:",       "db:0",
        "db:65536", "db:x", "a:1,,b:1", "db:3306/x", "a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1"};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(maria_servers_check(good[i], &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(maria_servers_check(bad[i], &err), -EINVAL);
}

/* A list of which nobody answers is to be waited for; so is one where somebody else says no. */
static void nobody_answers(void **state) {
    (void)state;
    struct err err = {0};
    struct maria *db = maria_new(&(struct maria_options){
        .servers = "127.0.0.1:1,127.0.0.1:2", .name = "x", .user = "u", .timeout_ms = 1000});
    assert_non_null(db);
    assert_int_equal(maria_connect(db, &err), MARIA_TRANSIENT);
    assert_non_null(strstr(err.text, "127.0.0.1:1/x"));
    assert_true(err.retriable);
    assert_false(maria_is_open(db));
    assert_int_equal(maria_run_text(db, "SELECT 1", &err), MARIA_TRANSIENT);
    maria_free(db);
    maria_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(others),
                                       cmocka_unit_test(numbers), cmocka_unit_test(servers),
                                       cmocka_unit_test(nobody_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
