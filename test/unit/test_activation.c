/* SPDX-License-Identifier: Apache-2.0
 *
 * Passed sockets are found by their names, whatever their order; what was not meant for this
 * process is left alone. Each case is a process of its own, so that descriptor 3 is its to give.
 */
#include "api/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct given {
    const char *fds, *names, *pid; /* pid: NULL stands for the process itself */
    int open;                      /* descriptors from 3 on that are open */
};

struct found {
    int code, public_fd, admin_fd;
    bool are_closed_on_exec, are_variables_gone;
    char text[512];
};

static void set(const char *variable, const char *value) {
    if (value == NULL)
        unsetenv(variable);
    else
        setenv(variable, value, 1);
}

static struct found look(const struct given *given) {
    struct found found = {.are_closed_on_exec = true};
    char own[32];
    snprintf(own, sizeof own, "%d", (int)getpid());
    for (int i = 0; i < 4; i++) close(3 + i);
    for (int i = 0; i < given->open; i++) dup2(STDERR_FILENO, 3 + i);
    set("LISTEN_PID", given->pid == NULL ? own : given->pid);
    set("LISTEN_FDS", given->fds);
    set("LISTEN_FDNAMES", given->names);
    struct passed_socket sockets[] = {{.name = "public"}, {.name = "admin"}};
    struct err err = {0};
    found.code = activation_take(sockets, ARRAY_LEN(sockets), &err);
    found.public_fd = sockets[0].fd;
    found.admin_fd = sockets[1].fd;
    for (size_t i = 0; i < ARRAY_LEN(sockets); i++)
        if (sockets[i].fd >= 0 && fcntl(sockets[i].fd, F_GETFD) != FD_CLOEXEC)
            found.are_closed_on_exec = false;
    found.are_variables_gone =
        !getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES");
    memcpy(found.text, err.text, sizeof found.text);
    return found;
}

static struct found take(struct given given) {
    struct found found;
    int result[2];
    assert_int_equal(pipe(result), 0);
    int out = fcntl(result[1], F_DUPFD, 20);
    pid_t child = fork();
    if (child == 0) {
        found = look(&given);
        _exit(write(out, &found, sizeof found) == (ssize_t)sizeof found ? 0 : 1);
    }
    assert_int_equal(read(result[0], &found, sizeof found), sizeof found);
    waitpid(child, NULL, 0);
    close(result[0]);
    close(result[1]);
    close(out);
    assert_true(found.are_closed_on_exec);
    assert_true(found.are_variables_gone);
    return found;
}

static void assert_found(struct found found, int public_fd, int admin_fd) {
    assert_int_equal(found.code, 0);
    assert_int_equal(found.public_fd, public_fd);
    assert_int_equal(found.admin_fd, admin_fd);
}

static void assert_refused(struct found found, const char *words) {
    assert_int_equal(found.code, -EINVAL);
    if (strstr(found.text, words) == NULL) fail_msg("%s", found.text);
}

static void names_tell_which_is_which(void **state) {
    (void)state;
    assert_found(take((struct given){"2", "public:admin", NULL, 2}), 3, 4);
    assert_found(take((struct given){"2", "admin:public", NULL, 2}), 4, 3);
    assert_found(take((struct given){"1", "public", NULL, 1}), 3, -1);
    assert_found(take((struct given){"1", "admin", NULL, 1}), -1, 3);
}

static void nothing_for_this_process_is_nothing(void **state) {
    (void)state;
    assert_found(take((struct given){NULL, NULL, NULL, 2}), -1, -1);
    assert_found(take((struct given){"2", "public:admin", "1", 2}), -1, -1);
    assert_found(take((struct given){"2", "public:admin", "", 2}), -1, -1);
    assert_found(take((struct given){"0", "", NULL, 2}), -1, -1);
    assert_found(take((struct given){"two", "public:admin", NULL, 2}), -1, -1);
    assert_found(take((struct given){"-1", "public", NULL, 2}), -1, -1);
}

static void what_cannot_be_served_is_refused_by_name(void **state) {
    (void)state;
    assert_refused(take((struct given){"1", "coupond.socket", NULL, 1}),
                   "\"coupond.socket\" was passed: one of each FileDescriptorName=public or admin");
    assert_refused(take((struct given){"2", "public:public", NULL, 2}),
                   "\"public\" was passed twice");
    assert_refused(take((struct given){"1", NULL, NULL, 1}), "a socket named \"\"");
    assert_refused(take((struct given){"2", "public", NULL, 2}), "a socket named \"\"");
    assert_refused(take((struct given){"2", "public:admin", NULL, 1}), "descriptor 4 is not open");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_tell_which_is_which),
        cmocka_unit_test(nothing_for_this_process_is_nothing),
        cmocka_unit_test(what_cannot_be_served_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
