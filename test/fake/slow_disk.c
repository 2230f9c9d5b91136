/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that is slow, stands still or fails when told so: preloaded into the real server, it stands
 * before the calls that durable data goes through. What it does is read at each call from a file of
 * one `struct rule` a kind of call, which the test has mapped, too, and changes while the server
 * runs. Without SLOW_DISK (the path of that file) in the environment it does nothing.
 *
 * Built and driven by test/integration/slow_disk.py, whose layout mirrors `struct rule`.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum kind {
    PWRITE,
    FDATASYNC,
    FSYNC,
    FALLOCATE,
    RENAME,
    OPEN,
    PREAD,
    TRUNCATE,
    LINK,
    UNLINK,
    MMAP,
    KINDS_COUNT
};

enum { TORN = 1, SHORT = 2 };

/* Numbers are 32 bits each, in this order. */
struct rule {
    atomic_int hold;       /* while not 0, calls wait */
    atomic_int waiting;    /* calls that wait because of it */
    atomic_int delay_ms;   /* how long each call takes at least */
    atomic_int calls;      /* counted from the moment that the test sets it to 0 */
    atomic_int fail_from;  /* number of the first call that fails; 0: none */
    atomic_int fail_count; /* how many calls fail from there on */
    atomic_int error;      /* errno of a failing call */
    atomic_int torn;       /* a failing pwrite writes half of its bytes before: TORN, or is only */
                           /* SHORT, which is no failure */
};

static struct rule no_rules[KINDS_COUNT];
static struct rule *rules = no_rules;

__attribute__((constructor)) static void map_rules(void) {
    const char *path = getenv("SLOW_DISK");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof no_rules, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) rules = shared;
}

static void *next(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

#define NEXT(type, name) ((type)(uintptr_t)next(name))

static void sleep_ms(int ms) {
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

/* Waits as told; true when this call has to fail. */
static bool enter(enum kind kind) {
    struct rule *rule = &rules[kind];
    int call = atomic_fetch_add(&rule->calls, 1) + 1;
    if (rule->delay_ms > 0) sleep_ms(rule->delay_ms);
    atomic_fetch_add(&rule->waiting, 1);
    while (rule->hold != 0) sleep_ms(1);
    atomic_fetch_sub(&rule->waiting, 1);
    return rule->fail_from != 0 && call >= rule->fail_from &&
           call - rule->fail_from < rule->fail_count;
}

static ssize_t write_at(int fd, const void *from, size_t bytes, off_t offset) {
    typedef ssize_t (*function)(int, const void *, size_t, off_t);
    function real = NEXT(function, "pwrite64");
    if (!enter(PWRITE)) return real(fd, from, bytes, offset);
    /* An odd number of bytes never ends where a record ends. */
    ssize_t half = rules[PWRITE].torn != 0 ? real(fd, from, bytes / 2 | 1, offset) : 0;
    if (rules[PWRITE].torn == SHORT) return half;
    errno = rules[PWRITE].error;
    return -1;
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset) {
    return write_at(fd, from, bytes, offset);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off_t offset) {
    return write_at(fd, from, bytes, offset);
}

/* A sync that fails has not synced: the real one is not called. */
static int sync_file(enum kind kind, const char *name, int fd) {
    typedef int (*function)(int);
    if (!enter(kind)) return NEXT(function, name)(fd);
    errno = rules[kind].error;
    return -1;
}

int fdatasync(int fd) { return sync_file(FDATASYNC, "fdatasync", fd); }

int fsync(int fd) { return sync_file(FSYNC, "fsync", fd); }

static int allocate(int fd, int mode, off_t offset, off_t bytes) {
    typedef int (*function)(int, int, off_t, off_t);
    if (!enter(FALLOCATE)) return NEXT(function, "fallocate64")(fd, mode, offset, bytes);
    errno = rules[FALLOCATE].error;
    return -1;
}

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    return allocate(fd, mode, offset, bytes);
}

int fallocate64(int fd, int mode, off_t offset, off_t bytes) {
    return allocate(fd, mode, offset, bytes);
}

static int change_name(enum kind kind, const char *name, const char *from, const char *to) {
    typedef int (*function)(const char *, const char *);
    if (!enter(kind)) return NEXT(function, name)(from, to);
    errno = rules[kind].error;
    return -1;
}

int rename(const char *from, const char *to) { return change_name(RENAME, "rename", from, to); }

int link(const char *from, const char *to) { return change_name(LINK, "link", from, to); }

int unlink(const char *path) {
    typedef int (*function)(const char *);
    if (!enter(UNLINK)) return NEXT(function, "unlink")(path);
    errno = rules[UNLINK].error;
    return -1;
}

static int open_file(const char *path, int flags, mode_t mode) {
    typedef int (*function)(const char *, int, ...);
    if (!enter(OPEN)) return NEXT(function, "open64")(path, flags, mode);
    errno = rules[OPEN].error;
    return -1;
}

#define OPEN_AS(name)                                                                              \
    int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;             \
        va_end(rest);                                                                              \
        return open_file(path, flags, mode);                                                       \
    }

OPEN_AS(open)
OPEN_AS(open64)

static ssize_t read_at(int fd, void *to, size_t bytes, off_t offset) {
    typedef ssize_t (*function)(int, void *, size_t, off_t);
    if (!enter(PREAD)) return NEXT(function, "pread64")(fd, to, bytes, offset);
    errno = rules[PREAD].error;
    return -1;
}

ssize_t pread(int fd, void *to, size_t bytes, off_t offset) {
    return read_at(fd, to, bytes, offset);
}

ssize_t pread64(int fd, void *to, size_t bytes, off_t offset) {
    return read_at(fd, to, bytes, offset);
}

static int set_size(int fd, off_t bytes) {
    typedef int (*function)(int, off_t);
    if (!enter(TRUNCATE)) return NEXT(function, "ftruncate64")(fd, bytes);
    errno = rules[TRUNCATE].error;
    return -1;
}

int ftruncate(int fd, off_t bytes) { return set_size(fd, bytes); }

int ftruncate64(int fd, off_t bytes) { return set_size(fd, bytes); }

static void *map(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    typedef void *(*function)(void *, size_t, int, int, int, off_t);
    if (!enter(MMAP)) return NEXT(function, "mmap64")(at, bytes, protection, flags, fd, offset);
    errno = rules[MMAP].error;
    return MAP_FAILED;
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return map(at, bytes, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return map(at, bytes, protection, flags, fd, offset);
}
