/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets are made whole or not at all, and read only when nobody else can.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/disk.h"
#include "lib/secret_file.h"

struct folder {
    char path[64], file[96];
};

static int set_up(void **state) {
    struct folder *folder = calloc(1, sizeof *folder);
    strcpy(folder->path, "/tmp/secret-XXXXXX");
    if (mkdtemp(folder->path) == NULL) return -1;
    snprintf(folder->file, sizeof folder->file, "%s/a.secret", folder->path);
    *state = folder;
    return 0;
}

static int tear_down(void **state) {
    struct folder *folder = *state;
    unlink(folder->file);
    int left = rmdir(folder->path); /* fails when a half-made file was left behind */
    free(folder);
    return left;
}

static void read_file(const char *path, char text[SECRET_FILE_BYTES + 1]) {
    struct err err = {0};
    int fd = secret_file_open(path, &err);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, SECRET_FILE_BYTES + 1), SECRET_FILE_BYTES);
    text[SECRET_FILE_BYTES] = '\0';
    close(fd);
}

static void a_secret_is_new_and_private(void **state) {
    struct folder *folder = *state;
    struct err err = {0};
    struct stat found;
    char text[SECRET_FILE_BYTES + 1];
    assert_int_equal(secret_file_create(folder->path, "a.secret", &random_system, &err), 0);
    assert_int_equal(stat(folder->file, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(found.st_size, SECRET_FILE_BYTES);
    read_file(folder->file, text);
    assert_int_equal(strspn(text, "0123456789abcdef"), 2 * SECRET_RANDOM_BYTES);
    assert_int_equal(text[SECRET_FILE_BYTES - 1], '\n');
}

static void one_that_is_there_stays(void **state) {
    struct folder *folder = *state;
    struct err err = {0};
    char before[SECRET_FILE_BYTES + 1], after[SECRET_FILE_BYTES + 1];
    assert_int_equal(secret_file_create(folder->path, "a.secret", &random_system, &err), 0);
    read_file(folder->file, before);
    assert_int_equal(secret_file_create(folder->path, "a.secret", &random_system, &err), 0);
    read_file(folder->file, after);
    assert_memory_equal(before, after, SECRET_FILE_BYTES);
}

static void what_others_may_read_is_refused(void **state) {
    struct folder *folder = *state;
    struct err err = {0};
    assert_int_equal(secret_file_open(folder->file, &err), -ENOENT);
    assert_int_equal(secret_file_create(folder->path, "a.secret", &random_system, &err), 0);
    static const mode_t modes[] = {0604, 0640, 0610, 0601};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_int_equal(chmod(folder->file, modes[i]), 0);
        assert_int_equal(secret_file_open(folder->file, &err), -EACCES);
        assert_non_null(strstr(err.text, "chmod 600"));
    }
    assert_int_equal(chmod(folder->file, 0400), 0);
    int fd = secret_file_open(folder->file, &err);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(secret_file_open(folder->path, &err), -EBADMSG);
}

static void a_folder_that_is_not_there_is_named(void **state) {
    (void)state;
    struct err err = {0};
    assert_int_equal(secret_file_create("/nowhere", "a", &random_system, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_secret_is_new_and_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_there_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_others_may_read_is_refused, set_up, tear_down),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
