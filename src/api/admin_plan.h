/* SPDX-License-Identifier: Apache-2.0
 *
 * From the words and options of `coupond event …` to the one request that does it. Everything that
 * can be checked without the server is checked here, before anything is sent. No I/O; for
 * admin_client.c.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"

enum { ADMIN_PATH_BYTES_MAX = 160 };

/* What a good answer is. */
enum admin_answer {
    ADMIN_ANSWER_EVENT,  /* one event as JSON */
    ADMIN_ANSWER_EVENTS, /* {"events":[…]} */
    ADMIN_ANSWER_EXPORT, /* rows, which go to stdout as they come */
};

struct admin_plan {
    const char *method;
    char path[ADMIN_PATH_BYTES_MAX];
    char *body; /* JSON text on the heap, or NULL */
    enum admin_answer answer;
};

/* Fills `plan`. 0, or -EINVAL with what to print in err (it may be several lines). `user` is who
 * calls, when --operator does not tell; it may be NULL. */
int admin_plan_make(struct admin_plan *plan, const struct options *options, const char *user,
                    int words, char **word, struct err *err) MUST_CHECK;
void admin_plan_free(struct admin_plan *plan);
