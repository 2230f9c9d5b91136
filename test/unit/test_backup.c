/* SPDX-License-Identifier: Apache-2.0
 *
 * What `coupond backup` leaves behind: a folder that is whole, or none; and what it says of it.
 */
#include "claim/backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
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

#include "claim/coupon_code.h"
#include "log/journal.h"

static char folder[64], data[96], backup[96], making[96], config[96];
static char output[4096], errors[4096];

static const struct option table[] = {
    {"config", OPTION_TEXT, 1, NULL, 0, 0, NULL, "FILE", "", false},
    {"jwt-keys", OPTION_TEXT, 1, NULL, 1, 0, NULL, "FILE", "", false},
    {"data-dir", OPTION_TEXT, 1, "data", 0, 0, NULL, "DIR", "", false},
    {"with-token", OPTION_SWITCH, 1, "false", 0, 0, NULL, NULL, "", false},
};

/* ---- A data folder ---- */

static int ignore(void *ctx, const struct record *record, struct slice encoded) {
    (void)ctx, (void)record, (void)encoded;
    return 0;
}

static void write_file(const char *name, const char *text, mode_t mode) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", data, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void open_event(const char *event, uint64_t key_id) {
    const struct journal_options options = {
        .folder = data, .segment_bytes = 64 * 1024, .disk = &disk_system, .random = &random_system};
    struct journal *journal;
    struct err err;
    if (journal_open(&journal, &options, ignore, NULL, &err) != 0) fail_msg("%s", err.text);
    const struct record record = {.type = RECORD_OPEN,
                                  .ms = 1,
                                  .event_id = slice_of(event, strlen(event)),
                                  .open = {.stock = 3,
                                           .starts_ms = TIME_MS_MIN,
                                           .ends_ms = TIME_MS_MAX,
                                           .key_id = key_id,
                                           .code = code_format_default}};
    _Alignas(8) char bytes[RECORD_BYTES_MAX];
    size_t n = record_encode(bytes, &record);
    assert_true(n > 0);
    assert_int_equal(journal_append(journal, bytes, n, 1), 0);
    journal_close(journal);
}

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/coupond-backup-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(backup, sizeof backup, "%s/copy", folder);
    snprintf(making, sizeof making, "%s/copy.tmp", folder);
    snprintf(config, sizeof config, "%s/own.conf", folder);
    if (mkdir(data, 0700) != 0) return -1;
    struct code_keys keys;
    struct err err;
    if (code_keys_load(&keys, data, true, &random_system, &err) != 0) return -1;
    write_file("admin.token", "0123456789abcdef\n", 0600);
    write_file("lock", "1\n", 0600);
    open_event("EV", keys.current);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *ftw) {
    (void)info, (void)flag, (void)ftw;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- Running it ---- */

static int keep(int fd, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int kept = dup(fd), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(file, fd);
    close(file);
    return kept;
}

static void give_back(int fd, int kept, char *text, size_t max) {
    ssize_t n = pread(fd, text, max - 1, 0);
    text[n < 0 ? 0 : n] = '\0';
    dup2(kept, fd);
    close(kept);
}

static int run(int words, char **word, const char *first, const char *second) {
    char *argv[] = {"backup", "--data-dir", data, (char *)(uintptr_t)first,
                    (char *)(uintptr_t)second};
    int argc = second != NULL ? 5 : first != NULL ? 4 : 3, found = 0;
    struct options options;
    struct err err;
    bool help;
    assert_int_equal(options_read(&options, table, ARRAY_LEN(table), 1, "NONE_", argc, argv, &found,
                                  &help, &err),
                     0);
    fflush(stdout);
    mode_t mask = umask(0);
    int out = keep(STDOUT_FILENO, "out"), errs = keep(STDERR_FILENO, "err");
    int status = backup_command(&options, words, word);
    fflush(stdout);
    give_back(STDOUT_FILENO, out, output, sizeof output);
    give_back(STDERR_FILENO, errs, errors, sizeof errors);
    umask(mask);
    options_free(&options);
    return status;
}

static int back_up(const char *first, const char *second) {
    char *word[] = {backup};
    return run(1, word, first, second);
}

static void assert_says(const char *text, const char *words) {
    if (strstr(text, words) == NULL) fail_msg("no \"%s\" in: %s", words, text);
}

static bool exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

static int mode_of(const char *name) {
    char path[160];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", backup, name);
    return stat(path, &info) == 0 ? (int)(info.st_mode & 0777) : -1;
}

static int files_count(void) {
    int count = 0;
    DIR *directory = opendir(backup);
    assert_non_null(directory);
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count - 2;
}

/* ---- The tests ---- */

static void journal_and_keys_are_copied(void **state) {
    (void)state;
    assert_int_equal(back_up(NULL, NULL), 0);
    assert_int_equal(files_count(), 2);
    assert_int_equal(mode_of("."), 0700);
    assert_int_equal(mode_of("journal-0000000000000001.log"), 0600);
    assert_int_equal(mode_of("code-1.key"), 0600);
    assert_false(exists(making));
    assert_says(output, "records     1\n");
    assert_says(output, "last seq    1\n");
    assert_says(output, "events      1\n");
    assert_says(output, "keys        1\n");
    assert_says(output, "token       no\n");
    assert_says(output, "config      no\n");
    assert_string_equal(errors, "");
}

static void with_all_of_it(void **state) {
    (void)state;
    FILE *file = fopen(config, "w");
    fprintf(file, "data-dir = /elsewhere\n");
    fclose(file);
    char flag[128];
    snprintf(flag, sizeof flag, "--config=%s", config);
    assert_int_equal(back_up("--with-token", flag), 0);
    assert_int_equal(files_count(), 4);
    assert_int_equal(mode_of("admin.token"), 0600);
    assert_int_equal(mode_of("coupond.conf"), 0600);
    assert_says(output, "token       yes\n");
    assert_says(output, "config      yes\n");
}

static void what_exists_is_not_touched(void **state) {
    (void)state;
    assert_int_equal(mkdir(backup, 0755), 0);
    assert_int_equal(back_up(NULL, NULL), 1);
    assert_says(errors, "exists");
    assert_int_equal(files_count(), 0);
    assert_int_equal(rmdir(backup), 0);
    assert_int_equal(symlink("/nonexistent", backup), 0);
    assert_int_equal(back_up(NULL, NULL), 1);
    assert_int_equal(unlink(backup), 0);
    assert_int_equal(mkdir(making, 0755), 0);
    assert_int_equal(back_up(NULL, NULL), 1);
    assert_says(errors, "remove it");
    assert_true(exists(making));
    assert_false(exists(backup));
}

static void what_fails_leaves_nothing(void **state) {
    (void)state;
    char path[160];
    snprintf(path, sizeof path, "%s/admin.token", data);
    unlink(path);
    assert_int_equal(back_up("--with-token", NULL), 1);
    assert_says(errors, "admin.token");
    snprintf(path, sizeof path, "%s/code-1.key", data);
    unlink(path);
    assert_int_equal(back_up(NULL, NULL), 1);
    assert_says(errors, "no key file");
    snprintf(path, sizeof path, "%s/journal-0000000000000001.log", data);
    unlink(path);
    assert_int_equal(back_up(NULL, NULL), 1);
    assert_says(errors, "no journal");
    assert_false(exists(backup));
    assert_false(exists(making));
}

/* What the data folder lacks the copy cannot have; it is made, and somebody is told. */
static void a_missing_key_is_named(void **state) {
    (void)state;
    open_event("FOREIGN", 0x1234);
    assert_int_equal(back_up(NULL, NULL), 1);
    assert_says(errors, "0000000000001234 of event FOREIGN");
    assert_says(output, "events      2\n");
    assert_int_equal(files_count(), 2);
}

static void a_slash_at_the_end_is_no_name(void **state) {
    (void)state;
    char slashed[128];
    snprintf(slashed, sizeof slashed, "%s//", backup);
    char *word[] = {slashed};
    assert_int_equal(run(1, word, NULL, NULL), 0);
    assert_int_equal(files_count(), 2);
    assert_false(exists(making));
}

static void wrong_usage_is_told(void **state) {
    (void)state;
    char empty[] = "", *none[] = {empty}, *two[] = {backup, making};
    assert_int_equal(run(0, none, NULL, NULL), 2);
    assert_int_equal(run(1, none, NULL, NULL), 2);
    assert_int_equal(run(2, two, NULL, NULL), 2);
    assert_false(exists(backup));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(journal_and_keys_are_copied), TEST(with_all_of_it),
        TEST(what_exists_is_not_touched),  TEST(what_fails_leaves_nothing),
        TEST(a_missing_key_is_named),      TEST(a_slash_at_the_end_is_no_name),
        TEST(wrong_usage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
