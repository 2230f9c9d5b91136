/* SPDX-License-Identifier: Apache-2.0
 *
 * The real disk in a folder of its own, and the two loops over a disk that gives short results.
 */
#include "lib/disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base.h"

static struct disk *const disk = &disk_system;

struct folder {
    char path[64];
    char a[80], b[80];
};

static int make_folder(void **state) {
    static struct folder folder;
    folder = (struct folder){.path = "/tmp/test_disk.XXXXXX"};
    if (mkdtemp(folder.path) == NULL) return -1;
    snprintf(folder.a, sizeof folder.a, "%s/a", folder.path);
    snprintf(folder.b, sizeof folder.b, "%s/b", folder.path);
    *state = &folder;
    return 0;
}

static int remove_folder(void **state) {
    const struct folder *folder = *state;
    unlink(folder->a);
    unlink(folder->b);
    return rmdir(folder->path);
}

static void what_is_written_is_read(void **state) {
    const struct folder *folder = *state;
    int fd = disk->open(disk, folder->a, DISK_CREATE_NEW);
    assert_true(fd >= 0);
    assert_int_equal(disk_write_all(disk, fd, "serial 17", 9, 100), 0);
    assert_int_equal(disk->fdatasync(disk, fd), 0);
    assert_int_equal(disk->size(disk, fd), 109);
    char text[9];
    assert_int_equal(disk_read_all(disk, fd, text, 9, 100), 0);
    assert_memory_equal(text, "serial 17", 9);
    assert_int_equal(disk_read_all(disk, fd, text, 9, 101), -ENODATA);
    assert_int_equal(disk_read_all(disk, fd, text, 0, 1000), 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(disk->close(disk, fd), 0);
}

static void failures_are_negative_errnos(void **state) {
    const struct folder *folder = *state;
    char byte = 0;
    assert_int_equal(disk->open(disk, folder->a, DISK_READ), -ENOENT);
    assert_int_equal(disk->open(disk, folder->a, DISK_WRITE), -ENOENT);
    int fd = disk->open(disk, folder->a, DISK_CREATE_NEW);
    assert_true(fd >= 0);
    assert_int_equal(disk->open(disk, folder->a, DISK_CREATE_NEW), -EEXIST);
    assert_int_equal(disk->close(disk, fd), 0);
    assert_int_equal(disk->close(disk, fd), -EBADF);
    fd = disk->open(disk, folder->a, DISK_READ);
    assert_true(fd >= 0);
    assert_int_equal(disk->pwrite(disk, fd, &byte, 1, 0), -EBADF);
    assert_int_equal(disk_write_all(disk, fd, &byte, 1, 0), -EBADF);
    assert_int_equal(disk->close(disk, fd), 0);
    assert_int_equal(disk->pread(disk, -1, &byte, 1, 0), -EBADF);
    assert_int_equal(disk_read_all(disk, -1, &byte, 1, 0), -EBADF);
    assert_int_equal(disk->fdatasync(disk, -1), -EBADF);
    assert_int_equal(disk->fallocate(disk, -1, 1), -EBADF);
    assert_int_equal(disk->size(disk, -1), -EBADF);
    assert_int_equal(disk->rename(disk, folder->b, folder->a), -ENOENT);
    assert_int_equal(disk->unlink(disk, folder->b), -ENOENT);
    assert_int_equal(disk->sync_directory(disk, folder->b), -ENOENT);
    assert_int_equal(disk->sync_directory(disk, folder->a), -ENOTDIR);
    assert_int_equal(disk->list(disk, folder->b, NULL, NULL), -ENOENT);
}

static void files_are_not_inherited_by_programs(void **state) {
    const struct folder *folder = *state;
    for (enum disk_open how = DISK_CREATE_NEW;; how = how == DISK_WRITE ? DISK_READ : DISK_WRITE) {
        int fd = disk->open(disk, folder->a, how);
        assert_true(fd >= 0);
        char name[64], line[256];
        snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
        FILE *info = fopen(name, "re");
        assert_non_null(info);
        unsigned flags = 0;
        while (fgets(line, sizeof line, info) != NULL) {
            if (sscanf(line, "flags: %o", &flags) == 1) break;
        }
        fclose(info);
        assert_true((flags & 02000000) != 0); /* O_CLOEXEC */
        assert_int_equal(disk->close(disk, fd), 0);
        if (how == DISK_READ) break;
    }
}

static void room_is_allocated(void **state) {
    const struct folder *folder = *state;
    int fd = disk->open(disk, folder->a, DISK_CREATE_NEW);
    assert_true(fd >= 0);
    int result = disk->fallocate(disk, fd, 65536);
    assert_true(result == 0 || result == -EOPNOTSUPP);
    if (result == 0) assert_int_equal(disk->size(disk, fd), 65536);
    assert_int_equal(disk->close(disk, fd), 0);
}

static void count_name(void *ctx, const char *name) {
    int *seen = ctx;
    *seen += strcmp(name, "a") == 0 ? 1 : strcmp(name, "b") == 0 ? 10 : 100;
}

static void names_come_and_go(void **state) {
    const struct folder *folder = *state;
    int seen = 0;
    assert_int_equal(disk->list(disk, folder->path, count_name, &seen), 0);
    assert_int_equal(seen, 0);
    int fd = disk->open(disk, folder->a, DISK_CREATE_NEW);
    assert_int_equal(disk->close(disk, fd), 0);
    assert_int_equal(disk->rename(disk, folder->a, folder->b), 0);
    assert_int_equal(disk->sync_directory(disk, folder->path), 0);
    assert_int_equal(disk->list(disk, folder->path, count_name, &seen), 0);
    assert_int_equal(seen, 10);
    assert_int_equal(disk->unlink(disk, folder->b), 0);
    assert_int_equal(disk->list(disk, folder->path, count_name, &seen), 0);
    assert_int_equal(seen, 10);
}

/* A disk whose nth call gives the nth result: 0 is the end, more is at most so many bytes. */
struct short_disk {
    struct disk disk;
    const int *results;
    int calls;
    char bytes[64];
};

static ssize_t next_result(struct short_disk *sd, size_t bytes) {
    int result = sd->results[sd->calls++];
    return result > 0 ? (ssize_t)size_min((size_t)result, bytes) : result;
}

static ssize_t short_pread(struct disk *d, int fd, void *to, size_t bytes, uint64_t offset) {
    struct short_disk *sd = CONTAINER_OF(d, struct short_disk, disk);
    assert_int_equal(fd, 3);
    ssize_t got = next_result(sd, bytes);
    if (got > 0) memcpy(to, sd->bytes + offset, (size_t)got);
    return got;
}

static ssize_t short_pwrite(struct disk *d, int fd, const void *from, size_t bytes,
                            uint64_t offset) {
    struct short_disk *sd = CONTAINER_OF(d, struct short_disk, disk);
    assert_int_equal(fd, 3);
    ssize_t got = next_result(sd, bytes);
    if (got > 0) memcpy(sd->bytes + offset, from, (size_t)got);
    return got;
}

static struct short_disk short_disk(const int *results) {
    return (struct short_disk){.disk = {.pread = short_pread, .pwrite = short_pwrite},
                               .results = results};
}

static void short_results_are_made_whole(void **state) {
    (void)state;
    static const int results[] = {3, -EINTR, 1, -EINTR, -EINTR, 2, 100};
    struct short_disk sd = short_disk(results);
    assert_int_equal(disk_write_all(&sd.disk, 3, "0123456789", 10, 5), 0);
    assert_int_equal(sd.calls, 7);
    assert_memory_equal(sd.bytes + 5, "0123456789", 10);
    assert_int_equal(sd.bytes[4], 0);
    assert_int_equal(sd.bytes[15], 0);
    sd.calls = 0;
    char back[10];
    assert_int_equal(disk_read_all(&sd.disk, 3, back, 10, 5), 0);
    assert_int_equal(sd.calls, 7);
    assert_memory_equal(back, "0123456789", 10);
}

static void a_failure_in_the_middle_is_a_failure(void **state) {
    (void)state;
    static const int full[] = {3, -ENOSPC}, broken[] = {3, -EIO}, end[] = {3, 0};
    char back[10];
    struct short_disk sd = short_disk(full);
    assert_int_equal(disk_write_all(&sd.disk, 3, "0123456789", 10, 0), -ENOSPC);
    sd = short_disk(end);
    assert_int_equal(disk_write_all(&sd.disk, 3, "0123456789", 10, 0), -EIO);
    sd = short_disk(broken);
    assert_int_equal(disk_read_all(&sd.disk, 3, back, 10, 0), -EIO);
    sd = short_disk(end);
    assert_int_equal(disk_read_all(&sd.disk, 3, back, 10, 0), -ENODATA);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_is_written_is_read),
        IN_FOLDER(failures_are_negative_errnos),
        IN_FOLDER(files_are_not_inherited_by_programs),
        IN_FOLDER(room_is_allocated),
        IN_FOLDER(names_come_and_go),
        cmocka_unit_test(short_results_are_made_whole),
        cmocka_unit_test(a_failure_in_the_middle_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
