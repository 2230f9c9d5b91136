/* SPDX-License-Identifier: Apache-2.0
 *
 * What an error reply of a Redis node means for the command that got it. The table is the policy:
 * whether the command can have run, whether the slot map is old, and what to do next.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/redis/address.h"
#include "lib/slice.h"

enum redis_error_kind {
    REDIS_ERROR_MOVED,
    REDIS_ERROR_ASK,
    REDIS_ERROR_TRYAGAIN,
    REDIS_ERROR_CLUSTERDOWN,
    REDIS_ERROR_LOADING,
    REDIS_ERROR_READONLY,
    REDIS_ERROR_MASTERDOWN,
    REDIS_ERROR_MISCONF,
    REDIS_ERROR_NOSCRIPT,
    REDIS_ERROR_BUSY,
    REDIS_ERROR_NOREPLICAS,
    REDIS_ERROR_OOM,
    REDIS_ERROR_UNBLOCKED, /* was waiting when its node became a replica */
    REDIS_ERROR_CROSSSLOT,
    REDIS_ERROR_NOAUTH,
    REDIS_ERROR_NOPERM,
    REDIS_ERROR_WRONGPASS,
    REDIS_ERROR_OTHER,
    REDIS_ERRORS_COUNT,
};

enum redis_remedy {
    REDIS_FOLLOW, /* MOVED: to the node that is named, which owns the slot from now on */
    REDIS_ASK,    /* to the node that is named, behind ASKING, this once */
    REDIS_LOAD,   /* again with the script's text */
    REDIS_LATER,  /* again, after a pause */
    REDIS_END,    /* another try would end the same */
};

struct redis_error_class {
    const char *word; /* what the reply begins with */
    enum redis_error_kind kind;
    enum redis_remedy remedy;
    bool may_have_run; /* else certainly not: the node refused it before the first write */
    bool is_map_old;   /* ask for the slots again */
};

/* The class of an error reply's text; any text has one. Never NULL. */
const struct redis_error_class *redis_error_class(struct slice text);

struct redis_redirect {
    uint16_t slot;
    struct redis_address to;
};

/* Reads "MOVED 3999 127.0.0.1:6381" and "ASK …". An empty host means that of `from`, the node that
 * answered. False for anything else, also for a host name. */
bool redis_redirect_read(struct slice text, const struct redis_address *from,
                         struct redis_redirect *redirect);
