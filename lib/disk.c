/* SPDX-License-Identifier: Apache-2.0
 *
 * The real disk: each call is the system call of the same name with its errno made a result. And
 * the two loops that turn short results into whole ones, for any disk. Called by the journal and by
 * whoever keeps files that must last.
 */
#include "lib/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base.h"

/* Interrupted by a signal is not an outcome anybody wants to hear of: asked again. */
#define RETRIED(call)                                                                              \
    ({                                                                                             \
        long result_;                                                                              \
        do result_ = (long)(call);                                                                 \
        while (result_ < 0 && errno == EINTR);                                                     \
        result_ < 0 ? -(long)errno : result_;                                                      \
    })

static int flags_of(enum disk_open how) {
    if (how == DISK_READ) return O_RDONLY | O_CLOEXEC;
    if (how == DISK_WRITE) return O_RDWR | O_CLOEXEC;
    ASSERT(how == DISK_CREATE_NEW);
    return O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
}

static int system_open(struct disk *disk, const char *path, enum disk_open how) {
    (void)disk;
    return (int)RETRIED(open(path, flags_of(how), 0600));
}

/* Linux has let go of the descriptor even when close reports EINTR: asking again could close a file
 * that another thread has just opened. */
static int system_close(struct disk *disk, int fd) {
    (void)disk;
    return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

static ssize_t system_pread(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset) {
    (void)disk;
    return RETRIED(pread(fd, to, bytes, (off_t)offset));
}

static ssize_t system_pwrite(struct disk *disk, int fd, const void *from, size_t bytes,
                             uint64_t offset) {
    (void)disk;
    return RETRIED(pwrite(fd, from, bytes, (off_t)offset));
}

/* Only an interruption is asked again. After any other failure the kernel may have dropped the
 * dirty pages, and a second fdatasync would report success over lost data. */
static int system_fdatasync(struct disk *disk, int fd) {
    (void)disk;
    return (int)RETRIED(fdatasync(fd));
}

static int system_fallocate(struct disk *disk, int fd, uint64_t bytes) {
    (void)disk;
    return (int)RETRIED(fallocate(fd, 0, 0, (off_t)bytes));
}

static int64_t system_size(struct disk *disk, int fd) {
    (void)disk;
    struct stat status;
    return fstat(fd, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static int system_rename(struct disk *disk, const char *from, const char *to) {
    (void)disk;
    return rename(from, to) == 0 ? 0 : -errno;
}

static int system_unlink(struct disk *disk, const char *path) {
    (void)disk;
    return unlink(path) == 0 ? 0 : -errno;
}

/* A name is durable when its directory is: after creating, renaming or removing a file. */
static int system_sync_directory(struct disk *disk, const char *path) {
    int fd = (int)RETRIED(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return fd;
    int result = (int)RETRIED(fsync(fd));
    int closed = system_close(disk, fd);
    return result < 0 ? result : closed;
}

static int system_list(struct disk *disk, const char *path,
                       void (*on_name)(void *ctx, const char *name), void *ctx) {
    (void)disk;
    /* Not opendir, whose file descriptor ThreadSanitizer does not see being opened. */
    int fd = (int)RETRIED(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return fd;
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        int code = -errno;
        close(fd);
        return code;
    }
    int result = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            result = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            on_name(ctx, entry->d_name);
        }
    }
    closedir(directory);
    return result;
}

struct disk disk_system = {
    .open = system_open,
    .close = system_close,
    .pread = system_pread,
    .pwrite = system_pwrite,
    .fdatasync = system_fdatasync,
    .fallocate = system_fallocate,
    .size = system_size,
    .rename = system_rename,
    .unlink = system_unlink,
    .sync_directory = system_sync_directory,
    .list = system_list,
};

int disk_write_all(struct disk *disk, int fd, const void *from, size_t bytes, uint64_t offset) {
    const char *p = from;
    while (bytes > 0) {
        ssize_t written = disk->pwrite(disk, fd, p, bytes, offset);
        if (written == -EINTR) continue;
        if (written < 0) return (int)written;
        /* Nothing written and no reason given: asking again could go on for ever. */
        if (written == 0) return -EIO;
        ASSERT((size_t)written <= bytes);
        p += written;
        bytes -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

int disk_read_all(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset) {
    char *p = to;
    while (bytes > 0) {
        ssize_t got = disk->pread(disk, fd, p, bytes, offset);
        if (got == -EINTR) continue;
        if (got < 0) return (int)got;
        if (got == 0) return -ENODATA;
        ASSERT((size_t)got <= bytes);
        p += got;
        bytes -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

int disk_copy(struct disk *disk, int from, int to, uint64_t bytes) {
    char part[64 * 1024];
    for (uint64_t at = 0; at < bytes;) {
        size_t n = size_min((size_t)(bytes - at), sizeof part);
        int code = disk_read_all(disk, from, part, n, at);
        if (code == 0) code = disk_write_all(disk, to, part, n, at);
        if (code != 0) return code;
        at += n;
    }
    return 0;
}
