/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock of a data folder.
 */
#include "log/journal_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/failpoint.h"

/* The number that the holder of the lock left in its file; 0 when it cannot be read (yet). */
static long holder_of(int fd) {
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

static int refuse(int fd, const char *folder, struct err *err) {
    long holder = holder_of(fd);
    if (holder <= 0)
        return err_set(err, -EBUSY, "data folder %s is in use by another process", folder);
    return err_set(err, -EBUSY, "data folder %s is in use by process %ld", folder, holder);
}

/* Only for people to read: the lock holds without it, on a full disk too. */
static void leave_number(int fd) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) (void)!ftruncate(fd, 0);
}

int journal_lock_take(const char *folder, int *fd, struct err *err) {
    char path[PATH_MAX];
    *fd = -1;
    int n = snprintf(path, sizeof(path), "%s/lock", folder);
    if (n < 0 || (size_t)n >= sizeof(path))
        return err_set(err, -ENAMETOOLONG, "the name of the data folder is too long");
    int opened = (int)TEMP_FAILURE_RETRY(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (opened < 0) return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));

    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int code = fcntl(opened, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
    if (code == -EAGAIN || code == -EACCES)
        code = refuse(opened, folder, err);
    else if (code != 0)
        err_set(err, code, "cannot lock %s: %s", path, strerror(-code));
    if (code != 0) {
        close(opened);
        return code;
    }
    FAILPOINT("start_locked");
    leave_number(opened);
    *fd = opened;
    return 0;
}

void journal_lock_release(int fd) {
    if (fd >= 0) close(fd);
}
