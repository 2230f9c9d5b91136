/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets that whoever started this process opened for it and passed on (sd_listen_fds(3), by
 * hand): descriptors from 3 on, LISTEN_FDS of them, for the process LISTEN_PID, named in
 * LISTEN_FDNAMES with colons between. They outlive the process, so that a restart refuses nobody.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"
#include "lib/err.h"

/* A door that may be passed. */
struct passed_socket {
    const char *name; /* FileDescriptorName= of its socket unit; set by the caller */
    int fd;           /* -1: was not passed; else the caller's, closed on exec */
};

/* Fills `fd` of the `count` sockets that the process may be given. Nothing passed, or to another
 * process, is no error. A socket of another name, or two of one, is -EINVAL, and says what the
 * names are. The three variables are removed: they are for nobody else. */
int activation_take(struct passed_socket sockets[], size_t count, struct err *err) MUST_CHECK;
