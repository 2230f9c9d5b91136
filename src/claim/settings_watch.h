/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the settings of others are what the promise rests on (docs/verify.md, R7): those of the
 * topic, and that no master of Redis evicts keys. A thread of its own asks all the time, over
 * connections of its own, so that whoever is to open an event knows without waiting. What cannot
 * be asked now is as it was when it last could. It also asks how far the consumers are, whom the
 * keys of an event that is over wait for.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "claim/snapshot.h"
#include "lib/base.h"
#include "lib/err.h"
#include "log/kafka.h"

/* How far the consumers are. Whoever reads takes `asked_ns` first. */
struct consumed {
    atomic_uint_least64_t asked_ns; /* monotonic: when they were asked; 0: never yet */
    atomic_uint_least64_t seq;      /* the last they are done with; UINT64_MAX: nobody is there */
};

struct settings_watch;

struct settings_watch_options {
    const struct kafka_options *kafka; /* must outlive it */
    struct snapshots_options redis;    /* its texts likewise */
    uint32_t every_ms;                 /* from one look to the next */
    const char *group;                 /* of the consumers; likewise */
    struct consumed *consumed;         /* told after each look; likewise */
};

enum { SETTINGS_TEXT_BYTES = sizeof(((struct err *)0)->text) };

/* Has looked at the settings once when it returns. 0, or a negative errno with words; what a look
 * finds is no failure. */
int settings_watch_start(struct settings_watch **watch,
                         const struct settings_watch_options *options, struct err *err) MUST_CHECK;
void settings_watch_stop(struct settings_watch *watch);

/* From any thread: true when a setting is wrong, and then which, where, and what it must be. */
bool settings_watch_has_wrong(struct settings_watch *watch, char text[SETTINGS_TEXT_BYTES]);
