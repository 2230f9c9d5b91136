/* SPDX-License-Identifier: Apache-2.0
 *
 * Only part of builds with -Dfailpoints=true.
 */
#include "lib/failpoint.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void failpoint_reach(const char *name) {
    static atomic_long times;
    const char *armed = getenv("COUPOND_FAILPOINT");
    size_t bytes = strlen(name);
    if (armed == NULL || strncmp(armed, name, bytes) != 0) return;
    if (armed[bytes] != ':' && armed[bytes] != '\0') return;
    long wanted = armed[bytes] == ':' ? strtol(armed + bytes + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&times, 1) + 1 == wanted) raise(SIGKILL);
}
