/* SPDX-License-Identifier: Apache-2.0
 *
 * The reserve of the embedded mode: in memory, gone with the process, rebuilt from the judges.
 *
 * For each event one bit a serial says which ones may be handed out, so a claim costs the lowest
 * set bit: serials go out in order of arrival, and one that came back goes out before any that was
 * never used. Reservations that the log has not decided yet are found by (event, user) in one
 * keyed hash table for all events; the engine's batches bound their number, so the table stops
 * growing soon, and from then on a claim takes no memory.
 *
 * Who holds a coupon already is the judge's knowledge, and the engine asks its view before it asks
 * here. The judges given to `install` must outlive the reserve.
 */
#include "claim/reserve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base.h"
#include "lib/hash.h"

enum { RESERVATIONS_AT_FIRST = 2048, NO_RESERVATION = UINT32_MAX, SERIALS_PER_WORD = 64 };

struct reservation {
    uint32_t next; /* in its bucket or among the unused ones */
    uint32_t event;
    uint32_t serial;
    uint32_t gen;
    int64_t ms;
    uint64_t reserve_seq;
    uint8_t user_id_bytes;
    char user_id[USER_ID_BYTES_MAX];
};

/* What may be handed out of one event, as its judge stood at `install`. */
struct supply {
    const struct judge *judge; /* NULL: not installed */
    uint64_t *available;       /* bit s - 1 is set: serial s may be handed out */
    uint32_t words_count;
    uint32_t word_lowest; /* no bit is set in the words before this one */
    uint32_t left;        /* bits set */
    uint32_t gen;
    bool paused, closed;
    int64_t starts_ms, ends_ms;
};

struct reserve_memory {
    struct reserve base;
    struct hash_key key;
    struct supply *supplies; /* by number of the event */
    uint32_t supplies_count;
    struct reservation *reservations;
    uint32_t capacity; /* of reservations; a power of two; half as many as buckets */
    uint32_t unused;   /* first of those not in use */
    uint32_t in_use;
    uint32_t *buckets;
    uint64_t reserve_seq;
};

static struct reserve_memory *memory_of(struct reserve *reserve) {
    return CONTAINER_OF(reserve, struct reserve_memory, base);
}

/* ---- The table of reservations ---- */

static uint32_t *bucket_of(const struct reserve_memory *memory, uint32_t event,
                           struct slice user_id) {
    uint64_t hash = hash_mix(hash_slice(&memory->key, user_id), event);
    return &memory->buckets[hash & (2 * (uint64_t)memory->capacity - 1)];
}

static struct slice reservation_user(const struct reservation *reservation) {
    return slice_of(reservation->user_id, reservation->user_id_bytes);
}

/* Where the index of this user's reservation stands: the link holds NO_RESERVATION if there is
 * none. */
static uint32_t *reservation_link(const struct reserve_memory *memory, uint32_t event,
                                  struct slice user_id) {
    uint32_t *link = bucket_of(memory, event, user_id);
    while (*link != NO_RESERVATION) {
        struct reservation *reservation = &memory->reservations[*link];
        if (reservation->event == event && slice_eq(reservation_user(reservation), user_id)) break;
        link = &reservation->next;
    }
    return link;
}

static void reservation_forget(struct reserve_memory *memory, uint32_t *link) {
    uint32_t index = *link;
    *link = memory->reservations[index].next;
    memory->reservations[index].next = memory->unused;
    memory->unused = index;
    memory->in_use--;
}

/* Doubles the table. False when memory is short: nothing is changed then. */
static bool reservations_grow(struct reserve_memory *memory) {
    uint32_t before = memory->capacity;
    uint32_t capacity = before == 0 ? RESERVATIONS_AT_FIRST : 2 * before;
    uint32_t *buckets = malloc(2 * (size_t)capacity * sizeof *buckets);
    struct reservation *reservations =
        buckets == NULL ? NULL
                        : realloc(memory->reservations, (size_t)capacity * sizeof *reservations);
    if (reservations == NULL) {
        free(buckets);
        return false;
    }
    memset(buckets, 0xff, 2 * (size_t)capacity * sizeof *buckets); /* NO_RESERVATION */
    free(memory->buckets);
    memory->buckets = buckets;
    memory->reservations = reservations;
    memory->capacity = capacity;
    /* It grows only when every one is in use: all of them go into the new buckets. */
    for (uint32_t i = 0; i < before; i++) {
        uint32_t *bucket =
            bucket_of(memory, reservations[i].event, reservation_user(&reservations[i]));
        reservations[i].next = *bucket;
        *bucket = i;
    }
    memory->unused = before;
    for (uint32_t i = before; i < capacity; i++)
        reservations[i].next = i + 1 < capacity ? i + 1 : NO_RESERVATION;
    return true;
}

