/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has logged in at the admin listener with a browser: a fixed table in memory. A session ends
 * at its time, by log-out, when a newer one needs its place, and with the process. Its id is 256
 * random bits, told once, in a cookie; ids are compared in constant time. Pure but for the
 * randomness that is passed in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/random.h"
#include "lib/slice.h"

enum { SESSIONS_MAX = 64, SESSION_ID_BYTES = 64 /* hexadecimal */ };

struct session {
    char id[SESSION_ID_BYTES];
    uint64_t ends_ns; /* monotonic; 0: a free place */
    uint64_t number;  /* of all sessions ever opened, from 1: never given twice */
};

struct sessions { /* zeroed: no session */
    struct session places[SESSIONS_MAX];
    uint64_t opened;
};

/* A new session until `ends_ns`; where none of the places is free, in that of the session which
 * would end first. */
const struct session *session_open(struct sessions *sessions, struct random_source *random,
                                   uint64_t now_ns, uint64_t ends_ns);

/* The session of this id that has not ended, or NULL. */
struct session *session_find(struct sessions *sessions, struct slice id, uint64_t now_ns);

/* Has the session with this number not ended? */
bool session_is_alive(const struct sessions *sessions, uint64_t number, uint64_t now_ns);

void session_end(struct session *session);
uint32_t session_count(const struct sessions *sessions, uint64_t now_ns);

/* The id in the value of a Cookie field ("a=1; coupond_session=…"), as sent; empty without one. */
struct slice session_id_of_cookie(struct slice cookie);
