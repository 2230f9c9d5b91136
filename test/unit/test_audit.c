/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told is noted once, by any number of threads, and never waits for the disk.
 */
#include "record/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/logger.h"

enum { TEXT_BYTES = 1 << 20 };

struct folder {
    char path[64], file[96];
    char text[TEXT_BYTES];
};

static int set_up(void **state) {
    struct folder *folder = calloc(1, sizeof *folder);
    strcpy(folder->path, "/tmp/audit-XXXXXX");
    if (mkdtemp(folder->path) == NULL) return -1;
    snprintf(folder->file, sizeof folder->file, "%s/audit.log", folder->path);
    *state = folder;
    return 0;
}

static int tear_down(void **state) {
    struct folder *folder = *state;
    unlink(folder->file);
    int left = rmdir(folder->path);
    free(folder);
    return left;
}

static struct audit *start(const char *path) {
    struct err err = {0};
    struct audit *audit = audit_start(
        &(struct audit_options){
            .path = path, .topic = "t", .file_bytes_max = 64 << 20, .threads_count = 2},
        &err);
    assert_non_null(audit);
    return audit;
}

static void tell(struct audit *audit, uint32_t thread, uint64_t seq, uint32_t serial,
                 const char *user) {
    audit_note(audit, thread,
               &(struct audit_told){.event_id = SLICE("EV"),
                                    .user_id = slice_str(user),
                                    .event = 3,
                                    .serial = serial,
                                    .seq = seq});
}

static const char *read_file(struct folder *folder) {
    FILE *from = fopen(folder->file, "r");
    assert_non_null(from);
    size_t n = fread(folder->text, 1, TEXT_BYTES - 1, from);
    folder->text[n] = '\0';
    fclose(from);
    return folder->text;
}

static void what_is_told_is_noted_once_by_each_thread(void **state) {
    struct folder *folder = *state;
    struct audit *audit = start(folder->file);
    for (int i = 0; i < 1000; i++) tell(audit, 0, 17, 1, "ada");
    tell(audit, 0, 18, 2, "bob");
    tell(audit, 1, 19, 1, "ada");
    audit_stop(audit);
    assert_string_equal(read_file(folder),
                        "coupond-audit 1 t\n17 EV 1 ada\n18 EV 2 bob\n19 EV 1 ada\n");
}

static void await(const struct audit *audit, uint64_t lines, uint64_t failures) {
    struct audit_counts counts;
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        audit_count(audit, &counts);
    } while (counts.lines < lines || counts.failures < failures);
}

static void it_is_written_while_others_are_told(void **state) {
    struct folder *folder = *state;
    struct audit *audit = start(folder->file);
    struct audit_counts counts;
    char user[16];
    for (uint32_t turn = 0; turn < 5; turn++) {
        for (uint32_t i = turn * 4000; i < (turn + 1) * 4000; i++) {
            snprintf(user, sizeof user, "u%u", i);
            tell(audit, i % 2, i, i, user);
        }
        await(audit, 4000 * (turn + 1), 0);
    }
    audit_count(audit, &counts);
    assert_int_equal(counts.lines, 20000);
    assert_int_equal(counts.lost, 0);
    audit_stop(audit);
    size_t lines = 0;
    for (const char *p = read_file(folder); *p != '\0'; p++) lines += *p == '\n';
    assert_int_equal(lines, 20001);
}

static void a_full_disk_keeps_nobody_waiting(void **state) {
    (void)state;
    struct audit *audit = start("/dev/full");
    struct audit_counts counts;
    char user[16];
    logger_set_level(LOG_ERROR);
    for (uint32_t i = 0; i < 10000; i++) {
        snprintf(user, sizeof user, "u%u", i);
        tell(audit, 0, i, i, user);
    }
    await(audit, 0, 2);
    audit_count(audit, &counts);
    assert_int_equal(counts.lines, 0);
    assert_true(counts.lost > 0);
    audit_stop(audit);
}

static void a_file_that_cannot_be_made_is_told_of(void **state) {
    (void)state;
    struct err err = {0};
    assert_null(audit_start(
        &(struct audit_options){
            .path = "/nowhere/audit.log", .topic = "t", .file_bytes_max = 4096, .threads_count = 1},
        &err));
    assert_non_null(strstr(err.text, "/nowhere/audit.log"));
    audit_stop(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_told_is_noted_once_by_each_thread, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_is_written_while_others_are_told, set_up, tear_down),
        cmocka_unit_test(a_full_disk_keeps_nobody_waiting),
        cmocka_unit_test(a_file_that_cannot_be_made_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
