/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that writes down what is done to it: preloaded into the real server, it appends every call
 * that changes what a power cut may leave of one folder to a trace, in the order in which the calls
 * took effect. test/sim/disk_trace.h draws the trace and rebuilds disks from it.
 *
 * In the environment: RECORD_FOLDER, whose files are watched, and RECORD_TRACE, the file that is
 * appended to. One lock is held around each call and its line in the trace; so whoever sees the
 * trace at a certain length knows that all calls in it have returned, or are about to.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, LINK, UNLINK, SYNC_FOLDER };

struct head {
    uint32_t kind, path_bytes, other_bytes, data_bytes;
    uint64_t inode, at;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;
static const char *folder;
static size_t folder_bytes;

static void *next(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

#define NEXT(type, name) ((type)(uintptr_t)next(name))

static int real_open(const char *path, int flags, mode_t mode) {
    typedef int (*function)(const char *, int, ...);
    return NEXT(function, "open64")(path, flags, mode);
}

__attribute__((constructor)) static void begin(void) {
    folder = getenv("RECORD_FOLDER");
    const char *path = getenv("RECORD_TRACE");
    if (folder == NULL || path == NULL) return;
    folder_bytes = strlen(folder);
    trace = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static bool is_watched(const char *path) {
    return trace >= 0 && strncmp(path, folder, folder_bytes) == 0 &&
           (path[folder_bytes] == '/' || path[folder_bytes] == '\0');
}

/* The inode of a watched file or folder that is open; 0 for others. */
static uint64_t watched_inode(int fd, bool *is_folder) {
    char link[64], path[PATH_MAX];
    struct stat file;
    if (trace < 0 || fstat(fd, &file) != 0) return 0;
    if (!S_ISREG(file.st_mode) && !S_ISDIR(file.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = '\0';
    *is_folder = S_ISDIR(file.st_mode);
    return is_watched(path) ? file.st_ino : 0;
}

/* Names are told by what is behind the folder's. */
static const char *name_of(const char *path) {
    return path == NULL ? "" : path + folder_bytes + (path[folder_bytes] == '/');
}

static void note(enum kind kind, uint64_t inode, uint64_t at, const char *path, const char *other,
                 const void *data, size_t bytes) {
    struct head head = {.kind = kind,
                        .path_bytes = (uint32_t)strlen(name_of(path)),
                        .other_bytes = (uint32_t)strlen(name_of(other)),
                        .data_bytes = (uint32_t)bytes,
                        .inode = inode,
                        .at = at};
    struct iovec parts[] = {{&head, sizeof head},
                            {(void *)(uintptr_t)name_of(path), head.path_bytes},
                            {(void *)(uintptr_t)name_of(other), head.other_bytes},
                            {(void *)(uintptr_t)data, bytes}};
    size_t all = sizeof head + head.path_bytes + head.other_bytes + bytes;
    int saved = errno;
    if (writev(trace, parts, 4) != (ssize_t)all) abort(); /* a trace with a hole is none */
    errno = saved;
}

static void enter(void) {
    pthread_mutex_lock(&lock);
}

static void leave(void) {
    pthread_mutex_unlock(&lock);
}

/* ---- Names ---- */

static int open_file(const char *path, int flags, mode_t mode) {
    if ((flags & O_CREAT) == 0 || !is_watched(path)) return real_open(path, flags, mode);
    struct stat file;
    enter();
    bool is_new = lstat(path, &file) != 0;
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && is_new && fstat(fd, &file) == 0)
        note(CREATE, file.st_ino, 0, path, NULL, NULL, 0);
    leave();
    return fd;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;             \
        va_end(rest);                                                                              \
        return open_file(path, flags, mode);                                                       \
    }

OPEN(open)
OPEN(open64)

static int change_names(enum kind kind, const char *call, const char *from, const char *to) {
    typedef int (*function)(const char *, const char *);
    enter();
    int code = NEXT(function, call)(from, to);
    if (code == 0 && is_watched(to)) note(kind, 0, 0, from, to, NULL, 0);
    leave();
    return code;
}

int rename(const char *from, const char *to) {
    return change_names(RENAME, "rename", from, to);
}

int link(const char *from, const char *to) {
    return change_names(LINK, "link", from, to);
}

int unlink(const char *path) {
    typedef int (*function)(const char *);
    enter();
    int code = NEXT(function, "unlink")(path);
    if (code == 0 && is_watched(path)) note(UNLINK, 0, 0, path, NULL, NULL, 0);
    leave();
    return code;
}

/* ---- Content ---- */

static ssize_t write_at(int fd, const void *from, size_t bytes, off_t offset) {
    typedef ssize_t (*function)(int, const void *, size_t, off_t);
    bool is_folder;
    enter();
    ssize_t written = NEXT(function, "pwrite64")(fd, from, bytes, offset);
    uint64_t inode = written > 0 ? watched_inode(fd, &is_folder) : 0;
    if (inode != 0) note(WRITE, inode, (uint64_t)offset, NULL, NULL, from, (size_t)written);
    leave();
    return written;
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset) {
    return write_at(fd, from, bytes, offset);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off_t offset) {
    return write_at(fd, from, bytes, offset);
}

static int set_size(int fd, off_t bytes) {
    typedef int (*function)(int, off_t);
    bool is_folder;
    enter();
    int code = NEXT(function, "ftruncate64")(fd, bytes);
    uint64_t inode = code == 0 ? watched_inode(fd, &is_folder) : 0;
    if (inode != 0) note(TRUNCATE, inode, (uint64_t)bytes, NULL, NULL, NULL, 0);
    leave();
    return code;
}

int ftruncate(int fd, off_t bytes) {
    return set_size(fd, bytes);
}

int ftruncate64(int fd, off_t bytes) {
    return set_size(fd, bytes);
}

static int allocate(int fd, int mode, off_t offset, off_t bytes) {
    typedef int (*function)(int, int, off_t, off_t);
    bool is_folder;
    enter();
    int code = NEXT(function, "fallocate64")(fd, mode, offset, bytes);
    uint64_t inode = code == 0 ? watched_inode(fd, &is_folder) : 0;
    if (inode != 0) note(ALLOCATE, inode, (uint64_t)(offset + bytes), NULL, NULL, NULL, 0);
    leave();
    return code;
}

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    return allocate(fd, mode, offset, bytes);
}

int fallocate64(int fd, int mode, off_t offset, off_t bytes) {
    return allocate(fd, mode, offset, bytes);
}

static int sync_file(const char *call, int fd) {
    typedef int (*function)(int);
    bool is_folder = false;
    enter();
    int code = NEXT(function, call)(fd);
    uint64_t inode = code == 0 ? watched_inode(fd, &is_folder) : 0;
    if (inode != 0) note(is_folder ? SYNC_FOLDER : SYNC, inode, 0, NULL, NULL, NULL, 0);
    leave();
    return code;
}

int fsync(int fd) {
    return sync_file("fsync", fd);
}

int fdatasync(int fd) {
    return sync_file("fdatasync", fd);
}
