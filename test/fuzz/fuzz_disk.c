/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of the disk with one file. That there is one, and that nobody makes, renames or removes
 * another, is asserted: with a segment that is there, recovery has no reason to.
 */
#include "fuzz/fuzz_disk.h"

#include <errno.h>
#include <string.h>

#include "lib/base.h"

enum { FD = 1000, SECTOR_BYTES = 512 };

static const char name[] = "journal-0000000000000001.log";

static struct fuzz_disk *of(struct disk *disk) {
    return CONTAINER_OF(disk, struct fuzz_disk, disk);
}

static struct fuzz_disk *opened(struct disk *disk, int fd) {
    ASSERT(fd == FD && of(disk)->is_open);
    return of(disk);
}

static int disk_open(struct disk *disk, const char *path, enum disk_open how) {
    ASSERT(!of(disk)->is_open && how != DISK_CREATE_NEW);
    ASSERT(strcmp(path + sizeof FUZZ_DISK_FOLDER, name) == 0);
    of(disk)->is_open = true;
    return FD;
}

static int disk_close(struct disk *disk, int fd) {
    opened(disk, fd)->is_open = false;
    return 0;
}

static ssize_t disk_pread(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset) {
    if (offset >= FUZZ_DISK_BYTES) return 0;
    bytes = size_min(bytes, FUZZ_DISK_BYTES - (size_t)offset);
    memcpy(to, opened(disk, fd)->now + offset, bytes);
    return (ssize_t)bytes;
}

static ssize_t disk_pwrite(struct disk *disk, int fd, const void *from, size_t bytes,
                           uint64_t offset) {
    struct fuzz_disk *fuzz = opened(disk, fd);
    ASSERT(offset <= FUZZ_DISK_BYTES && bytes <= FUZZ_DISK_BYTES - offset);
    memcpy(fuzz->now + offset, from, bytes);
    fuzz->dirty_from = size_min(fuzz->dirty_from, (size_t)offset);
    fuzz->dirty_end = size_max(fuzz->dirty_end, (size_t)offset + bytes);
    return (ssize_t)bytes;
}

static void forget_dirt(struct fuzz_disk *fuzz) {
    fuzz->dirty_from = FUZZ_DISK_BYTES;
    fuzz->dirty_end = 0;
}

static void sync_dirt(struct fuzz_disk *fuzz) {
    if (fuzz->dirty_end > fuzz->dirty_from)
        memcpy(fuzz->durable + fuzz->dirty_from, fuzz->now + fuzz->dirty_from,
               fuzz->dirty_end - fuzz->dirty_from);
    forget_dirt(fuzz);
}

static int disk_fdatasync(struct disk *disk, int fd) {
    sync_dirt(opened(disk, fd));
    return 0;
}

static int64_t disk_size(struct disk *disk, int fd) {
    (void)opened(disk, fd);
    return FUZZ_DISK_BYTES;
}

static int disk_sync_directory(struct disk *disk, const char *path) {
    (void)disk;
    ASSERT(strcmp(path, FUZZ_DISK_FOLDER) == 0);
    return 0;
}

static int disk_list(struct disk *disk, const char *path,
                     void (*on_name)(void *ctx, const char *name), void *ctx) {
    (void)disk;
    ASSERT(strcmp(path, FUZZ_DISK_FOLDER) == 0);
    on_name(ctx, name);
    return 0;
}

/* No fallocate, rename and unlink: a call of them is a finding. */
static const struct disk calls = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .fdatasync = disk_fdatasync,
    .size = disk_size,
    .sync_directory = disk_sync_directory,
    .list = disk_list,
};

char *fuzz_disk_begin(struct fuzz_disk *disk) {
    disk->disk = calls;
    memset(disk->now, 0, sizeof disk->now);
    return disk->now;
}

void fuzz_disk_settle(struct fuzz_disk *disk) {
    memcpy(disk->durable, disk->now, sizeof disk->durable);
    forget_dirt(disk);
}

bool fuzz_disk_has_changed(const struct fuzz_disk *disk) {
    return disk->dirty_end > disk->dirty_from ||
           memcmp(disk->now, disk->durable, sizeof disk->now) != 0;
}

void fuzz_disk_crash(struct fuzz_disk *disk, enum fuzz_disk_crash crash) {
    const size_t end = disk->dirty_end;
    for (size_t at = disk->dirty_from, n; at < end; at += n) {
        n = size_min(end - at, SECTOR_BYTES - at % SECTOR_BYTES);
        const bool is_odd = at / SECTOR_BYTES % 2 != 0;
        if (crash == FUZZ_DISK_KEEPS || (crash == FUZZ_DISK_TEARS && is_odd))
            memcpy(disk->durable + at, disk->now + at, n);
    }
    memcpy(disk->now, disk->durable, sizeof disk->now);
    forget_dirt(disk);
}
