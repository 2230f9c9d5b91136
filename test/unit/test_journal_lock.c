/* SPDX-License-Identifier: Apache-2.0
 *
 * Two writers never share a data folder, and the second one is told whom to look for.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "log/journal_lock.h"

static char folder[64];

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/coupond-lock-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    char path[80];
    snprintf(path, sizeof(path), "%s/lock", folder);
    unlink(path);
    return rmdir(folder);
}

static void second_is_refused_until_release(void **state) {
    (void)state;
    struct err err;
    int first, second;
    assert_int_equal(journal_lock_take(folder, &first, &err), 0);
    assert_int_equal(journal_lock_take(folder, &second, &err), -EBUSY);
    assert_int_equal(second, -1);
    char wanted[128];
    snprintf(wanted, sizeof(wanted), "data folder %s is in use by process %ld", folder,
             (long)getpid());
    assert_string_equal(err.text, wanted);
    journal_lock_release(first);
    assert_int_equal(journal_lock_take(folder, &second, &err), 0);
    journal_lock_release(second);
    journal_lock_release(-1);
}

/* The lock ends with the process that holds it, even by SIGKILL. */
static void ends_with_its_process(void **state) {
    (void)state;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct err err;
        int fd;
        if (journal_lock_take(folder, &fd, &err) != 0) _exit(1);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct err err;
    int fd;
    assert_int_equal(journal_lock_take(folder, &fd, &err), -EBUSY);
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "by process %ld", (long)child);
    assert_non_null(strstr(err.text, wanted));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(journal_lock_take(folder, &fd, &err), 0);
    journal_lock_release(fd);
    close(ready[0]);
    close(ready[1]);
}

static void no_folder_no_lock(void **state) {
    (void)state;
    struct err err;
    int fd;
    assert_int_equal(journal_lock_take("/nonexistent", &fd, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/lock"));
    static char name[9000];
    memset(name, 'x', sizeof(name) - 1);
    assert_int_equal(journal_lock_take(name, &fd, &err), -ENAMETOOLONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(second_is_refused_until_release, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_with_its_process, set_up, tear_down),
        cmocka_unit_test(no_folder_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
