/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds what in one event: its serials, and every user that holds or ever held one of them. The
 * judge's memory and nothing but memory: it has no rules. Only the judge calls it.
 *
 *     slots                     holders (in order of arrival)        serials
 *     +-----+-----------+       +---------+----+--------+            +--------+-------+
 *     | tag | index + 1 | ----> | user id | ms | serial | <--------> | holder | round |
 *     +-----+-----------+       +---------+----+--------+            +--------+-------+
 *     by hash of the user id         |
 *     0: empty                       +----> bytes of the id, in an area that never moves
 *
 * A slot keeps as many bits of the hash (the tag) as its index leaves free, so that a user who is
 * not in the table costs one hash and, as a rule, one cache line. Areas are sized for the worst
 * case but touched only as they fill: a large event with few holders occupies little.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/hash.h"
#include "lib/slice.h"

struct holder {
    const char *user_id;
    int64_t issued_ms;
    uint32_t serial; /* 0 once it was returned */
    uint8_t user_id_bytes;
};

struct serial {
    uint32_t holder; /* index + 1; 0 while free */
    uint32_t round;  /* how often it was returned */
};

struct id_area;

struct holders {
    struct hash_key key;
    uint32_t *slots;
    size_t slots_mask;
    uint32_t index_mask; /* the bits of a slot that are index + 1 */
    struct holder *all;
    uint32_t count, max;
    struct serial *serials; /* [0] is unused */
    uint32_t serials_max;
    struct id_area *areas; /* newest first; new ids go into the newest */
    char *ids_end;
};

/* Empty, with no room. `key` decides only where in the table a user is. */
void holders_init(struct holders *holders, const struct hash_key *key);
void holders_deinit(struct holders *holders);

/* Makes `to` (not initialised) the same as `from`, in memory of its own. 0 or -ENOMEM (`to` is then
 * empty). */
int holders_copy(struct holders *to, const struct holders *from) MUST_CHECK;

/* Room for the serials 1..serials and for `users` users in all. 0 or -ENOMEM (what is held is
 * unchanged). Grows the users amortised; user ids never move. */
int holders_reserve(struct holders *holders, uint32_t serials, uint64_t users) MUST_CHECK;

/* The user's holder, or NULL for one who never held anything. */
const struct holder *holders_find(const struct holders *holders, struct slice user_id);

/* The holder of `serial`, or NULL when nobody holds it or there is no room for such a serial. */
const struct holder *holders_at(const struct holders *holders, uint32_t serial);

static inline struct slice holder_user_id(const struct holder *holder) {
    return slice_of(holder->user_id, holder->user_id_bytes);
}

/* Gives the free `serial` to a user who is not there yet. Room was reserved. */
void holders_add(struct holders *holders, struct slice user_id, uint32_t serial, int64_t issued_ms);

/* Takes back the held `serial`: it is free, in its next round, and its user stays without any. */
void holders_give_back(struct holders *holders, uint32_t serial);
