/* SPDX-License-Identifier: Apache-2.0
 *
 * The growing buffer: what fits, what does not, and what stays when something did not.
 */
#include "lib/buf.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* So that an allocation refused for its size is a result under the address sanitizer as well. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

static void assert_holds(const struct buf *buf, const char *text) {
    assert_int_equal(buf->n, strlen(text));
    assert_memory_equal(buf->p, text, buf->n);
}

static void it_grows_to_its_maximum_and_not_beyond(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    for (int i = 0; i < 1000; i++) buf_add(&buf, &(char){(char)('a' + i % 26)}, 1);
    assert_false(buf.failed);
    assert_int_equal(buf.n, 1000);
    assert_int_equal(buf.capacity, 1000);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(buf.p[i], 'a' + i % 26);
    buf_add(&buf, "x", 1);
    assert_true(buf.failed);
    assert_int_equal(buf.n, 1000);
    buf_deinit(&buf);
    assert_int_equal(buf.n, 0);
}

static void a_write_happens_whole_or_not_at_all(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    buf_add_text(&buf, "12345678");
    buf_add_text(&buf, "abc");
    assert_true(buf.failed);
    assert_holds(&buf, "12345678");
    buf.failed = false;
    buf_printf(&buf, "%d", 123);
    assert_true(buf.failed);
    assert_holds(&buf, "12345678");
    buf.failed = false;
    buf_add_u64(&buf, 123);
    assert_true(buf.failed);
    assert_holds(&buf, "12345678");
    buf.failed = false;
    buf_add_json_string(&buf, SLICE("a"));
    assert_true(buf.failed);
    assert_holds(&buf, "12345678");
    buf.failed = false;
    buf_printf(&buf, "%d", 90); /* exactly full, the NUL of printf notwithstanding */
    assert_false(buf.failed);
    assert_holds(&buf, "1234567890");
    buf_deinit(&buf);
}

static void room_too_large_is_refused_without_overflow(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    buf_add_text(&buf, "abc");
    assert_false(buf_reserve(&buf, SIZE_MAX));
    assert_false(buf_reserve(&buf, SIZE_MAX - 2));
    assert_true(buf.failed);
    assert_true(buf_reserve(&buf, 97));
    assert_true(buf.capacity >= 100);
    buf_deinit(&buf);
    buf_init(&buf, SIZE_MAX);
    assert_false(buf_reserve(&buf, SIZE_MAX));
    assert_false(buf_reserve(&buf, SIZE_MAX / 2)); /* no memory */
    assert_true(buf.failed);
    buf_deinit(&buf);
    buf_init(&buf, 0);
    buf_add_text(&buf, "");
    assert_false(buf.failed);
    buf_printf(&buf, "%s", "");
    assert_false(buf.failed);
    buf_add_text(&buf, "x");
    assert_true(buf.failed);
    buf_deinit(&buf);
}

static void numbers_and_formats(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 4096);
    buf_add_u64(&buf, 0);
    buf_add_text(&buf, " ");
    buf_add_u64(&buf, ULLONG_MAX);
    buf_add_slice(&buf, SLICE(" "));
    buf_add_slice(&buf, slice_of(NULL, 0));
    buf_printf(&buf, "%s=%d", "x", -7);
    assert_holds(&buf, "0 18446744073709551615 x=-7");
    buf_consume(&buf, 2);
    assert_holds(&buf, "18446744073709551615 x=-7");
    buf_printf(&buf, "%600s", "end"); /* must grow in the middle of a print */
    assert_int_equal(buf.n, 25 + 600);
    assert_memory_equal(buf.p + 25 + 596, " end", 4);
    assert_false(buf.failed);
    assert_int_equal(buf_slice(&buf).n, buf.n);
    buf_consume(&buf, buf.n);
    assert_int_equal(buf.n, 0);
    buf_deinit(&buf);
}

static void json_strings(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 4096);
    buf_add_json_string(&buf, SLICE(""));
    buf_add_json_string(&buf, SLICE("쿠폰 a/b"));
    buf_add_json_string(&buf, SLICE("\"\\\b\f\n\r\t"));
    buf_add_json_string(&buf, SLICE("x\0y\x1f\x7fz"));
    assert_holds(&buf, "\"\"\"쿠폰 a/b\"\"\\\"\\\\\\b\\f\\n\\r\\t\"\"x\\u0000y\\u001f\x7fz\"");
    assert_false(buf.failed);
    buf_deinit(&buf);
}

/* Whatever the maximum, a string that does not fit leaves nothing of itself. */
static void a_json_string_cut_anywhere_leaves_nothing(void **state) {
    (void)state;
    for (size_t max = 0; max <= 20; max++) {
        struct buf buf;
        buf_init(&buf, max);
        buf_add_json_string(&buf, SLICE("ab\ncd\x01 e\"f")); /* 19 bytes when escaped */
        assert_int_equal(buf.failed, max < 19);
        assert_int_equal(buf.n, max < 19 ? 0 : 19);
        buf_deinit(&buf);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_to_its_maximum_and_not_beyond),
        cmocka_unit_test(a_write_happens_whole_or_not_at_all),
        cmocka_unit_test(room_too_large_is_refused_without_overflow),
        cmocka_unit_test(numbers_and_formats),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(a_json_string_cut_anywhere_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
