/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of judge.h, one function for each kind of record; who holds what is in holders.h. A
 * rule looks at everything before it changes anything.
 */
#include "claim/judge.h"

#include <errno.h>
#include <stdlib.h>

#include "claim/holders.h"

struct judge {
    struct judge_state state;
    uint64_t digest;
    struct holders holders;
};

const char *verdict_name(enum verdict verdict) {
    static const char *const names[] = {
        [VERDICT_VALID] = "valid",
        [VERDICT_DUP] = "dup",
        [VERDICT_VOID_GEN] = "void_gen",
        [VERDICT_VOID_SERIAL] = "void_serial",
        [VERDICT_VOID_USER] = "void_user",
        [VERDICT_VOID_TIME] = "void_time",
        [VERDICT_NOP] = "nop",
    };
    return (size_t)verdict < ARRAY_LEN(names) ? names[verdict] : "unknown";
}

struct judge *judge_new(const struct record *open, const struct hash_key *key) {
    ASSERT(open->type == RECORD_OPEN);
    struct judge *judge = calloc(1, sizeof(*judge));
    if (judge == NULL) return NULL;
    holders_init(&judge->holders, key);
    if (judge_reserve(judge, open) != 0) {
        judge_free(judge);
        return NULL;
    }
    return judge;
}

void judge_free(struct judge *judge) {
    if (judge == NULL) return;
    holders_deinit(&judge->holders);
    free(judge);
}

struct judge *judge_clone(const struct judge *judge) {
    struct judge *clone = malloc(sizeof(*clone));
    if (clone == NULL) return NULL;
    *clone = *judge;
    if (holders_copy(&clone->holders, &judge->holders) == 0) return clone;
    free(clone);
    return NULL;
}

int judge_reserve(struct judge *judge, const struct record *record) {
    const struct judge_state *state = &judge->state;
    uint32_t stock = state->stock;
    uint64_t returned = judge->holders.count - state->taken;
    if (record->type == RECORD_OPEN && !state->opened) stock = record->open.stock;
    if (record->type == RECORD_RESTOCK && record->restock.stock > stock)
        stock = record->restock.stock;
    if (record->type == RECORD_RETURN) returned++;
    return holders_reserve(&judge->holders, stock, stock + returned);
}

/* ---- Rules ---- */

static enum verdict apply_open(struct judge *judge, const struct record *record) {
    struct judge_state *state = &judge->state;
    if (state->opened) return VERDICT_NOP;
    ASSERT(record->open.stock <= judge->holders.serials_max);
    state->opened = true;
    state->stock = record->open.stock;
    state->starts_ms = record->open.starts_ms;
    state->ends_ms = record->open.ends_ms;
    state->gen = 1;
    state->ver = 1;
    return VERDICT_VALID;
}

static enum verdict apply_fence(struct judge *judge, const struct record *record) {
    if (record->fence.gen != (uint64_t)judge->state.gen + 1) return VERDICT_NOP;
    judge->state.gen = record->fence.gen;
    return VERDICT_VALID;
}

/* True when `user_id` holds `serial`. */
static bool holds(const struct judge *judge, struct slice user_id, uint32_t serial) {
    const struct holder *holder = holders_at(&judge->holders, serial);
    return holder != NULL && slice_eq(holder_user_id(holder), user_id);
}

static enum verdict apply_win(struct judge *judge, const struct record *record) {
    struct judge_state *state = &judge->state;
    uint32_t serial = record->win.serial;
    struct slice user_id = record->win.user_id;

    if (holds(judge, user_id, serial)) return VERDICT_DUP;
    if (record->win.gen != state->gen) return VERDICT_VOID_GEN;
    if (serial < 1 || serial > state->stock) return VERDICT_VOID_SERIAL; /* I1 */
    if (holders_at(&judge->holders, serial) != NULL) return VERDICT_VOID_SERIAL;
    if (holders_find(&judge->holders, user_id) != NULL) return VERDICT_VOID_USER; /* I2 */
    if (record->ms < state->starts_ms || record->ms >= state->ends_ms) return VERDICT_VOID_TIME;

    holders_add(&judge->holders, user_id, serial, record->ms);
    state->taken++;
    if (serial > state->serial_max) state->serial_max = serial;
    return VERDICT_VALID;
}

static enum verdict apply_return(struct judge *judge, const struct record *record) {
    if (!holds(judge, record->give_back.user_id, record->give_back.serial)) return VERDICT_NOP;
    holders_give_back(&judge->holders, record->give_back.serial);
    judge->state.taken--;
    return VERDICT_VALID;
}

static bool is_any_held_above(const struct judge *judge, uint32_t serial) {
    for (uint32_t above = judge->state.serial_max; above > serial; above--) {
        if (holders_at(&judge->holders, above) != NULL) return true;
    }
    return false;
}

static enum verdict apply_restock(struct judge *judge, const struct record *record) {
    uint32_t stock = record->restock.stock;
    if (judge->state.closed || is_any_held_above(judge, stock)) return VERDICT_NOP;
    ASSERT(stock <= judge->holders.serials_max);
    judge->state.stock = stock;
    return VERDICT_VALID;
}

static enum verdict apply_reschedule(struct judge *judge, const struct record *record) {
    if (judge->state.closed) return VERDICT_NOP;
    judge->state.starts_ms = record->reschedule.starts_ms;
    judge->state.ends_ms = record->reschedule.ends_ms;
    return VERDICT_VALID;
}

static enum verdict apply_paused(struct judge *judge, bool paused) {
    if (judge->state.closed) return VERDICT_NOP;
    judge->state.paused = paused;
    return VERDICT_VALID;
}

