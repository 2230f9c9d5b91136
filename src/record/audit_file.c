/* SPDX-License-Identifier: Apache-2.0 */
#include "record/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 300, TAIL_BYTES = 512 /* more than a line has */ };

static size_t make_head(const struct audit_file *file, char head[HEAD_BYTES_MAX]) {
    int n = snprintf(head, HEAD_BYTES_MAX, "coupond-audit 1 %.255s\n", file->topic);
    return (size_t)n;
}

/* ---- Opening ---- */

static bool has_our_head(const struct audit_file *file) {
    char wanted[HEAD_BYTES_MAX], found[HEAD_BYTES_MAX];
    size_t n = make_head(file, wanted);
    ssize_t got = TEMP_FAILURE_RETRY(pread(file->fd, found, n, 0));
    return got == (ssize_t)n && memcmp(wanted, found, n) == 0;
}

/* Cuts off what a crash has left behind the last whole line. */
static int cut_torn_tail(struct audit_file *file) {
    char tail[TAIL_BYTES];
    uint64_t from = file->bytes > TAIL_BYTES ? file->bytes - TAIL_BYTES : 0;
    ssize_t n = TEMP_FAILURE_RETRY(pread(file->fd, tail, TAIL_BYTES, (off_t)from));
    if (n < 0) return -errno;
    while (n > 0 && tail[n - 1] != '\n') n--;
    uint64_t whole = from + (uint64_t)n;
    if (whole == file->bytes) return 0;
    if (TEMP_FAILURE_RETRY(ftruncate(file->fd, (off_t)whole)) != 0) return -errno;
    file->bytes = whole;
    return 0;
}

static int open_newest(struct audit_file *file) {
    struct stat is;
    file->fd = open(file->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
    if (file->fd < 0) return -errno;
    int code = fstat(file->fd, &is) == 0 ? 0 : -errno;
    file->is_regular = code == 0 && S_ISREG(is.st_mode);
    file->bytes = file->is_regular ? (uint64_t)is.st_size : 0;
    /* Two writers would cut off each other's lines. */
    if (code == 0 && file->is_regular && flock(file->fd, LOCK_EX | LOCK_NB) != 0) code = -errno;
    if (code == 0 && file->bytes > 0) code = cut_torn_tail(file);
    if (code != 0) audit_file_close(file);
    return code;
}

/* ---- Making room ---- */

static void name_older(const struct audit_file *file, int number, char path[PATH_MAX]) {
    if (number == 0)
        snprintf(path, PATH_MAX, "%s", file->path);
    else
        snprintf(path, PATH_MAX, "%s.%d", file->path, number);
}

static int begin_another(struct audit_file *file) {
    char from[PATH_MAX], to[PATH_MAX];
    audit_file_close(file);
    for (int number = AUDIT_FILES_MAX - 1; number > 0; number--) {
        name_older(file, number - 1, from);
        name_older(file, number, to);
        if (rename(from, to) != 0 && errno != ENOENT) return -errno;
    }
    return open_newest(file);
}

int audit_file_open(struct audit_file *file, const char *path, const char *topic,
                    uint64_t bytes_max, struct err *err) {
    *file = (struct audit_file){.topic = topic, .bytes_max = bytes_max, .fd = -1};
    if (strlen(path) >= sizeof file->path)
        return err_set(err, -EINVAL, "--audit: the name is too long");
    memcpy(file->path, path, strlen(path) + 1);
    int code = open_newest(file);
    if (code == 0 && file->bytes > 0 && !has_our_head(file)) code = begin_another(file);
    if (code == -EWOULDBLOCK) return err_set(err, code, "--audit: another process writes %s", path);
    return code == 0 ? 0 : err_set(err, code, "--audit: cannot open %s: %s", path, strerror(-code));
}

void audit_file_close(struct audit_file *file) {
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
}

/* ---- Appending ---- */

static int put(struct audit_file *file, struct slice bytes) {
    while (bytes.n > 0) {
        ssize_t n = TEMP_FAILURE_RETRY(write(file->fd, bytes.p, bytes.n));
        if (n < 0) return -errno;
        bytes = slice_of(bytes.p + n, bytes.n - (size_t)n);
    }
    return 0;
}

int audit_file_append(struct audit_file *file, struct slice lines) {
    char head[HEAD_BYTES_MAX];
    bool is_full = file->bytes > 0 && file->bytes + lines.n > file->bytes_max;
    int code = 0;
    if (file->fd < 0) code = open_newest(file);
    if (code == 0 && file->is_regular && is_full) code = begin_another(file);
    if (code != 0) return code;
    size_t head_bytes = file->bytes == 0 ? make_head(file, head) : 0;
    code = put(file, slice_of(head, head_bytes));
    if (code == 0) code = put(file, lines);
    if (code == 0)
        file->bytes += head_bytes + lines.n;
    else if (file->is_regular && ftruncate(file->fd, (off_t)file->bytes) != 0)
        audit_file_close(file); /* its torn line is cut off when it is opened again */
    return code;
}
