/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge: reads the log of one event in order and says of each record what it is worth. Whoever
 * runs it over the same records gets the same winners: engine, network threads, recovery, the
 * checker, the simulator, and in cluster mode every server and the consumer.
 *
 * Pure: no I/O, no clock; memory is taken only by judge_new and judge_reserve, which the caller runs
 * before OPEN, RESTOCK and RETURN are applied. judge_apply itself never allocates.
 *
 * Rules (cur = current gen, own[s] = holder of serial s):
 *   OPEN     the first one is VALID and sets everything; any later one is NOP
 *   FENCE    VALID iff gen == cur + 1; cur = gen
 *   WIN      own[serial] == user: DUP. Else the first that applies:
 *            gen != cur: VOID_GEN; serial outside 1..stock or taken: VOID_SERIAL; the user holds
 *            another serial or has returned one: VOID_USER; ms outside [starts, ends): VOID_TIME.
 *            Else VALID. (Paused or not is the reservation's business: a claim that was reserved
 *            before a pause counts.)
 *   RETURN   VALID iff own[serial] == user: frees the serial, raises its round, bars the user
 *   RESTOCK  VALID iff no serial above the new stock is held and the event is not closed
 *   RESCHEDULE, PAUSE, RESUME  VALID iff not closed
 *   CLOSE    VALID iff not closed; ends = min(ends, ms), at least starts; final
 *   Each VALID control record (RETURN to CLOSE, and FENCE) raises ver. What a rule refuses and no
 *   verdict names is NOP and changes nothing but the digest and the offset.
 * Invariants kept here: I1 (serials 1..stock, one holder each), I2 (one serial a user).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/hash.h"
#include "log/record.h"

struct judge;

enum verdict {
    VERDICT_VALID,
    VERDICT_DUP,
    VERDICT_VOID_GEN,
    VERDICT_VOID_SERIAL,
    VERDICT_VOID_USER,
    VERDICT_VOID_TIME,
    VERDICT_NOP,
};
const char *verdict_name(enum verdict verdict);

/* A judge of the event that `open` opens, with room for it, having applied nothing yet. `key` keys
 * the table of users and has no influence on any answer. NULL when memory is short. */
struct judge *judge_new(const struct record *open, const struct hash_key *key) MUST_CHECK;
void judge_free(struct judge *judge);
/* A judge that has applied what `judge` has, in memory of its own. NULL when memory is short. */
struct judge *judge_clone(const struct judge *judge) MUST_CHECK;

/* Makes room for what applying `record` and all WINs that it makes possible may need. 0 or -ENOMEM
 * (nothing is changed). Must be called before judge_apply of every record that is no WIN. */
int judge_reserve(struct judge *judge, const struct record *record) MUST_CHECK;

/* Applies the record with log offset `offset` (greater than the last one's). */
enum verdict judge_apply(struct judge *judge, uint64_t offset, const struct record *record);

/* What a serial's holder got. Slices live as long as the judge. */
struct coupon {
    struct slice user_id;
    uint32_t serial;
    uint32_t round; /* how often the serial had been returned before */
    int64_t issued_ms;
};

enum holding {
    HOLDING_NONE,
    HOLDING_COUPON,   /* holds one: *coupon is filled */
    HOLDING_RETURNED, /* held one and gave it back: may not claim again */
};

/* What `user_id` has. No allocation, no lock, no clock. */
enum holding judge_lookup(const struct judge *judge, struct slice user_id, struct coupon *coupon);

/* True, and the coupon, when serial (1..stock) is held. */
bool judge_holder(const struct judge *judge, uint32_t serial, struct coupon *coupon);

/* Everybody who holds a coupon, or held one and gave it back (serial and round are then 0), in the
 * order of arrival: number `n`, from 0. False past the last. */
bool judge_member(const struct judge *judge, uint32_t n, struct coupon *coupon);
uint32_t judge_members_count(const struct judge *judge);

/* Where the event stands. Read directly: these are the words of the hot path. */
struct judge_state {
    uint32_t stock;      /* N */
    uint32_t taken;      /* serials held now */
    uint32_t serial_max; /* the highest serial ever held; 0 before the first */
    uint32_t gen, ver;   /* 1 and 1 after OPEN */
    bool opened, paused, closed;
    int64_t starts_ms, ends_ms; /* may be claimed while starts <= ms < ends */
    int64_t latest_ms;          /* the greatest ms seen in any record */
    uint64_t offset;            /* of the last record applied */
};
const struct judge_state *judge_state(const struct judge *judge);

/* A number that is equal whenever the same records were applied at the same offsets. */
uint64_t judge_digest(const struct judge *judge);
