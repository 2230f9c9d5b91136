/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's randomness, for keys, tokens and hash seeds of a real server.
 */
#include "lib/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

/* A secret made of anything less would be worse than no server, so failure ends the process. */
static void system_fill(struct random_source *source, void *out, size_t bytes) {
    (void)source;
    char *to = out;
    while (bytes > 0) {
        ssize_t got = getrandom(to, bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            fprintf(stderr, "getrandom: %s: no randomness, cannot go on\n", strerror(errno));
            abort();
        }
        to += got;
        bytes -= (size_t)got;
    }
}

struct random_source random_system = {.fill = system_fill};