/* ---- Serials ---- */

static void serial_put(struct supply *supply, uint32_t serial) {
    uint32_t word = (serial - 1) / SERIALS_PER_WORD;
    uint64_t bit = UINT64_C(1) << ((serial - 1) % SERIALS_PER_WORD);
    ASSERT(word < supply->words_count && (supply->available[word] & bit) == 0);
    supply->available[word] |= bit;
    supply->left++;
    if (word < supply->word_lowest) supply->word_lowest = word;
}

/* The lowest serial that may be handed out; there must be one. */
static uint32_t serial_take(struct supply *supply) {
    ASSERT(supply->left > 0);
    while (supply->available[supply->word_lowest] == 0) supply->word_lowest++;
    uint64_t *word = &supply->available[supply->word_lowest];
    uint32_t bit = (uint32_t)__builtin_ctzll(*word);
    *word &= *word - 1;
    supply->left--;
    return supply->word_lowest * SERIALS_PER_WORD + bit + 1;
}

/* ---- Operations ---- */

/* What the event itself says to a claim of somebody without a reservation. The order is the one
 * that a person expects: over is over, paused or not. */
static enum reserve_code supply_code(const struct supply *supply, int64_t now_ms) {
    if (supply->judge == NULL) return RESERVE_UNAVAILABLE;
    if (supply->closed || now_ms >= supply->ends_ms) return RESERVE_ENDED;
    if (supply->paused) return RESERVE_PAUSED;
    if (now_ms < supply->starts_ms) return RESERVE_NOT_STARTED;
    return supply->left == 0 ? RESERVE_SOLD_OUT : RESERVE_WIN;
}

static void reply_with(struct reserve_memory *memory, const struct claim *claim,
                       enum reserve_code code, const struct reservation *reservation) {
    struct reserve_reply reply = {.code = code};
    if (reservation != NULL) {
        reply.gen = reservation->gen;
        reply.serial = reservation->serial;
        reply.ms = reservation->ms;
        reply.reserve_seq = reservation->reserve_seq;
    }
    memory->base.on_reply(memory->base.ctx, claim, &reply);
}

static const struct reservation *reservation_make(struct reserve_memory *memory,
                                                  struct supply *supply, const struct claim *claim,
                                                  int64_t now_ms) {
    if (memory->unused == NO_RESERVATION && !reservations_grow(memory)) return NULL;
    uint32_t index = memory->unused;
    struct reservation *reservation = &memory->reservations[index];
    memory->unused = reservation->next;
    memory->in_use++;
    uint32_t *bucket = bucket_of(memory, claim->event, claim_user_id(claim));
    reservation->next = *bucket;
    *bucket = index;
    reservation->event = claim->event;
    reservation->serial = serial_take(supply);
    reservation->gen = supply->gen;
    reservation->ms = now_ms;
    reservation->reserve_seq = ++memory->reserve_seq;
    reservation->user_id_bytes = claim->user_id_bytes;
    memcpy(reservation->user_id, claim->user_id, claim->user_id_bytes);
    return reservation;
}

static void memory_claim(struct reserve *reserve, const struct claim *claim, int64_t now_ms) {
    struct reserve_memory *memory = memory_of(reserve);
    uint32_t found = *reservation_link(memory, claim->event, claim_user_id(claim));
    if (found != NO_RESERVATION) {
        reply_with(memory, claim, RESERVE_HAVE, &memory->reservations[found]);
        return;
    }
    if (claim->kind == CLAIM_KIND_QUERY) {
        reply_with(memory, claim, RESERVE_NONE, NULL);
        return;
    }
    if (claim->event >= memory->supplies_count) {
        reply_with(memory, claim, RESERVE_UNAVAILABLE, NULL);
        return;
    }
    struct supply *supply = &memory->supplies[claim->event];
    enum reserve_code code = supply_code(supply, now_ms);
    const struct reservation *made = NULL;
    if (code == RESERVE_WIN) {
        made = reservation_make(memory, supply, claim, now_ms);
        if (made == NULL) code = RESERVE_UNAVAILABLE;
    }
    reply_with(memory, claim, code, made);
}

