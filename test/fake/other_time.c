/* SPDX-License-Identifier: Apache-2.0
 *
 * Another wall clock: preloaded into the real server, it is OTHER_TIME seconds (of the environment)
 * away from this machine's; or as many as stand, as a 64-bit number, in the file OTHER_TIME_FILE,
 * which the test has mapped, too, and changes while the server runs. Monotonic time stays as it is.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t no_seconds;
static _Atomic int64_t *seconds = &no_seconds;

__attribute__((constructor)) static void begin(void) {
    const char *fixed = getenv("OTHER_TIME"), *path = getenv("OTHER_TIME_FILE");
    if (fixed != NULL) no_seconds = strtol(fixed, NULL, 10);
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof no_seconds, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) seconds = shared;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    typedef int (*function)(clockid_t, struct timespec *);
    static function real;
    if (real == NULL) real = (function)(uintptr_t)dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (code == 0 && clock == CLOCK_REALTIME) now->tv_sec += *seconds;
    return code;
}
