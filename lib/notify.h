/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells whoever supervises this process how it is: the datagrams of sd_notify(3), by hand.
 *
 *     READY=1      STOPPING=1      STATUS=words for people      WATCHDOG=1
 *
 * Without a supervisor every call does nothing. A supervisor that does not listen is no reason to
 * stop, so no call fails.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base.h"

struct notify {
    int fd; /* -1: nobody to tell */
    struct sockaddr_un address;
    socklen_t address_bytes;
    uint64_t watchdog_us; /* who is silent for so long is killed; 0: nobody watches */
    uint64_t progress;    /* as of the last beat */
};

/* The values of NOTIFY_SOCKET ("/path", or "@name" of the abstract namespace), WATCHDOG_USEC and
 * WATCHDOG_PID; each may be NULL. What cannot be understood counts as not given. */
void notify_open(struct notify *notify, const char *address, const char *watchdog_us,
                 const char *watchdog_pid);
void notify_close(struct notify *notify);

/* Sends the lines of `format`, which are "KEY=value" with \n between them; 1,024 bytes at most. */
void notify_send(const struct notify *notify, const char *format, ...) PRINTF_LIKE(2, 3);

/* How often notify_beat is to be called: twice in the time of the watchdog; 0: never. */
uint64_t notify_beat_ns(const struct notify *notify);

/* WATCHDOG=1 if `progress`, which counts the work done, has moved since the last beat: a process
 * whose work stands still is to be found by its supervisor, though this thread is well. True when
 * sent. */
bool notify_beat(struct notify *notify, uint64_t progress);
