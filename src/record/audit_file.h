/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of an audit (audit.h), and its older ones:
 *
 *     coupond-audit 1 coupond            1: version of the format; then the topic that is the log
 *     17 EV-2026 3 ada                   had read the log to seq 17, and told: serial 3 of EV-2026
 * is ada's …
 *
 * A full file becomes PATH.1, that one PATH.2, and so on; the oldest of AUDIT_FILES_MAX is lost. A
 * file has whole lines only: what could not be written whole is cut off again, and what a crash has
 * left of a line when the file is opened next. Nothing is synced: it is evidence, not a promise.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"

enum { AUDIT_FILES_MAX = 8 };

struct audit_file {
    char path[PATH_MAX - 8]; /* room for ".8" and the end */
    const char *topic;       /* borrowed */
    uint64_t bytes_max;      /* of one file */
    int fd;                  /* -1: to be opened by the next append */
    uint64_t bytes;          /* in the file, all of them whole lines */
    bool is_regular;         /* else, as a pipe or a device, it is neither cut nor renamed */
};

/* Opens, or makes, the file at `path`, behind the whole lines that are there. A file of another
 * topic gives way as a full one does. 0 or a negative errno with words. */
int audit_file_open(struct audit_file *file, const char *path, const char *topic,
                    uint64_t bytes_max, struct err *err) MUST_CHECK;
void audit_file_close(struct audit_file *file);

/* Appends whole lines. 0; or a negative errno, and none of them is there: the same may be tried
 * again. */
int audit_file_append(struct audit_file *file, struct slice lines) MUST_CHECK;
