/* SPDX-License-Identifier: Apache-2.0
 *
 * What the system says of this process, from /proc/self.
 */
#pragma once

#include <stdint.h>

/* What cannot be read is 0. */
struct process_usage {
    double cpu_s;   /* user and system */
    double start_s; /* of the process, since 1970 */
    uint64_t resident_bytes, virtual_bytes;
    uint64_t threads;
};
void process_read(struct process_usage *usage);

/* With a kernel older than 6.2 this reads the list of them, which takes time when there are many.
 */
uint64_t process_open_fds(void);
/* How many there may be. */
uint64_t process_max_fds(void);
