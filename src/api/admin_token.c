/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin_token.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/secret_file.h"

enum { TOKEN_BYTES_MIN = 16 };

static int read_token(char token[ADMIN_TOKEN_BYTES_MAX + 1], int fd, const char *path,
                      struct err *err) {
    ssize_t n = read(fd, token, ADMIN_TOKEN_BYTES_MAX);
    token[n > 0 ? n : 0] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    if (strlen(token) >= TOKEN_BYTES_MIN) return 0;
    return err_set(err, -EBADMSG,
                   "%s must hold one line of at least %d characters (without the file a new token "
                   "is made)",
                   path, TOKEN_BYTES_MIN);
}

int admin_token_load(char token[ADMIN_TOKEN_BYTES_MAX + 1], const char *folder,
                     struct random_source *random, struct err *err) {
    static const char name[] = "admin.token";
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return err_set(err, -ENAMETOOLONG, "the path of the data folder is too long");
    int fd = secret_file_open(path, err);
    if (fd == -ENOENT) {
        int result = secret_file_create(folder, name, random, err);
        if (result != 0) return result;
        fd = secret_file_open(path, err);
    }
    if (fd < 0) return fd;
    int result = read_token(token, fd, path, err);
    close(fd);
    return result;
}
