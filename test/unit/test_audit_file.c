/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole lines only, whatever happens; a bounded number of files.
 */
#include "record/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 8192 };

struct folder {
    char path[64], file[96];
    struct audit_file audit;
    char text[TEXT_BYTES];
};

static int set_up(void **state) {
    struct folder *folder = calloc(1, sizeof *folder);
    strcpy(folder->path, "/tmp/audit-XXXXXX");
    if (mkdtemp(folder->path) == NULL) return -1;
    snprintf(folder->file, sizeof folder->file, "%s/audit.log", folder->path);
    folder->audit.fd = -1;
    *state = folder;
    return 0;
}

static const char *older(struct folder *folder, int number) {
    static char path[128];
    snprintf(path, sizeof path, number == 0 ? "%s" : "%s.%d", folder->file, number);
    return path;
}

static int tear_down(void **state) {
    struct folder *folder = *state;
    audit_file_close(&folder->audit);
    for (int i = 0; i < AUDIT_FILES_MAX; i++) unlink(older(folder, i));
    int left = rmdir(folder->path); /* fails when there are more */
    free(folder);
    return left;
}

static int open_it(struct folder *folder, const char *topic, uint64_t bytes_max) {
    struct err err = {0};
    return audit_file_open(&folder->audit, folder->file, topic, bytes_max, &err);
}

static const char *read_file(struct folder *folder, int number) {
    FILE *from = fopen(older(folder, number), "r");
    if (from == NULL) return NULL;
    size_t n = fread(folder->text, 1, TEXT_BYTES - 1, from);
    folder->text[n] = '\0';
    fclose(from);
    return folder->text;
}

static void write_file(struct folder *folder, const char *text) {
    FILE *to = fopen(folder->file, "w");
    fputs(text, to);
    fclose(to);
}

static void lines_are_appended_behind_those_that_are_there(void **state) {
    struct folder *folder = *state;
    assert_int_equal(open_it(folder, "t", 1000), 0);
    assert_string_equal(read_file(folder, 0), "");
    assert_int_equal(audit_file_append(&folder->audit, SLICE("one\n")), 0);
    assert_int_equal(audit_file_append(&folder->audit, SLICE("two\nthree\n")), 0);
    audit_file_close(&folder->audit);
    assert_int_equal(open_it(folder, "t", 1000), 0);
    assert_int_equal(audit_file_append(&folder->audit, SLICE("four\n")), 0);
    assert_string_equal(read_file(folder, 0), "coupond-audit 1 t\none\ntwo\nthree\nfour\n");
    assert_null(read_file(folder, 1));
}

static void what_a_crash_left_of_a_line_is_cut_off(void **state) {
    struct folder *folder = *state;
    write_file(folder, "coupond-audit 1 t\n17 EV 3 a");
    assert_int_equal(open_it(folder, "t", 1000), 0);
    assert_string_equal(read_file(folder, 0), "coupond-audit 1 t\n");
    assert_int_equal(audit_file_append(&folder->audit, SLICE("one\n")), 0);
    assert_string_equal(read_file(folder, 0), "coupond-audit 1 t\none\n");
    audit_file_close(&folder->audit);
    write_file(folder, "coupond-aud");
    assert_int_equal(open_it(folder, "t", 1000), 0);
    assert_int_equal(audit_file_append(&folder->audit, SLICE("one\n")), 0);
    assert_string_equal(read_file(folder, 0), "coupond-audit 1 t\none\n");
}

static void a_file_of_another_topic_gives_way(void **state) {
    struct folder *folder = *state;
    write_file(folder, "coupond-audit 1 other\none\n");
    assert_int_equal(open_it(folder, "t", 1000), 0);
    assert_int_equal(audit_file_append(&folder->audit, SLICE("two\n")), 0);
    assert_string_equal(read_file(folder, 0), "coupond-audit 1 t\ntwo\n");
    assert_string_equal(read_file(folder, 1), "coupond-audit 1 other\none\n");
}

static void full_files_are_kept_in_a_bounded_number(void **state) {
    struct folder *folder = *state;
    char line[16], whole[64];
    assert_int_equal(open_it(folder, "t", 18 + 7), 0);
    for (int i = 100; i < 100 + 3 * AUDIT_FILES_MAX; i++) {
        snprintf(line, sizeof line, "is %d\n", i);
        assert_int_equal(audit_file_append(&folder->audit, slice_str(line)), 0);
    }
    for (int i = 0; i < AUDIT_FILES_MAX; i++) {
        snprintf(whole, sizeof whole, "coupond-audit 1 t\nis %d\n", 99 + 3 * AUDIT_FILES_MAX - i);
        assert_string_equal(read_file(folder, i), whole);
    }
    assert_null(read_file(folder, AUDIT_FILES_MAX));
}

/* The limit of a file's size does what a full disk does: part of a write, then none. */
static void what_does_not_fit_is_not_there_and_comes_later(void **state) {
    struct folder *folder = *state;
    struct rlimit limit, before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(open_it(folder, "t", 1000), 0);
    assert_int_equal(audit_file_append(&folder->audit, SLICE("one\n")), 0);
    limit = (struct rlimit){.rlim_cur = 25, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(audit_file_append(&folder->audit, SLICE("two and three\n")), -EFBIG);
    assert_string_equal(read_file(folder, 0), "coupond-audit 1 t\none\n");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(audit_file_append(&folder->audit, SLICE("two and three\n")), 0);
    assert_string_equal(read_file(folder, 0), "coupond-audit 1 t\none\ntwo and three\n");
}

static void two_writers_are_one_too_many(void **state) {
    struct folder *folder = *state;
    struct audit_file second;
    struct err err = {0};
    assert_int_equal(open_it(folder, "t", 1000), 0);
    assert_int_equal(audit_file_open(&second, folder->file, "t", 1000, &err), -EWOULDBLOCK);
    assert_non_null(strstr(err.text, "another process writes"));
    assert_int_equal(audit_file_open(&second, "/nowhere/audit.log", "t", 1000, &err), -ENOENT);
}

static void a_device_is_neither_cut_nor_renamed(void **state) {
    struct folder *folder = *state;
    struct err err = {0};
    assert_int_equal(audit_file_open(&folder->audit, "/dev/full", "t", 4, &err), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(audit_file_append(&folder->audit, SLICE("one\n")), -ENOSPC);
    assert_int_equal(access("/dev/full.1", F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_appended_behind_those_that_are_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_crash_left_of_a_line_is_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_another_topic_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_files_are_kept_in_a_bounded_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_there_and_comes_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_writers_are_one_too_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_is_neither_cut_nor_renamed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
