/* SPDX-License-Identifier: Apache-2.0
 *
 * A door for machines that look on at a program that answers nobody else: a few pages, each made
 * when it is asked for, by GET or HEAD, one request a connection, one connection after another, on
 * a thread of its own. Who does not send his request, or take his answer, within two seconds is
 * left.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/err.h"

struct monitor;

struct monitor_page {
    const char *path; /* "/health" */
    const char *type; /* Content-Type */
    /* Writes the page and returns its status. On the monitor's thread. */
    int (*write)(void *ctx, struct buf *out);
};

enum { MONITOR_PAGE_BYTES_MAX = 1 << 20 };

/* Answers on the listening socket `fd`, which it takes over. `pages` and `ctx` must live as long.
 * NULL without memory or a thread (`fd` is then closed). */
struct monitor *monitor_start(int fd, const struct monitor_page *pages, size_t count,
                              void *ctx) MUST_CHECK;
void monitor_stop(struct monitor *monitor);
