/* SPDX-License-Identifier: Apache-2.0
 *
 * A history is read as it was written, and anything else is refused with its line.
 */
#include "verify/history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct hash_key hash_key = {{1, 2}};

#define HEAD                                                                                       \
    "{\"coupond_history\":1,\"event\":\"EV\",\"prefix\":\"u-\",\"boot\":\"b1\",\"ns\":5,\"ms\":7}" \
    "\n"
#define WON                                                                                        \
    "{\"u\":\"u-1\",\"k\":\"c\",\"i\":10,\"r\":20,\"a\":\"issued\",\"s\":3,\"c\":\"CODE\",\"t\":"  \
    "99}\n"
#define SOLD "{\"u\":\"u-2\",\"k\":\"c\",\"i\":11,\"r\":21,\"a\":\"sold_out_final\"}\n"
#define LOST "{\"u\":\"u-2\",\"k\":\"q\",\"i\":12,\"a\":\"lost\"}\n"
#define END "{\"end\":3,\"ns\":50,\"ms\":8}\n"

struct bench {
    struct texts texts;
    struct history history;
    struct err err;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    texts_init(&bench->texts, &hash_key);
    bench->history.texts = &bench->texts;
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    history_deinit(&bench->history);
    texts_deinit(&bench->texts);
    free(bench);
    return 0;
}

static int read_text(struct bench *bench, const char *text) {
    history_deinit(&bench->history);
    return history_read_bytes(&bench->history, "h", slice_str(text), &bench->err);
}

static struct slice text_of(const struct bench *bench, uint32_t number) {
    return texts_at(&bench->texts, number);
}

static void all_that_a_line_says(void **state) {
    struct bench *bench = *state;
    assert_int_equal(read_text(bench, HEAD WON SOLD LOST END), 0);
    const struct history *history = &bench->history;
    assert_int_equal(history->files_count, 1);
    const struct history_file *file = &history->files[0];
    assert_true(file->has_end);
    assert_string_equal(file->boot, "b1");
    assert_true(slice_eq(text_of(bench, file->event), SLICE("EV")));
    assert_true(slice_eq(file->prefix, SLICE("u-")));
    assert_int_equal(file->first_ns, 5);
    assert_int_equal(file->first_ms, 7);
    assert_int_equal(file->last_ms, 8);
    assert_int_equal(history->count, 3);
    const struct history_op *op = history->ops;
    assert_true(slice_eq(text_of(bench, op->user), SLICE("u-1")));
    assert_int_equal(op->event, file->event);
    assert_int_equal(op->line, 2);
    assert_false(op->is_query);
    assert_int_equal(op->invoke_ns, 10);
    assert_int_equal(op->return_ns, 20);
    assert_int_equal(op->told, TOLD_ISSUED);
    assert_true(history_is_pass(op));
    assert_int_equal(op->serial, 3);
    assert_int_equal(op->issued_ms, 99);
    assert_true(slice_eq(text_of(bench, op->coupon), SLICE("CODE")));
    assert_int_equal(op[1].told, TOLD_SOLD_OUT_FINAL);
    assert_false(history_is_pass(&op[1]));
    assert_int_equal(op[1].serial, 0);
    assert_true(op[2].is_query);
    assert_int_equal(op[2].told, HISTORY_LOST);
    assert_true(op[2].return_ns == HISTORY_NEVER);
    assert_int_equal(op[2].user, op[1].user);
}

static void every_answer_has_a_word(void **state) {
    struct bench *bench = *state;
    char text[1024];
    for (unsigned told = 0; told < TOLD_COUNT; told++) {
        bool is_pass = told == TOLD_ISSUED || told == TOLD_ALREADY_ISSUED;
        snprintf(text, sizeof text,
                 HEAD "{\"u\":\"u-1\",\"k\":\"q\",\"i\":10,\"r\":20,\"a\":\"%s\"%s}\n",
                 history_told_name(told), is_pass ? ",\"s\":3,\"c\":\"CODE\",\"t\":99" : "");
        assert_int_equal(read_text(bench, text), 0);
        assert_int_equal(bench->history.ops[0].told, told);
    }
    assert_string_equal(history_told_name(HISTORY_LOST), "lost");
}

