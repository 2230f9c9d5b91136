/* SPDX-License-Identifier: Apache-2.0
 *
 * What servers noted that they told (`coupond serve --audit`), against the log: each coupon told is
 * in it, VALID, with this serial and for this user, and was theirs by the record to which the
 * server had read the log then (CHECK_R8). The one error that nothing can make good.
 *
 *     coupond-audit 1 coupond            1: version of the format; then the name of the log
 *     17 EV-2026 3 ada                   had read the log to seq 17, and told: serial 3 of EV-2026
 * is ada's
 *
 * Files may be written meanwhile: they are opened, and their ends noted, before the log is read. A
 * last line without its end was cut off by a crash, or is being written.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "verify/checks.h"
#include "verify/truth.h"

enum { AUDITS_MAX = 64 };

struct audits {
    struct audit_log {
        const char *path; /* borrowed */
        int fd;
        uint64_t bytes; /* of it are looked at */
        uint64_t lines; /* that were checked */
    } all[AUDITS_MAX];
    size_t count;
};

/* Zeroed memory is empty. One more file, as far as it goes now. 0 or a negative errno with words.
 */
int audits_open(struct audits *audits, const char *path, struct err *err) MUST_CHECK;
void audits_deinit(struct audits *audits);

/* `log` is the name of the log that `truth` is of. -EBADMSG: a file is no audit, or one of another
 * log. */
int audits_check(struct audits *audits, const struct truth *truth, const char *log,
                 struct checks *checks, struct err *err) MUST_CHECK;

/* Hands over every line, for whoever does not hold them against a log. -EBADMSG too when a line is
 * none. */
struct audit_line;
typedef void (*audit_told_fn)(void *ctx, const struct audit_line *told);
int audits_read(struct audits *audits, const char *log, audit_told_fn on_told, void *ctx,
                struct err *err) MUST_CHECK;

/* A line behind the first, without its end; slices are of it. False when it is none. */
struct audit_line {
    uint64_t seq, serial;
    struct slice event_id, user_id;
};
bool audit_line_read(struct slice line, struct audit_line *told);
