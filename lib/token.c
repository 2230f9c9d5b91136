/* SPDX-License-Identifier: Apache-2.0
 *
 * Called by the command-line clients.
 */
#include "lib/token.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_given(const char *text) {
    return text != NULL && text[0] != '\0';
}

/* The first line of the file at `path`. */
static int read_file(const char *path, char token[TOKEN_BYTES_MAX], struct err *err) {
    const int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return err_set(err, -errno, "the token %s: %s", path, strerror(errno));
    const ssize_t n = read(fd, token, TOKEN_BYTES_MAX - 1);
    const int error = errno;
    close(fd);
    if (n < 0) return err_set(err, -error, "the token %s: %s", path, strerror(error));
    token[n] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    return is_given(token) ? 0 : err_set(err, -EINVAL, "the token %s is empty", path);
}

int token_find(const struct token_source *source, char token[TOKEN_BYTES_MAX], struct err *err) {
    if (is_given(source->file)) return read_file(source->file, token, err);
    if (is_given(source->text)) {
        if (strlen(source->text) >= TOKEN_BYTES_MAX)
            return err_set(err, -EINVAL, "the token is too long");
        memcpy(token, source->text, strlen(source->text) + 1);
        return 0;
    }
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", source->folder, source->name) >= (int)sizeof path)
        return err_set(err, -ENAMETOOLONG, "the path of the token is too long");
    const int result = read_file(path, token, err);
    if (result != -ENOENT) return result;
    return err_set(err, -ENOENT, "no token: there is no %s", path);
}
