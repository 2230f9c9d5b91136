/* SPDX-License-Identifier: Apache-2.0
 *
 * Called at start, for the keys of coupon codes and for the admin token, and for the keys of
 * tokens.
 */
#include "lib/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/disk.h"
#include "lib/failpoint.h"

static int write_secret(const char *path, struct random_source *random) {
    unsigned char secret[SECRET_RANDOM_BYTES];
    char text[SECRET_FILE_BYTES + 1];
    random_fill(random, secret, sizeof(secret));
    for (size_t i = 0; i < sizeof(secret); i++) snprintf(text + 2 * i, 3, "%02x", secret[i]);
    text[SECRET_FILE_BYTES - 1] = '\n';
    struct disk *disk = &disk_system;
    int fd = disk->open(disk, path, DISK_CREATE_NEW);
    int result = fd < 0 ? fd : disk_write_all(disk, fd, text, SECRET_FILE_BYTES, 0);
    if (result == 0) result = disk->fdatasync(disk, fd);
    if (fd >= 0) disk->close(disk, fd);
    explicit_bzero(secret, sizeof(secret));
    explicit_bzero(text, sizeof(text));
    return result;
}

int secret_file_create(const char *folder, const char *name, struct random_source *random,
                       struct err *err) {
    char path[PATH_MAX], unnamed[PATH_MAX];
    uint64_t number;
    random_fill(random, &number, sizeof(number));
    int n = snprintf(unnamed, sizeof(unnamed), "%s/%s.%016llx", folder, name,
                     (unsigned long long)number);
    if (n >= (int)sizeof(unnamed))
        return err_set(err, -ENAMETOOLONG, "the path of the folder of %s is too long", name);
    snprintf(path, sizeof(path), "%.*s", n - 17, unnamed);

    int result = write_secret(unnamed, random);
    FAILPOINT("secret_written");
    if (result == 0 && link(unnamed, path) != 0 && errno != EEXIST) result = -errno;
    FAILPOINT("secret_named");
    unlink(unnamed);
    FAILPOINT("secret_before_sync");
    if (result == 0) result = disk_system.sync_directory(&disk_system, folder);
    if (result != 0) return err_set(err, result, "cannot make %s: %s", path, strerror(-result));
    return 0;
}

int secret_file_check(int fd, const char *path, mode_t others, struct err *err) {
    struct stat file;
    if (fstat(fd, &file) != 0)
        return err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISREG(file.st_mode)) return err_set(err, -EBADMSG, "%s is no regular file", path);
    if ((file.st_mode & others) != 0)
        return err_set(err, -EACCES, "%s is open to other users: run chmod 600 %s", path, path);
    return 0;
}

int secret_file_open(const char *path, struct err *err) {
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd < 0) return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
    int result = secret_file_check(fd, path, S_IRWXG | S_IRWXO, err);
    if (result == 0) return fd;
    close(fd);
    return result;
}
