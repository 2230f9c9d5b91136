/* SPDX-License-Identifier: Apache-2.0
 *
 * What the admin listener's thread has besides what every network thread has: sessions of browsers,
 * who guesses tokens, answers held back, the seconds of the last minutes, and the pages that are
 * looking on. All of it is the thread's own, of a fixed size, and nothing a claim ever meets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "api/history.h"
#include "api/link.h"
#include "api/login_guard.h"
#include "api/server.h"
#include "api/session.h"

enum { HELD_MAX = 64 };

/* A refusal that is sent later (admin_access.c). */
struct held {
    struct waiting *place; /* WAITING_ENGINE until then; WAITING_LEFT when the asker has gone */
    struct guard_entry *entry;
    uint64_t due_ns;
};

struct console {
    struct server *server;
    struct sessions sessions;
    struct login_guard guard;
    struct held held[HELD_MAX];
    uint32_t held_count;
    uv_timer_t held_timer;
    struct history history;
    struct link live;                     /* streams of live.c */
    uint64_t engine_turns, engine_offset; /* as of the last second */
};

/* For the thread of the admin listener. NULL without memory. */
struct console *console_new(struct server *server) MUST_CHECK;
/* The loop is about to end; then, when it has ended. */
void console_close(struct console *console);
void console_free(struct console *console);

/* Once a second, and more often while the server drains. */
void console_second(struct console *console);
