/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls that durable data goes through, as a table, so that the simulator and the fault tests
 * own every one of them. Each call is the POSIX one of the same name and returns what it returns,
 * except that failures come back as a negative errno and never through the variable errno.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct disk;

/* How disk_open opens. */
enum disk_open {
    DISK_READ,       /* an existing file, read only */
    DISK_WRITE,      /* an existing file, read and write */
    DISK_CREATE_NEW, /* must not exist yet; read and write; mode 0600 */
};

struct disk {
    int (*open)(struct disk *disk, const char *path, enum disk_open how);
    int (*close)(struct disk *disk, int fd);
    /* Bytes read or written, may be short. */
    ssize_t (*pread)(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset);
    ssize_t (*pwrite)(struct disk *disk, int fd, const void *from, size_t bytes, uint64_t offset);
    int (*fdatasync)(struct disk *disk, int fd);
    int (*fallocate)(struct disk *disk, int fd, uint64_t bytes); /* -EOPNOTSUPP is not an error */
    int64_t (*size)(struct disk *disk, int fd);                  /* bytes */
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*unlink)(struct disk *disk, const char *path);
    int (*sync_directory)(struct disk *disk, const char *path);
    /* Calls `on_name` for each entry of the directory except "." and "..", in no order. */
    int (*list)(struct disk *disk, const char *path, void (*on_name)(void *ctx, const char *name),
                void *ctx);
};

/* The real one. */
extern struct disk disk_system;

/* Write or read all of it, over short results; 0 or a negative errno (reading past the end is
 * -ENODATA). */
int disk_write_all(struct disk *disk, int fd, const void *from, size_t bytes, uint64_t offset);
int disk_read_all(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset);

/* Copies the first `bytes` bytes of one file to the same place of another. As above. */
int disk_copy(struct disk *disk, int from, int to, uint64_t bytes);
