/* SPDX-License-Identifier: Apache-2.0
 *
 * The scripts that hold an event's reservations in a Redis Cluster, with types: what they are
 * called with and what they say. claim.lua and install.lua tell their rules; their text is in the
 * program. No connection here: a call is words for lib/redis/cluster.h, a reply comes from it.
 *
 * The keys of an event are in one slot. Replies are outside input: any shape has a meaning,
 * SCRIPT_NONSENSE or INSTALL_NONSENSE for all that the scripts never say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/redis/cluster.h"
#include "log/record.h"

extern const struct redis_script archive_script, claim_script, install_script, query_script,
    snapshot_script;

enum {
    SCRIPT_KEYS = 4,
    INSTALL_KEYS = 6, /* … and two, of holders that are laid aside */
    SCRIPT_KEY_BYTES_MAX = EVENT_ID_BYTES_MAX + sizeof "coupon:{}:m" - 1,
    CLAIM_CALL_WORDS = 1 + SCRIPT_KEYS + 3,
    QUERY_CALL_WORDS = 1 + SCRIPT_KEYS + 1,   /* the first words of a claim's */
    SNAPSHOT_CALL_WORDS = 1 + SCRIPT_KEYS + 1,
    INSTALL_CALL_WORDS = 1 + INSTALL_KEYS + 8, /* and two for each holder */
    /* "gen serial ms seq claim": four numbers with their spaces, and the claim id. */
    SCRIPT_RESERVATION_BYTES_MAX = 11 + 11 + 20 + 21 + CLAIM_ID_BYTES_MAX,
};

/* "coupon:{event}:m" and so on. */
struct script_keys {
    char text[INSTALL_KEYS][SCRIPT_KEY_BYTES_MAX];
    size_t bytes; /* of each */
};
void script_keys_make(struct script_keys *keys, struct slice event_id);
static inline struct slice script_key(const struct script_keys *keys) { /* decides the slot */
    return slice_of(keys->text[0], keys->bytes);
}

/* What is kept of a user: a reservation, or (serial 0) that a coupon was given back. */
struct script_reservation {
    uint32_t gen, serial;
    int64_t ms;            /* the shard's latched time */
    uint64_t seq;          /* number of the reservation within its gen */
    struct slice claim_id; /* borrowed */
};

/* ---- claim ---- */

struct claim_call {
    struct slice words[CLAIM_CALL_WORDS]; /* borrow all that the call is made of */
    char gen_seen[11];
};
/* `gen_seen`: of the newest state of the event that the asker has read in the log. The call is not
 * to be moved afterwards. */
void claim_call_make(struct claim_call *call, const struct script_keys *keys, struct slice user_id,
                     struct slice claim_id, uint32_t gen_seen);

enum script_code {
    SCRIPT_WIN,         /* reserved now: `reservation` */
    SCRIPT_HAVE,        /* reserved before: `reservation` */
    SCRIPT_SOLD_OUT,    /* as of this gen and ver */
    SCRIPT_NOT_STARTED, /* opens_in_ms */
    SCRIPT_ENDED,
    SCRIPT_PAUSED,
    SCRIPT_STALE,    /* the node is behind the log: recover */
    SCRIPT_FENCED,   /* the node is not the process that the state was installed into: recover */
    SCRIPT_NO_STATE, /* the node knows nothing of the event: recover */
    SCRIPT_RETURNED, /* this user gave the coupon back */
    SCRIPT_NONSENSE, /* no reply of this script */
};

struct claim_script_reply {
    enum script_code code;
    uint32_t gen, ver; /* of all but SCRIPT_NO_STATE and SCRIPT_NONSENSE, where they are 0 */
    int64_t opens_in_ms;
    struct script_reservation reservation; /* claim_id lives as long as the reply */
};
void claim_script_read(const struct redisReply *reply, struct claim_script_reply *read);

/* The same for the text of a reservation, as the outbox has it too. False when it is none. */
bool script_reservation_read(struct slice text, struct script_reservation *reservation);

/* ---- query ---- */

struct query_script_reply {
    uint32_t gen;     /* of the node; 0: it knows nothing of the event, or said nonsense */
    bool is_reserved; /* this user has `reservation`, of this gen or an older one */
    struct script_reservation reservation;
};
void query_script_read(const struct redisReply *reply, struct query_script_reply *read);

/* ---- snapshot; its reply is read in snapshot.h ---- */

/* The words borrow `keys` and `holders_max`, digits, or "" for all. */
void snapshot_call_make(struct slice words[SNAPSHOT_CALL_WORDS], const struct script_keys *keys,
                        struct slice holders_max);

/* ---- install ---- */

enum install_status { INSTALL_OPEN = 1, INSTALL_PAUSED = 2, INSTALL_ENDED = 3 };

struct install_state {
    uint32_t gen, ver, stock;
    int64_t starts_ms, ends_ms;
    enum install_status status;
    uint32_t holders; /* in all, in one call or in several */
};

struct install_call {
    struct slice *words; /* borrow the keys and the users' ids, own the rest */
    size_t words_count, words_max;
    char *bytes;
    size_t bytes_used;
};
/* Room for `holders_max` calls of install_call_add, of the holders behind the first `before`. -ENOMEM
 * or 0. */
int install_call_init(struct install_call *call, const struct script_keys *keys,
                      const struct install_state *state, uint32_t before,
                      size_t holders_max) MUST_CHECK;
void install_call_add(struct install_call *call, struct slice user_id,
                      const struct script_reservation *reservation);
void install_call_deinit(struct install_call *call);

enum install_code {
    INSTALL_DONE,             /* value: gen */
    INSTALL_NEWER,            /* value: the gen that is there, not older; nothing is changed */
    INSTALL_PART,             /* value: how many holders are laid aside; nothing in force is changed */
    INSTALL_NOT_MASTER,       /* nothing is changed, nor by the ones below */
    INSTALL_DUPLICATE_SERIAL, /* value: which; 0: a holder that is none */
    INSTALL_WRONG_TYPE,       /* value: number of the key, from 1: somebody else has written it */
    INSTALL_NONSENSE,
};
struct install_script_reply {
    enum install_code code;
    uint32_t value;
};
void install_script_read(const struct redisReply *reply, struct install_script_reply *read);
