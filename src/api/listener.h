/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets. Opened here: one for each network thread on the same address (SO_REUSEPORT), so
 * that the kernel spreads connections and no thread waits for another. Passed on by whoever started
 * the process: one, of which each thread polls a duplicate and takes what it gets, because who waits
 * in the queue of a socket of our own would be lost with it at a restart.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"
#include "lib/err.h"

enum { LISTEN_ADDRESS_BYTES = 64 };

/* 0, or -EINVAL and what an address looks like. */
int listener_check(const char *address, struct err *err) MUST_CHECK;

/* Opens `count` sockets on `address` ("127.0.0.1:8080", "[::1]:0"; port 0 takes a free one), and
 * writes the real address to `real`. Another process on the same port is an error, although
 * SO_REUSEPORT alone would let both in. On failure nothing stays open. */
int listener_open(const char *address, int backlog, int fds[], size_t count,
                  char real[LISTEN_ADDRESS_BYTES], struct err *err) MUST_CHECK;

/* Makes `count` descriptors of the socket `passed`, which listens already, and closes `passed`. Its
 * address is written to `real`, its queue is left as long as its owner wants it. -EINVAL when it is
 * no listening TCP socket. On failure nothing stays open. */
int listener_adopt(int passed, int fds[], size_t count, char real[LISTEN_ADDRESS_BYTES],
                   struct err *err) MUST_CHECK;

/* True when the address (as `real`) is one of this machine only: 127.0.0.0/8 or ::1. */
bool listener_is_loopback(const char *real);
