/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds of whoever comes to the public listener: which proxies are believed, which origins may
 * ask, how often. Read from the options as a whole, and never changed: a reload puts another gate
 * in its place, and the one before stays until the process ends, because threads may look at it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/cors.h"
#include "api/forwarded.h"
#include "lib/base.h"
#include "lib/err.h"
#include "lib/gcra.h"

/* What is limited; the order of being asked. */
enum limit { LIMIT_ADDRESS, LIMIT_USER, LIMITS };

struct gate_options {
    const char *trusted_proxies, *cors_origins;
    struct {
        double rate; /* requests a second; 0: no limit */
        uint32_t burst;
    } limits[LIMITS];
    bool limits_loopback;
};

struct gate {
    struct gate *older;
    struct proxies proxies;
    struct origins origins;
    struct gcra_rate rates[LIMITS];
    bool limits_loopback; /* clients of this machine too */
    bool is_limiting;     /* any limit is there */
};

/* NULL and err, which names the option, when one is malformed. */
struct gate *gate_new(const struct gate_options *options, struct err *err) MUST_CHECK;
/* This one and all older ones. */
void gate_free(struct gate *gate);
/* The one that holds from now on: `gate` in front of `before`, or `before` again when nothing is
 * different; `gate` is owned by it then. */
struct gate *gate_follow(struct gate *gate, struct gate *before);
