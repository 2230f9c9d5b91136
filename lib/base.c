/* SPDX-License-Identifier: Apache-2.0
 *
 * How the process ends that cannot go on: one line on stderr, then abort for a broken guarantee, or
 * status 70 for want of memory.
 */
#include "lib/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_FAIL_STOP = 70 };

/* One write(2) of a line made on the stack: whatever broke may have been the heap or a lock. */
_Noreturn void assert_failed(const char *condition, const char *file, int line) {
    char text[512];
    int bytes = snprintf(text, sizeof text, "%s:%d: assertion failed: %s\n", file, line, condition);
    if (bytes > 0) {
        ssize_t written = write(STDERR_FILENO, text, size_min((size_t)bytes, sizeof text - 1));
        (void)written; /* There is nobody left to tell. */
    }
    abort();
}

void *memory_needed(void *memory) {
    static const char text[] =
        "coupond: out of memory; a restart reads back what is in the journal\n";
    if (memory != NULL) return memory;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(EXIT_FAIL_STOP);
}
