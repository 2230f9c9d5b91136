/* SPDX-License-Identifier: Apache-2.0
 *
 * What is written is what is read; several threads write one file; a full disk is told.
 */
#include "verify/history_write.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "verify/history.h"

enum { THREADS = 4, OPS = 20000 };

static const struct hash_key hash_key = {{1, 2}};

struct bench {
    char folder[64], path[96];
    struct history_out out;
    struct err err;
    struct texts texts;
    struct history history;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    strcpy(bench->folder, "/tmp/coupond-history-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/h", bench->folder);
    texts_init(&bench->texts, &hash_key);
    bench->history.texts = &bench->texts;
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    unlink(bench->path);
    rmdir(bench->folder);
    history_deinit(&bench->history);
    texts_deinit(&bench->texts);
    free(bench);
    return 0;
}

static void open_out(struct bench *bench) {
    assert_int_equal(
        history_out_open(&bench->out, bench->path, "EV", "u-", &clock_system, &bench->err), 0);
}

static void close_and_read(struct bench *bench) {
    assert_int_equal(history_out_close(&bench->out, &bench->err), 0);
    if (history_read(&bench->history, bench->path, &bench->err) != 0)
        fail_msg("%s", bench->err.text);
    assert_true(bench->history.files[0].has_end);
}

static void every_kind_of_line(void **state) {
    struct bench *bench = *state;
    struct history_pen pen;
    struct told_body body = {.serial = 4000000000, .issued_ms = INT64_C(1) << 45};
    memset(body.coupon_id, 'C', TOLD_COUPON_ID_BYTES_MAX);
    char user[64];
    memset(user, 'u', sizeof user);
    open_out(bench);
    assert_int_equal(history_pen_init(&pen, &bench->out), 0);
    const uint64_t most = INT64_MAX - 9;
    history_pen_answered(&pen, slice_of(user, 64), false, 0, most, TOLD_ALREADY_ISSUED, &body);
    history_pen_answered(&pen, SLICE("u-2"), true, 6, 7, TOLD_NOTHING, NULL);
    history_pen_lost(&pen, SLICE("u-3"), false, most);
    history_pen_put_away(&pen);
    history_pen_put_away(&pen); /* again is nothing */
    history_pen_lost(&pen, SLICE("u-4"), false, 1);
    close_and_read(bench);
    const struct history_op *op = bench->history.ops;
    assert_int_equal(bench->history.count, 3);
    assert_int_equal(texts_at(&bench->texts, op[0].user).n, 64);
    assert_int_equal(texts_at(&bench->texts, op[0].coupon).n, TOLD_COUPON_ID_BYTES_MAX);
    assert_true(op[0].serial == 4000000000 && op[0].issued_ms == INT64_C(1) << 45);
    assert_true(op[0].invoke_ns == 0 && (uint64_t)op[0].return_ns == most);
    assert_true(op[1].is_query && op[1].told == TOLD_NOTHING);
    assert_true(op[2].told == HISTORY_LOST && (uint64_t)op[2].invoke_ns == most);
}

/* A server that lies may send any visible character; the file stays one that can be read. */
static void a_code_with_quotes(void **state) {
    struct bench *bench = *state;
    struct history_pen pen;
    struct told_body body = {.serial = 1, .coupon_id = "a\"b\\c"};
    open_out(bench);
    assert_int_equal(history_pen_init(&pen, &bench->out), 0);
    history_pen_answered(&pen, SLICE("u-2"), false, 6, 7, TOLD_ISSUED, &body);
    history_pen_put_away(&pen);
    close_and_read(bench);
    assert_true(slice_eq(texts_at(&bench->texts, bench->history.ops[0].coupon), SLICE("a?b?c")));
}

static void *write_many(void *ctx) {
    struct history_pen pen;
    assert_int_equal(history_pen_init(&pen, ctx), 0);
    for (uint64_t i = 0; i < OPS; i++)
        history_pen_answered(&pen, SLICE("u-1"), false, i, i + 1, TOLD_SOLD_OUT_FINAL, NULL);
    history_pen_put_away(&pen);
    return NULL;
}

static void threads_share_a_file(void **state) {
    struct bench *bench = *state;
    pthread_t threads[THREADS];
    open_out(bench);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &bench->out), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    close_and_read(bench);
    assert_int_equal(bench->history.count, THREADS * OPS);
}

static void what_cannot_be_written_is_told(void **state) {
    struct bench *bench = *state;
    struct history_pen pen;
    struct history_out other;
    open_out(bench);
    assert_int_equal(history_out_open(&other, bench->path, "EV", "u-", &clock_system, &bench->err),
                     -EEXIST);
    close(bench->out.fd);
    bench->out.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(history_pen_init(&pen, &bench->out), 0);
    history_pen_lost(&pen, SLICE("u-3"), false, 1);
    history_pen_put_away(&pen);
    assert_int_equal(history_out_close(&bench->out, &bench->err), -ENOSPC);
    assert_non_null(strstr(bench->err.text, bench->path));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_line),
        TEST(a_code_with_quotes),
        TEST(threads_share_a_file),
        TEST(what_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
