/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions end the process and name their place; the small arithmetic.
 */
#include "lib/base.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The status with which `end`, which does not return, ends a process, and what it says. */
static int status_of_end(void (*end)(void), char text[256]) {
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        end();
        _exit(0);
    }
    close(ends[1]);
    memset(text, 0, 256);
    assert_true(read(ends[0], text, 255) > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void break_a_guarantee(void) {
    assert_failed("stock >= 0", "claim.c", 42);
}

static void a_broken_guarantee_aborts_and_names_its_place(void **state) {
    (void)state;
    char text[256];
    int status = status_of_end(break_a_guarantee, text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_string_equal(text, "claim.c:42: assertion failed: stock >= 0\n");
}

static void need_what_is_not_there(void) {
    memory_needed(NULL);
}

static void want_of_memory_is_a_fail_stop(void **state) {
    (void)state;
    char text[256];
    int here, status = status_of_end(need_what_is_not_there, text);
    assert_ptr_equal(memory_needed(&here), &here);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
    assert_non_null(strstr(text, "out of memory"));
}

static void an_assertion_that_holds_evaluates_once(void **state) {
    (void)state;
    int evaluated = 0;
    ASSERT(++evaluated == 1);
    assert_int_equal(evaluated, 1);
}

struct outer {
    int before;
    int inner;
};

static void small_arithmetic(void **state) {
    (void)state;
    struct outer outer = {1, 2};
    assert_ptr_equal(CONTAINER_OF(&outer.inner, struct outer, inner), &outer);
    assert_int_equal(size_min(3, 4), 3);
    assert_int_equal(size_max(3, 4), 4);
    assert_int_equal(round_up(0, 8), 0);
    assert_int_equal(round_up(1, 8), 8);
    assert_int_equal(round_up(8, 8), 8);
    assert_int_equal(round_up(9, 8), 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_guarantee_aborts_and_names_its_place),
        cmocka_unit_test(want_of_memory_is_a_fail_stop),
        cmocka_unit_test(an_assertion_that_holds_evaluates_once),
        cmocka_unit_test(small_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