static void memory_flush(struct reserve *reserve) {
    (void)reserve; /* every reply was given during the call */
}

/* Makes room for the supply of event number `event`. */
static int supplies_grow(struct reserve_memory *memory, uint32_t event) {
    if (event < memory->supplies_count) return 0;
    uint32_t count =
        event + 1 > 2 * memory->supplies_count ? event + 1 : 2 * memory->supplies_count;
    struct supply *supplies = realloc(memory->supplies, (size_t)count * sizeof *supplies);
    if (supplies == NULL) return -ENOMEM;
    memset(supplies + memory->supplies_count, 0,
           (size_t)(count - memory->supplies_count) * sizeof *supplies);
    memory->supplies = supplies;
    memory->supplies_count = count;
    return 0;
}

static void forget_event(struct reserve_memory *memory, uint32_t event) {
    for (uint32_t i = 0; memory->in_use > 0 && i < 2 * memory->capacity; i++) {
        uint32_t *link = &memory->buckets[i];
        while (*link != NO_RESERVATION)
            if (memory->reservations[*link].event == event)
                reservation_forget(memory, link);
            else
                link = &memory->reservations[*link].next;
    }
}

static int memory_install(struct reserve *reserve, uint32_t event, const struct judge *judge) {
    struct reserve_memory *memory = memory_of(reserve);
    const struct judge_state *state = judge_state(judge);
    struct supply fresh = {
        .judge = judge,
        .words_count = (state->stock + SERIALS_PER_WORD - 1) / SERIALS_PER_WORD,
        .gen = state->gen,
        .paused = state->paused,
        .closed = state->closed,
        .starts_ms = state->starts_ms,
        .ends_ms = state->ends_ms,
    };
    if (supplies_grow(memory, event) != 0) return -ENOMEM;
    fresh.available = calloc(fresh.words_count, sizeof *fresh.available);
    if (fresh.available == NULL) return -ENOMEM;
    struct coupon coupon;
    for (uint32_t serial = 1; serial <= state->stock; serial++)
        if (serial > state->serial_max || !judge_holder(judge, serial, &coupon))
            serial_put(&fresh, serial);
    forget_event(memory, event);
    free(memory->supplies[event].available);
    memory->supplies[event] = fresh;
    return 0;
}

static void memory_settled(struct reserve *reserve, uint32_t event, struct slice user_id) {
    struct reserve_memory *memory = memory_of(reserve);
    uint32_t *link = reservation_link(memory, event, user_id);
    if (*link == NO_RESERVATION) return;
    uint32_t serial = memory->reservations[*link].serial;
    reservation_forget(memory, link);
    /* The judge refused it, and nobody else has that serial: it may be handed out again. */
    struct supply *supply = &memory->supplies[event];
    struct coupon coupon;
    if (!judge_holder(supply->judge, serial, &coupon)) serial_put(supply, serial);
}

static void memory_free(struct reserve *reserve) {
    struct reserve_memory *memory = memory_of(reserve);
    for (uint32_t i = 0; i < memory->supplies_count; i++) free(memory->supplies[i].available);
    free(memory->supplies);
    free(memory->reservations);
    free(memory->buckets);
    free(memory);
}

struct reserve *reserve_memory_new(const struct hash_key *key) {
    static const struct reserve_ops ops = {
        .claim = memory_claim,
        .flush = memory_flush,
        .install = memory_install,
        .settled = memory_settled,
        .free = memory_free,
    };
    struct reserve_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) return NULL;
    memory->base.ops = &ops;
    memory->key = *key;
    if (!reservations_grow(memory)) {
        free(memory);
        return NULL;
    }
    return &memory->base;
}