static enum verdict apply_close(struct judge *judge, const struct record *record) {
    struct judge_state *state = &judge->state;
    if (state->closed) return VERDICT_NOP;
    state->closed = true;
    if (record->ms < state->ends_ms) state->ends_ms = record->ms;
    if (state->ends_ms < state->starts_ms) state->ends_ms = state->starts_ms;
    return VERDICT_VALID;
}

static enum verdict apply_rule(struct judge *judge, const struct record *record) {
    if (record->type == RECORD_OPEN) return apply_open(judge, record);
    if (!judge->state.opened) return VERDICT_NOP;
    switch (record->type) {
    case RECORD_FENCE:
        return apply_fence(judge, record);
    case RECORD_WIN:
        return apply_win(judge, record);
    case RECORD_RETURN:
        return apply_return(judge, record);
    case RECORD_RESTOCK:
        return apply_restock(judge, record);
    case RECORD_RESCHEDULE:
        return apply_reschedule(judge, record);
    case RECORD_PAUSE:
        return apply_paused(judge, true);
    case RECORD_RESUME:
        return apply_paused(judge, false);
    case RECORD_CLOSE:
        return apply_close(judge, record);
    default: /* the log's own records, which say nothing of an event */
        return VERDICT_NOP;
    }
}

/* ---- Digest ---- */

static uint64_t mix_text(uint64_t digest, struct slice text) {
    static const struct hash_key unkeyed = {{0, 0}};
    return hash_mix(digest, hash_slice(&unkeyed, text));
}

static uint64_t mix_own_fields(uint64_t digest, const struct record *record) {
    switch (record->type) {
    case RECORD_OPEN:
        digest = hash_mix(digest, record->open.stock);
        digest = hash_mix(digest, (uint64_t)record->open.starts_ms);
        digest = hash_mix(digest, (uint64_t)record->open.ends_ms);
        digest = hash_mix(digest, record->open.key_id);
        digest = hash_mix(digest, record->open.code.length);
        digest = mix_text(digest, record->open.code.prefix);
        return mix_text(digest, record->open.code.alphabet);
    case RECORD_FENCE:
        digest = hash_mix(digest, record->fence.gen);
        return hash_mix(digest, record->fence.nonce);
    case RECORD_WIN:
        digest = hash_mix(digest, (uint64_t)record->win.gen << 32 | record->win.serial);
        digest = hash_mix(digest, record->win.reserve_seq);
        digest = mix_text(digest, record->win.user_id);
        return mix_text(digest, record->win.claim_id);
    case RECORD_RETURN:
        digest = hash_mix(digest, record->give_back.serial);
        return mix_text(digest, record->give_back.user_id);
    case RECORD_RESTOCK:
        return hash_mix(digest, record->restock.stock);
    case RECORD_RESCHEDULE:
        digest = hash_mix(digest, (uint64_t)record->reschedule.starts_ms);
        return hash_mix(digest, (uint64_t)record->reschedule.ends_ms);
    default:
        return digest;
    }
}

/* What the record says, but not where in which log it says so. */
static uint64_t mix_record(uint64_t digest, const struct record *record) {
    digest = hash_mix(digest, (uint64_t)record->type);
    digest = hash_mix(digest, (uint64_t)record->ms);
    digest = mix_text(digest, record->event_id);
    digest = mix_text(digest, record->operator);
    digest = mix_text(digest, record->reason);
    return mix_own_fields(digest, record);
}

/* ---- What everyone calls ---- */

enum verdict judge_apply(struct judge *judge, uint64_t offset, const struct record *record) {
    struct judge_state *state = &judge->state;
    ASSERT(offset > state->offset || !state->opened);

    enum verdict verdict = apply_rule(judge, record);
    bool is_control = record->type != RECORD_OPEN && record->type != RECORD_WIN;
    if (is_control && verdict == VERDICT_VALID) state->ver++;
    if (record->ms > state->latest_ms) state->latest_ms = record->ms;
    state->offset = offset;

    uint64_t digest = hash_mix(judge->digest, offset);
    digest = hash_mix(digest, (uint64_t)verdict);
    judge->digest = mix_record(digest, record);
    return verdict;
}

static struct coupon coupon_of(const struct judge *judge, const struct holder *holder) {
    return (struct coupon){.user_id = holder_user_id(holder),
                           .serial = holder->serial,
                           .round = judge->holders.serials[holder->serial].round,
                           .issued_ms = holder->issued_ms};
}

enum holding judge_lookup(const struct judge *judge, struct slice user_id, struct coupon *coupon) {
    const struct holder *holder = holders_find(&judge->holders, user_id);
    if (holder == NULL) return HOLDING_NONE;
    if (holder->serial == 0) return HOLDING_RETURNED;
    *coupon = coupon_of(judge, holder);
    return HOLDING_COUPON;
}

bool judge_holder(const struct judge *judge, uint32_t serial, struct coupon *coupon) {
    const struct holder *holder = holders_at(&judge->holders, serial);
    if (holder == NULL) return false;
    *coupon = coupon_of(judge, holder);
    return true;
}

bool judge_member(const struct judge *judge, uint32_t n, struct coupon *coupon) {
    if (n >= judge->holders.count) return false;
    *coupon = coupon_of(judge, &judge->holders.all[n]);
    return true;
}

uint32_t judge_members_count(const struct judge *judge) {
    return judge->holders.count;
}

const struct judge_state *judge_state(const struct judge *judge) {
    return &judge->state;
}

uint64_t judge_digest(const struct judge *judge) {
    return judge->digest;
}
