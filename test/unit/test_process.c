/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc says of this very process, held against what can be known otherwise.
 */
#include "lib/process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base.h"

static void usage_is_that_of_this_process(void **state) {
    (void)state;
    struct process_usage usage;
    process_read(&usage);
    double now_s = (double)time(NULL);
    /* The machine's start is known to the second. */
    assert_true(usage.start_s > now_s - 3600 && usage.start_s < now_s + 2);
    assert_int_equal(usage.threads, 1);
    assert_true(usage.resident_bytes > 100 * 1024 && usage.virtual_bytes >= usage.resident_bytes);
}

static void memory_and_time_that_are_used_are_seen(void **state) {
    (void)state;
    enum { BYTES = 64 * 1024 * 1024 };
    struct process_usage before, after;
    process_read(&before);
    char *memory = malloc(BYTES);
    assert_non_null(memory);
    do {
        memset(memory, 1, BYTES);
        process_read(&after);
    } while (after.cpu_s < before.cpu_s + 0.02);
    assert_true(after.resident_bytes > before.resident_bytes + BYTES / 2);
    assert_true(after.virtual_bytes > before.virtual_bytes + BYTES / 2);
    free(memory);
}

static void a_name_with_spaces_and_brackets_misleads_nobody(void **state) {
    (void)state;
    char name[16] = {0};
    struct process_usage before, after;
    process_read(&before);
    assert_int_equal(prctl(PR_GET_NAME, name), 0);
    assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (2 3"), 0);
    process_read(&after);
    prctl(PR_SET_NAME, name);
    assert_true(after.start_s == before.start_s);
    assert_int_equal(after.threads, before.threads);
}

static void open_files_are_counted(void **state) {
    (void)state;
    struct rlimit files;
    uint64_t before = process_open_fds();
    int fds[5];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    assert_int_equal(process_open_fds(), before + ARRAY_LEN(fds));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) close(fds[i]);
    assert_int_equal(process_open_fds(), before);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(process_max_fds(), files.rlim_cur);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_is_that_of_this_process),
        cmocka_unit_test(memory_and_time_that_are_used_are_seen),
        cmocka_unit_test(a_name_with_spaces_and_brackets_misleads_nobody),
        cmocka_unit_test(open_files_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
