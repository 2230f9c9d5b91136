/* SPDX-License-Identifier: Apache-2.0 */
#include "api/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_FD = 3, NAME_BYTES_MAX = 255 };

static const char PID[] = "LISTEN_PID", FDS[] = "LISTEN_FDS", NAMES[] = "LISTEN_FDNAMES";

/* The value of a variable as a number from 1 on; 0 when it is none. */
static long number_of(const char *variable) {
    const char *text = getenv(variable);
    if (text == NULL || *text == '\0' || strspn(text, "0123456789") != strlen(text)) return 0;
    long number = strtol(text, NULL, 10);
    return number > 0 && number < INT_MAX - FIRST_FD ? number : 0;
}

/* Cuts the next name off the list; empty when there is none. */
static void next_name(const char **names, char name[NAME_BYTES_MAX + 1]) {
    size_t bytes = strcspn(*names, ":");
    snprintf(name, NAME_BYTES_MAX + 1, "%.*s", (int)size_min(bytes, NAME_BYTES_MAX), *names);
    *names += bytes + ((*names)[bytes] == ':');
}

static int refuse(struct err *err, const char *name, const char *why,
                  const struct passed_socket sockets[], size_t count) {
    char known[128] = "";
    for (size_t i = 0, n = 0; i < count && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i == 0 ? "" : " or ",
                              sockets[i].name);
    return err_set(err, -EINVAL,
                   "a socket named \"%s\" was passed%s: one of each FileDescriptorName=%s is taken",
                   name, why, known);
}

static int take(struct passed_socket sockets[], size_t count, int fd, const char *name,
                struct err *err) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return err_set(err, -EINVAL, "%s: descriptor %d is not open", FDS, fd);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(sockets[i].name, name) != 0) continue;
        if (sockets[i].fd >= 0) return refuse(err, name, " twice", sockets, count);
        sockets[i].fd = fd;
        return 0;
    }
    return refuse(err, name, "", sockets, count);
}

int activation_take(struct passed_socket sockets[], size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) sockets[i].fd = -1;
    long passed = number_of(PID) == (long)getpid() ? number_of(FDS) : 0;
    const char *names = getenv(NAMES);
    if (names == NULL) names = "";
    int code = 0;
    for (long i = 0; code == 0 && i < passed; i++) {
        char name[NAME_BYTES_MAX + 1];
        next_name(&names, name);
        code = take(sockets, count, FIRST_FD + (int)i, name, err);
    }
    unsetenv(PID);
    unsetenv(FDS);
    unsetenv(NAMES);
    return code;
}
