/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a history (history.h): each thread collects lines of its own and hands them over in large
 * pieces, so that a request costs some ten nanoseconds and no lock.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/slice.h"

struct told_body;

enum { HISTORY_PEN_BYTES = 256 * 1024 };

/* The file. Any thread that has a pen of it may write. */
struct history_out {
    const char *path;
    int fd;
    const struct clock *clock;
    pthread_mutex_t mutex;
    uint64_t ops;
    int failed; /* the first errno; nothing is written behind it */
};

/* Makes the file, which must not exist, and writes its first line. `event` and `prefix` are valid
 * ids. 0, or a negative errno with a sentence. */
int history_out_open(struct history_out *out, const char *path, const char *event,
                     const char *prefix, const struct clock *clock, struct err *err) MUST_CHECK;
/* Writes the last line and closes. 0, or a negative errno with a sentence: then the file is not
 * whole. All pens were put away. */
int history_out_close(struct history_out *out, struct err *err) MUST_CHECK;

/* One thread's part. */
struct history_pen {
    struct history_out *out;
    char *bytes;
    size_t n;
    uint64_t ops;
};

int history_pen_init(struct history_pen *pen, struct history_out *out) MUST_CHECK; /* or -ENOMEM */
/* Hands over what it has. */
void history_pen_put_away(struct history_pen *pen);

/* A request that was answered with `told`; `body` has the coupon when there is one, else may be
 * NULL. */
void history_pen_answered(struct history_pen *pen, struct slice user_id, bool is_query,
                          uint64_t sent_ns, uint64_t answered_ns, unsigned told,
                          const struct told_body *body);
/* A request whose answer never came. */
void history_pen_lost(struct history_pen *pen, struct slice user_id, bool is_query,
                      uint64_t sent_ns);
