/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { MESSAGE_BYTES_MAX = 1024 };

/* A whole number above 0, or 0. */
static uint64_t positive(const char *text) {
    if (text == NULL || *text == '\0' || strspn(text, "0123456789") != strlen(text)) return 0;
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    return errno == 0 ? number : 0;
}

static bool read_address(struct notify *notify, const char *text) {
    size_t bytes = text == NULL ? 0 : strlen(text);
    if (bytes < 2 || bytes >= sizeof notify->address.sun_path) return false;
    if (text[0] != '/' && text[0] != '@') return false;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, bytes);
    /* An abstract name begins with NUL, has no end but its length, and is written with @. */
    if (text[0] == '@') notify->address.sun_path[0] = '\0';
    notify->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
    return true;
}

void notify_open(struct notify *notify, const char *address, const char *watchdog_us,
                 const char *watchdog_pid) {
    *notify = (struct notify){.fd = -1};
    if (!read_address(notify, address)) return;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* A supervisor whose queue is full is waited for, but not for ever. */
    const struct timeval patience = {.tv_sec = 1};
    setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool is_for_us = watchdog_pid == NULL || positive(watchdog_pid) == (uint64_t)getpid();
    if (notify->fd >= 0 && is_for_us) notify->watchdog_us = positive(watchdog_us);
}

void notify_close(struct notify *notify) {
    if (notify->fd >= 0) close(notify->fd);
    notify->fd = -1;
    notify->watchdog_us = 0;
}

void notify_send(const struct notify *notify, const char *format, ...) {
    if (notify->fd < 0) return;
    char message[MESSAGE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    ASSERT(n > 0 && n < MESSAGE_BYTES_MAX);
    (void)sendto(notify->fd, message, (size_t)n, MSG_NOSIGNAL,
                 (const struct sockaddr *)&notify->address, notify->address_bytes);
}

uint64_t notify_beat_ns(const struct notify *notify) {
    return notify->watchdog_us * 1000 / 2;
}

bool notify_beat(struct notify *notify, uint64_t progress) {
    if (progress == notify->progress) return false;
    notify->progress = progress;
    notify_send(notify, "WATCHDOG=1");
    return true;
}
