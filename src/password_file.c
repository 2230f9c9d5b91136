/* SPDX-License-Identifier: Apache-2.0 */
#include "password_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/secret_file.h"

int password_file_read(const char *option, const char *path, char password[TOKEN_BYTES_MAX],
                       struct err *err) {
    struct err why = {0};
    int fd = secret_file_open(path, &why);
    if (fd < 0) return err_set(err, fd, "--%s: %s", option, why.text);
    ssize_t n = TEMP_FAILURE_RETRY(read(fd, password, TOKEN_BYTES_MAX - 1));
    int code = n < 0 ? -errno : 0;
    close(fd);
    if (code != 0)
        return err_set(err, code, "--%s: cannot read %s: %s", option, path, strerror(-code));
    password[n] = '\0';
    password[strcspn(password, "\r\n")] = '\0';
    return password[0] != '\0' ? 0 : err_set(err, -EINVAL, "--%s: %s is empty", option, path);
}
