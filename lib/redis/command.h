/* SPDX-License-Identifier: Apache-2.0
 *
 * A command on its way through the cluster client: its bytes, kept until it has ended so that it
 * can be sent again, and what became of its tries. From a pool of a fixed number; in one list at a
 * time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/redis/cluster.h"

struct redis_command {
    struct redis_command *previous, *next;
    struct buf tail; /* the words of the request, encoded */
    uint32_t words_count;
    const struct redis_script *script;
    uint16_t slot;
    uint8_t asked_node; /* where an ASK sent it, or REDIS_NO_NODE */
    uint8_t flying_on;  /* the node that it is in flight to, or REDIS_NO_NODE */
    uint8_t tries;      /* that ended without a reply worth having */
    uint8_t redirects;  /* in a row */
    bool is_repeatable;
    bool may_have_run;
    bool is_asking;   /* this try is behind ASKING, whose reply comes first */
    bool wants_text;  /* EVAL instead of EVALSHA */
    const char *last; /* what became of the last try, a literal */
    uint64_t deadline_ms;
    uint64_t due_ms;     /* while it waits: not before */
    uint64_t sent_ms;    /* while it is in flight */
    uint64_t end_offset; /* likewise: where it ends in the connection's stream */
    void (*on_done)(void *ctx, const struct redis_result *result); /* NULL: nobody waits any more */
    void *ctx;
};

struct redis_commands {
    struct redis_command *first, *last;
};

void redis_commands_push(struct redis_commands *list, struct redis_command *command);
void redis_commands_remove(struct redis_commands *list, struct redis_command *command);
/* The oldest; NULL when there is none. */
struct redis_command *redis_commands_pop(struct redis_commands *list);

/* Takes over the request. False when memory is short. */
bool redis_command_fill(struct redis_command *command, const struct redis_request *request);

/* Appends what one try sends. */
void redis_command_write(const struct redis_command *command, struct buf *out);
