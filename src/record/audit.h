/* SPDX-License-Identifier: Apache-2.0
 *
 * What told the truth: every coupon that a network thread tells somebody is noted, with how far the
 * thread had read the log, so that `coupond verify --audit` can hold what was told against the log
 * whatever became of the server (R8). The files are audit_file.h's.
 *
 *     network thread -- told --> its ring --> a thread of its own, every 100 ms --> file
 *
 * Noting takes no lock, no allocation and no system call, and who gets no coupon never comes here.
 * A coupon that a thread told lately is noted once: repeats of it say nothing new. What finds its
 * ring full, because the disk is full or slow, is lost and counted; no answer ever waits.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/metrics.h"
#include "lib/slice.h"

enum { AUDIT_ID_BYTES_MAX = 64 };

struct audit;

struct audit_options {
    const char *path;
    const char *topic; /* both must live as long */
    uint64_t file_bytes_max;
    uint32_t threads_count; /* that tell */
};

/* Opens the file and starts the thread. NULL and words when it cannot. */
struct audit *audit_start(const struct audit_options *options, struct err *err) MUST_CHECK;
/* Writes what was noted (one try), and ends the thread. NULL is nothing. */
void audit_stop(struct audit *audit);

struct audit_told {
    struct slice event_id, user_id; /* of at most AUDIT_ID_BYTES_MAX */
    uint32_t event;                 /* number of it */
    uint32_t serial;
    uint64_t seq; /* of the last record that the thread had applied */
};
/* `thread` counts from 0; each is called by one thread alone. */
void audit_note(struct audit *audit, uint32_t thread, const struct audit_told *told);

/* Since the start; any thread may ask. */
struct audit_counts {
    uint64_t lines;    /* written */
    uint64_t lost;     /* for want of room in a ring */
    uint64_t failures; /* tries to write */
};
void audit_count(const struct audit *audit, struct audit_counts *counts);