static void a_writer_that_was_cut_off(void **state) {
    struct bench *bench = *state;
    static const char text[] = HEAD WON SOLD;
    for (size_t n = sizeof HEAD - 1; n < sizeof text; n++) {
        history_deinit(&bench->history);
        assert_int_equal(history_read_bytes(&bench->history, "h", slice_of(text, n), &bench->err),
                         0);
        assert_false(bench->history.files[0].has_end);
        size_t whole = n >= sizeof text - 1 ? 2 : n >= sizeof HEAD WON - 1 ? 1 : 0;
        assert_int_equal(bench->history.count, whole);
    }
}

static void what_is_no_history(void **state) {
    static const char *const texts[] = {
        "",
        "\n",
        "{}\n",
        "{\"coupond_history\":2,\"event\":\"EV\",\"prefix\":\"u-\",\"boot\":\"b1\",\"ns\":5,\"ms\":"
        "7}\n",
        "{\"coupond_history\":1,\"event\":\"\",\"prefix\":\"u-\",\"boot\":\"b1\",\"ns\":5,\"ms\":7}"
        "\n",
        "{\"coupond_history\":1,\"event\":\"EV\",\"prefix\":\"u-\",\"boot\":"
        "\"a boot id that is much too long to be one\",\"ns\":5,\"ms\":7}\n",
        HEAD "\n",
        HEAD "x\n",
        HEAD HEAD,
        HEAD "{\"u\":\"\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"busy\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"x\",\"i\":1,\"r\":2,\"a\":\"busy\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":,\"r\":2,\"a\":\"busy\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":-1,\"r\":2,\"a\":\"busy\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":3,\"r\":2,\"a\":\"busy\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":99999999999999999999,\"a\":\"busy\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"perhaps\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"lost\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"a\":\"busy\"}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"issued\"}\n",
        HEAD
        "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"issued\",\"s\":0,\"c\":\"C\",\"t\":1}\n",
        HEAD
        "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"issued\",\"s\":1,\"c\":\"\",\"t\":1}\n",
        HEAD
        "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"issued\",\"s\":4294967296,\"c\":\"C\","
        "\"t\":1}\n",
        HEAD "{\"u\":\"u\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"busy\"} \n",
        HEAD "{\"u\":\"u\\u0061\",\"k\":\"c\",\"i\":1,\"r\":2,\"a\":\"busy\"}\n",
        HEAD WON END,
        HEAD WON SOLD LOST END SOLD,
    };
    struct bench *bench = *state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        bench->err = (struct err){0};
        assert_int_equal(read_text(bench, texts[i]), -EINVAL);
        assert_true(strncmp(bench->err.text, "h", 1) == 0);
        assert_int_equal(bench->history.files_count, 0);
    }
}

static void several_files_of_one_boot(void **state) {
    struct bench *bench = *state;
    static const char other[] =
        "{\"coupond_history\":1,\"event\":\"EW\",\"prefix\":\"\",\"boot\":\"b1\","
        "\"ns\":5,\"ms\":7}\n" SOLD;
    assert_int_equal(read_text(bench, HEAD WON), 0);
    assert_int_equal(history_read_bytes(&bench->history, "i", slice_str(other), &bench->err), 0);
    assert_int_equal(bench->history.count, 2);
    assert_int_equal(bench->history.ops[1].file, 1);
    assert_true(bench->history.ops[1].event != bench->history.ops[0].event);
    static const char reboot[] =
        "{\"coupond_history\":1,\"event\":\"EW\",\"prefix\":\"\",\"boot\":\"b2\","
        "\"ns\":5,\"ms\":7}\n";
    assert_int_equal(history_read_bytes(&bench->history, "j", slice_str(reboot), &bench->err),
                     -EINVAL);
    assert_non_null(strstr(bench->err.text, "different boots"));
    while (bench->history.files_count < HISTORY_FILES_MAX)
        assert_int_equal(history_read_bytes(&bench->history, "k", slice_str(HEAD), &bench->err), 0);
    assert_int_equal(history_read_bytes(&bench->history, "l", slice_str(HEAD), &bench->err),
                     -E2BIG);
}

static void a_file_that_is_not_there(void **state) {
    struct bench *bench = *state;
    assert_int_equal(history_read(&bench->history, "/nowhere/h", &bench->err), -ENOENT);
    assert_non_null(strstr(bench->err.text, "/nowhere/h"));
    assert_int_equal(history_read(&bench->history, "/dev/null", &bench->err), -EINVAL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_that_a_line_says),      TEST(every_answer_has_a_word),
        TEST(a_writer_that_was_cut_off), TEST(what_is_no_history),
        TEST(several_files_of_one_boot), TEST(a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
