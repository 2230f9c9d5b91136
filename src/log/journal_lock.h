/* SPDX-License-Identifier: Apache-2.0
 *
 * One process at a time writes a data folder: DIR/lock, held by an open file description lock
 * (fcntl(2), F_OFD_SETLK), so that it ends with the process, however that ends. On the real disk
 * always, and for writers only: serve.c takes it before journal_open.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"

/* Takes the lock; *fd holds it. The process's number is left in the file, for the message that the
 * next one gives: err says who has it (-EBUSY). 0 or a negative errno. */
int journal_lock_take(const char *folder, int *fd, struct err *err) MUST_CHECK;

/* The file stays: to remove it could take away a lock that another process has just taken. */
void journal_lock_release(int fd);
