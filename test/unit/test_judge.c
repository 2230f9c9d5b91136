/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge: each rule by hand, and thousands of random logs against a model that is too simple to
 * be wrong. What is judged is I1 and I2.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "claim/judge.h"
#include "fake/failing_alloc.h"
#include "sim/random_sim.h"

enum { SEEDS = 3000, RECORDS = 120, SERIALS = 12, TIMES = 24 };

static const struct hash_key keys[2] = {{{1, 2}}, {{UINT64_MAX, 0x123456789abcdef}}};

/* ---- Records ---- */

#define RECORD(type_, ...)                                                                         \
    (&(struct record){.type = (type_), .ms = 10, .event_id = SLICE("e"), __VA_ARGS__})
#define OPEN(stock_)                                                                               \
    RECORD(RECORD_OPEN, .open = {.stock = (stock_), .starts_ms = 10, .ends_ms = 20})
#define WIN_AT(ms_, gen_, serial_, user_)                                                          \
    (&(struct record){.type = RECORD_WIN,                                                          \
                      .ms = (ms_),                                                                 \
                      .event_id = SLICE("e"),                                                      \
                      .win = {.gen = (gen_), .serial = (serial_), .user_id = SLICE(user_)}})
#define WIN(serial_, user_) WIN_AT(10, 1, serial_, user_)
#define RETURN(serial_, user_)                                                                     \
    RECORD(RECORD_RETURN, .give_back = {.serial = (serial_), .user_id = SLICE(user_)})
#define RESTOCK(stock_) RECORD(RECORD_RESTOCK, .restock = {.stock = (stock_)})
#define FENCE(gen_) RECORD(RECORD_FENCE, .fence = {.gen = (gen_)})
#define CLOSE_AT(ms_) (&(struct record){.type = RECORD_CLOSE, .ms = (ms_), .event_id = SLICE("e")})

static enum verdict apply(struct judge *judge, const struct record *record) {
    if (record->type != RECORD_WIN) assert_int_equal(judge_reserve(judge, record), 0);
    return judge_apply(judge, judge_state(judge)->offset + 1, record);
}

static struct judge *opened(uint32_t stock) {
    struct judge *judge = judge_new(OPEN(stock), &keys[0]);
    assert_non_null(judge);
    assert_int_equal(apply(judge, OPEN(stock)), VERDICT_VALID);
    return judge;
}

/* ---- Rules ---- */

static void open_sets_everything_once(void **state) {
    (void)state;
    struct judge *judge = judge_new(OPEN(3), &keys[0]);
    assert_false(judge_state(judge)->opened);
    assert_int_equal(apply(judge, FENCE(1)), VERDICT_NOP);
    assert_int_equal(apply(judge, WIN(1, "a")), VERDICT_NOP);
    assert_int_equal(apply(judge, OPEN(3)), VERDICT_VALID);
    const struct judge_state *now = judge_state(judge);
    assert_true(now->opened && !now->paused && !now->closed);
    assert_true(now->stock == 3 && now->taken == 0 && now->serial_max == 0);
    assert_true(now->gen == 1 && now->ver == 1);
    assert_true(now->starts_ms == 10 && now->ends_ms == 20);
    assert_true(now->latest_ms == 10 && now->offset == 3);
    assert_int_equal(apply(judge, OPEN(5)), VERDICT_NOP);
    assert_true(now->stock == 3 && now->ver == 1 && now->offset == 4);
    judge_free(judge);
}

static void a_win_gives_a_serial_to_a_user(void **state) {
    (void)state;
    struct judge *judge = opened(2);
    struct coupon coupon;
    assert_int_equal(judge_lookup(judge, SLICE("a"), &coupon), HOLDING_NONE);
    assert_int_equal(apply(judge, WIN_AT(12, 1, 2, "a")), VERDICT_VALID);
    assert_int_equal(judge_lookup(judge, SLICE("a"), &coupon), HOLDING_COUPON);
    assert_true(coupon.serial == 2 && coupon.round == 0 && coupon.issued_ms == 12);
    assert_true(slice_eq(coupon.user_id, SLICE("a")));
    assert_true(judge_holder(judge, 2, &coupon));
    assert_true(slice_eq(coupon.user_id, SLICE("a")));
    assert_false(judge_holder(judge, 1, &coupon));
    assert_int_equal(judge_state(judge)->taken, 1);
    assert_int_equal(judge_state(judge)->serial_max, 2);
    assert_int_equal(judge_state(judge)->ver, 1);
    assert_int_equal(apply(judge, WIN(1, "b")), VERDICT_VALID);
    assert_int_equal(judge_state(judge)->serial_max, 2);
    judge_free(judge);
}

static void a_win_fails_by_the_first_rule_that_applies(void **state) {
    (void)state;
    const struct {
        const struct record *record;
        enum verdict verdict;
    } cases[] = {
        {WIN(1, "a"), VERDICT_DUP},
        {WIN_AT(99, 7, 1, "a"), VERDICT_DUP}, /* before generation and time */
        {WIN_AT(10, 2, 2, "b"), VERDICT_VOID_GEN},
        {WIN_AT(99, 2, 1, "a2"), VERDICT_VOID_GEN}, /* before serial and time */
        {WIN(0, "b"), VERDICT_VOID_SERIAL},
        {WIN(4, "b"), VERDICT_VOID_SERIAL},
        {WIN(UINT32_MAX, "b"), VERDICT_VOID_SERIAL},
        {WIN(1, "b"), VERDICT_VOID_SERIAL},
        {WIN_AT(99, 1, 4, "a"), VERDICT_VOID_SERIAL}, /* before user and time */
        {WIN(2, "a"), VERDICT_VOID_USER},
        {WIN_AT(99, 1, 2, "a"), VERDICT_VOID_USER}, /* before time */
        {WIN_AT(9, 1, 2, "b"), VERDICT_VOID_TIME},
        {WIN_AT(20, 1, 2, "b"), VERDICT_VOID_TIME},
        {WIN_AT(19, 1, 2, "b"), VERDICT_VALID},
        {WIN_AT(10, 1, 3, "c"), VERDICT_VALID},
    };
    struct judge *judge = opened(3);
    assert_int_equal(apply(judge, WIN(1, "a")), VERDICT_VALID);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(apply(judge, cases[i].record), cases[i].verdict);
    assert_int_equal(judge_state(judge)->taken, 3);
    assert_int_equal(judge_state(judge)->latest_ms, 99);
    judge_free(judge);
}

static void a_fence_is_a_compare_and_swap(void **state) {
    (void)state;
    struct judge *judge = opened(3);
    assert_int_equal(apply(judge, FENCE(1)), VERDICT_NOP);
    assert_int_equal(apply(judge, FENCE(3)), VERDICT_NOP);
    assert_int_equal(apply(judge, FENCE(2)), VERDICT_VALID);
    assert_int_equal(apply(judge, FENCE(2)), VERDICT_NOP);
    assert_int_equal(judge_state(judge)->gen, 2);
    assert_int_equal(judge_state(judge)->ver, 2);
    assert_int_equal(apply(judge, WIN_AT(10, 1, 1, "a")), VERDICT_VOID_GEN);
    assert_int_equal(apply(judge, WIN_AT(10, 2, 1, "a")), VERDICT_VALID);
    judge_free(judge);
}

static void a_return_frees_the_serial_and_bars_the_user(void **state) {
    (void)state;
    struct judge *judge = opened(1);
    struct coupon coupon;
    apply(judge, WIN(1, "a"));
    assert_int_equal(apply(judge, RETURN(1, "b")), VERDICT_NOP);
    assert_int_equal(apply(judge, RETURN(2, "a")), VERDICT_NOP);
    assert_int_equal(apply(judge, RETURN(0, "a")), VERDICT_NOP);
    assert_int_equal(apply(judge, RETURN(1, "a")), VERDICT_VALID);
    assert_int_equal(apply(judge, RETURN(1, "a")), VERDICT_NOP);
    assert_int_equal(judge_lookup(judge, SLICE("a"), &coupon), HOLDING_RETURNED);
    assert_false(judge_holder(judge, 1, &coupon));
    assert_true(judge_state(judge)->taken == 0 && judge_state(judge)->serial_max == 1);
    assert_int_equal(judge_state(judge)->ver, 2);
    assert_int_equal(apply(judge, WIN(1, "a")), VERDICT_VOID_USER);
    assert_int_equal(apply(judge, WIN(1, "b")), VERDICT_VALID);
    assert_int_equal(judge_lookup(judge, SLICE("b"), &coupon), HOLDING_COUPON);
    assert_int_equal(coupon.round, 1);
    assert_int_equal(judge_members_count(judge), 2);
    assert_true(judge_member(judge, 0, &coupon) && slice_eq(coupon.user_id, SLICE("a")));
    assert_true(coupon.serial == 0 && coupon.round == 0);
    assert_true(judge_member(judge, 1, &coupon) && slice_eq(coupon.user_id, SLICE("b")));
    assert_int_equal(coupon.serial, 1);
    assert_false(judge_member(judge, 2, &coupon));
    judge_free(judge);
}

static void a_restock_never_strands_a_holder(void **state) {
    (void)state;
    struct judge *judge = opened(4);
    apply(judge, WIN(1, "a"));
    apply(judge, WIN(3, "c"));
    assert_int_equal(apply(judge, RESTOCK(2)), VERDICT_NOP);
    assert_int_equal(judge_state(judge)->stock, 4);
    assert_int_equal(apply(judge, RESTOCK(3)), VERDICT_VALID);
    assert_int_equal(apply(judge, WIN(4, "d")), VERDICT_VOID_SERIAL);
    assert_int_equal(apply(judge, RETURN(3, "c")), VERDICT_VALID);
    assert_int_equal(apply(judge, RESTOCK(1)), VERDICT_VALID);
    assert_int_equal(apply(judge, WIN(2, "d")), VERDICT_VOID_SERIAL);
    assert_int_equal(apply(judge, RESTOCK(6)), VERDICT_VALID);
    assert_int_equal(apply(judge, WIN(6, "d")), VERDICT_VALID);
    assert_int_equal(apply(judge, WIN(3, "f")), VERDICT_VALID);
    struct coupon coupon;
    assert_true(judge_holder(judge, 3, &coupon));
    assert_int_equal(coupon.round, 1); /* remembered while the stock was below it */
    judge_free(judge);
}

static void a_closed_event_only_takes_what_was_reserved_in_time(void **state) {
    (void)state;
    struct judge *judge = opened(4);
    apply(judge, WIN(1, "a"));
    assert_int_equal(apply(judge, CLOSE_AT(15)), VERDICT_VALID);
    const struct judge_state *now = judge_state(judge);
    assert_true(now->closed && now->ends_ms == 15 && now->ver == 2);
    assert_int_equal(apply(judge, CLOSE_AT(12)), VERDICT_NOP);
    assert_int_equal(apply(judge, RESTOCK(5)), VERDICT_NOP);
    assert_int_equal(apply(judge, RECORD(RECORD_PAUSE)), VERDICT_NOP);
    assert_int_equal(apply(judge, RECORD(RECORD_RESUME)), VERDICT_NOP);
    assert_int_equal(apply(judge, RECORD(RECORD_RESCHEDULE, .reschedule = {1, 99})), VERDICT_NOP);
    assert_true(now->ends_ms == 15 && now->ver == 2 && now->stock == 4);
    assert_int_equal(apply(judge, WIN_AT(15, 1, 2, "b")), VERDICT_VOID_TIME);
    assert_int_equal(apply(judge, WIN_AT(14, 1, 2, "b")), VERDICT_VALID);
    assert_int_equal(apply(judge, FENCE(2)), VERDICT_VALID);
    assert_int_equal(apply(judge, RETURN(1, "a")), VERDICT_VALID);
    judge_free(judge);
}

static void a_close_moves_the_end_between_start_and_end(void **state) {
    (void)state;
    const struct {
        int64_t ms, ends_ms;
    } cases[] = {{0, 10}, {10, 10}, {11, 11}, {20, 20}, {21, 20}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct judge *judge = opened(1);
        assert_int_equal(apply(judge, CLOSE_AT(cases[i].ms)), VERDICT_VALID);
        assert_int_equal(judge_state(judge)->ends_ms, cases[i].ends_ms);
        judge_free(judge);
    }
}

static void pause_and_reschedule(void **state) {
    (void)state;
    struct judge *judge = opened(4);
    const struct judge_state *now = judge_state(judge);
    assert_int_equal(apply(judge, RECORD(RECORD_PAUSE)), VERDICT_VALID);
    assert_true(now->paused && now->ver == 2);
    assert_int_equal(apply(judge, WIN(1, "a")), VERDICT_VALID); /* reserved before the pause */
    assert_int_equal(apply(judge, RECORD(RECORD_RESUME)), VERDICT_VALID);
    assert_true(!now->paused && now->ver == 3);
    assert_int_equal(apply(judge, RECORD(RECORD_RESCHEDULE, .reschedule = {30, 40})),
                     VERDICT_VALID);
    assert_true(now->starts_ms == 30 && now->ends_ms == 40 && now->ver == 4);
    assert_int_equal(apply(judge, RECORD(RECORD_MARK)), VERDICT_NOP);
    assert_int_equal(apply(judge, RECORD(RECORD_SEGMENT)), VERDICT_NOP);
    assert_int_equal(now->ver, 4);
    judge_free(judge);
}

static void verdicts_have_names(void **state) {
    (void)state;
    const char *const names[] = {"valid",     "dup",       "void_gen", "void_serial",
                                 "void_user", "void_time", "nop",      "unknown"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_equal(verdict_name((enum verdict)i), names[i]);
}

/* ---- Memory ---- */

static void ids_stay_where_they_are(void **state) {
    (void)state;
    struct judge *judge = opened(1);
    char user[16] = "user-0";
    struct coupon first, coupon;
    for (int i = 0; i < 2000; i++) {
        struct slice id = slice_of(user, (size_t)snprintf(user, sizeof(user), "user-%d", i));
        struct record win = *WIN(1, ""), give_back = *RETURN(1, "");
        win.win.user_id = give_back.give_back.user_id = id;
        assert_int_equal(apply(judge, &win), VERDICT_VALID);
        assert_int_equal(judge_lookup(judge, id, &coupon), HOLDING_COUPON);
        assert_int_equal(coupon.round, i);
        if (i == 0) first = coupon;
        assert_int_equal(apply(judge, &give_back), VERDICT_VALID);
    }
    assert_true(slice_eq(first.user_id, SLICE("user-0")));
    assert_int_equal(judge_lookup(judge, SLICE("user-0"), &coupon), HOLDING_RETURNED);
    judge_free(judge);
}

static void applying_never_allocates(void **state) {
    (void)state;
    struct judge *judge = opened(100);
    assert_int_equal(judge_reserve(judge, RESTOCK(1000)), 0);
    allocations_left = 0;
    assert_int_equal(judge_apply(judge, 2, RESTOCK(1000)), VERDICT_VALID);
    char user[USER_ID_BYTES_MAX];
    memset(user, 'u', sizeof(user));
    for (uint32_t serial = 1; serial <= 1000; serial++) {
        snprintf(user, sizeof(user), "%u", serial);
        struct record win = *WIN(serial, "");
        win.win.user_id = slice_of(user, sizeof(user));
        assert_int_equal(judge_apply(judge, 2 + serial, &win), VERDICT_VALID);
    }
    assert_int_equal(allocations_left, 0);
    allocations_left = -1;
    judge_free(judge);
}

static void short_memory_is_told_and_changes_nothing(void **state) {
    (void)state;
    struct judge *judge = NULL;
    int failures = 0;
    for (; judge == NULL; failures++) {
        allocations_left = failures;
        judge = judge_new(OPEN(2), &keys[0]);
    }
    allocations_left = -1;
    assert_int_equal(failures - 1, 5);
    apply(judge, OPEN(2));
    apply(judge, WIN(1, "a"));
    apply(judge, WIN(2, "b"));
    uint64_t digest = judge_digest(judge);
    allocations_left = 0;
    assert_int_equal(judge_reserve(judge, RETURN(1, "a")), -ENOMEM);
    allocations_left = 0;
    assert_int_equal(judge_reserve(judge, RESTOCK(100)), -ENOMEM);
    allocations_left = -1;
    struct coupon coupon;
    assert_int_equal(judge_lookup(judge, SLICE("a"), &coupon), HOLDING_COUPON);
    assert_int_equal(judge_digest(judge), digest);
    judge_free(judge);
    judge_free(NULL);
}

/* ---- Digest ---- */

static uint64_t digest_after(const struct record *record, uint64_t offset) {
    struct judge *judge = opened(4);
    assert_int_equal(judge_reserve(judge, record), 0);
    judge_apply(judge, offset, record);
    uint64_t digest = judge_digest(judge);
    judge_free(judge);
    return digest;
}

static struct record base_of(enum record_type type) {
    struct record record = {.type = type, .ms = 10, .event_id = SLICE("e")};
    switch (type) {
    case RECORD_OPEN:
        record.open.stock = 4;
        break;
    case RECORD_FENCE:
        record.fence.gen = 9;
        break;
    case RECORD_WIN:
        record.win.user_id = SLICE("u");
        break;
    case RECORD_RETURN:
        record.give_back.user_id = SLICE("u");
        break;
    case RECORD_RESTOCK:
        record.restock.stock = 4;
        break;
    default:
        break;
    }
    return record;
}

/* One change of one field makes another digest, even where the verdict is the same. */
#define check_digest(type_, field, value, differs)                                                 \
    do {                                                                                           \
        struct record a_ = base_of(type_), b_ = a_;                                                \
        b_.field = (value);                                                                        \
        assert_int_equal(digest_after(&a_, 2) != digest_after(&b_, 2), differs);                   \
    } while (0)

static void the_digest_covers_the_meaning_and_nothing_else(void **state) {
    (void)state;
    check_digest(RECORD_PAUSE, type, RECORD_RESUME, true);
    check_digest(RECORD_PAUSE, ms, 11, true);
    check_digest(RECORD_PAUSE, event_id, SLICE("f"), true);
    check_digest(RECORD_PAUSE, operator, SLICE("o"), true);
    check_digest(RECORD_PAUSE, reason, SLICE("r"), true);
    check_digest(RECORD_OPEN, open.stock, 3, true);
    check_digest(RECORD_OPEN, open.starts_ms, 3, true);
    check_digest(RECORD_OPEN, open.ends_ms, 3, true);
    check_digest(RECORD_OPEN, open.key_id, 3, true);
    check_digest(RECORD_OPEN, open.code.length, 3, true);
    check_digest(RECORD_OPEN, open.code.prefix, SLICE("p"), true);
    check_digest(RECORD_OPEN, open.code.alphabet, SLICE("a"), true);
    check_digest(RECORD_FENCE, fence.gen, 8, true);
    check_digest(RECORD_FENCE, fence.nonce, 8, true);
    check_digest(RECORD_WIN, win.gen, 8, true);
    check_digest(RECORD_WIN, win.serial, 8, true);
    check_digest(RECORD_WIN, win.reserve_seq, 8, true);
    check_digest(RECORD_WIN, win.user_id, SLICE("v"), true);
    check_digest(RECORD_WIN, win.claim_id, SLICE("c"), true);
    check_digest(RECORD_RETURN, give_back.serial, 8, true);
    check_digest(RECORD_RETURN, give_back.user_id, SLICE("v"), true);
    check_digest(RECORD_RESTOCK, restock.stock, 5, true);
    check_digest(RECORD_RESCHEDULE, reschedule.starts_ms, 1, true);
    check_digest(RECORD_RESCHEDULE, reschedule.ends_ms, 1, true);
    check_digest(RECORD_WIN, seq, 8, false);
    check_digest(RECORD_WIN, segment, 8, false);
    check_digest(RECORD_WIN, batch, 8, false);
    struct record pause = base_of(RECORD_PAUSE);
    assert_true(digest_after(&pause, 2) != digest_after(&pause, 3));
}

/* ---- The model ---- */

static const char *const users[] = {
    "a",
    "b",
    "user-000001",
    "user-000002",
    "user-000012",
    "aa",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "0123456789012345678901234567890123456789012345678901234567890124"};

/* Every coupon ever given, in order; nothing is looked up but by walking over it. */
struct model {
    struct judge_state now;
    struct {
        struct slice user_id;
        uint32_t serial;
        int64_t ms;
        bool returned;
    } rows[RECORDS];
    size_t rows_count;
};

static int model_row(const struct model *model, uint32_t serial) {
    for (size_t i = 0; i < model->rows_count; i++) {
        if (model->rows[i].serial == serial && !model->rows[i].returned) return (int)i;
    }
    return -1;
}

static int model_row_of(const struct model *model, struct slice user_id) {
    for (size_t i = 0; i < model->rows_count; i++) {
        if (slice_eq(model->rows[i].user_id, user_id)) return (int)i;
    }
    return -1;
}

static uint32_t model_round(const struct model *model, uint32_t serial) {
    uint32_t round = 0;
    for (size_t i = 0; i < model->rows_count; i++)
        round += model->rows[i].serial == serial && model->rows[i].returned;
    return round;
}

static enum verdict model_win(struct model *model, const struct record *record) {
    struct slice user_id = record->win.user_id;
    uint32_t serial = record->win.serial;
    int own = model_row(model, serial);
    if (own >= 0 && slice_eq(model->rows[own].user_id, user_id)) return VERDICT_DUP;
    if (record->win.gen != model->now.gen) return VERDICT_VOID_GEN;
    if (serial == 0 || serial > model->now.stock || own >= 0) return VERDICT_VOID_SERIAL;
    if (model_row_of(model, user_id) >= 0) return VERDICT_VOID_USER;
    bool in_time = model->now.starts_ms <= record->ms && record->ms < model->now.ends_ms;
    if (!in_time) return VERDICT_VOID_TIME;
    model->rows[model->rows_count].user_id = user_id;
    model->rows[model->rows_count].serial = serial;
    model->rows[model->rows_count++].ms = record->ms;
    return VERDICT_VALID;
}

static enum verdict model_return(struct model *model, const struct record *record) {
    int own = model_row(model, record->give_back.serial);
    if (own < 0 || !slice_eq(model->rows[own].user_id, record->give_back.user_id))
        return VERDICT_NOP;
    model->rows[own].returned = true;
    return VERDICT_VALID;
}

static bool model_change(struct model *model, const struct record *record) {
    struct judge_state *now = &model->now;
    if (now->closed) return false;
    switch (record->type) {
    case RECORD_RESTOCK:
        for (uint32_t serial = record->restock.stock + 1; serial <= SERIALS; serial++) {
            if (model_row(model, serial) >= 0) return false;
        }
        now->stock = record->restock.stock;
        return true;
    case RECORD_RESCHEDULE:
        now->starts_ms = record->reschedule.starts_ms;
        now->ends_ms = record->reschedule.ends_ms;
        return true;
    case RECORD_PAUSE:
        return now->paused = true;
    case RECORD_RESUME:
        return !(now->paused = false);
    case RECORD_CLOSE:
        if (now->ends_ms > record->ms) now->ends_ms = record->ms;
        if (now->ends_ms < now->starts_ms) now->ends_ms = now->starts_ms;
        return now->closed = true;
    default:
        return false;
    }
}

static enum verdict model_rule(struct model *model, const struct record *record) {
    struct judge_state *now = &model->now;
    if (record->type == RECORD_OPEN && !now->opened) {
        *now = (struct judge_state){.stock = record->open.stock,
                                    .gen = 1,
                                    .ver = 1,
                                    .opened = true,
                                    .starts_ms = record->open.starts_ms,
                                    .ends_ms = record->open.ends_ms,
                                    .latest_ms = now->latest_ms};
        return VERDICT_VALID;
    }
    if (record->type == RECORD_OPEN || !now->opened) return VERDICT_NOP;
    if (record->type == RECORD_WIN) return model_win(model, record);
    bool is_valid;
    if (record->type == RECORD_RETURN)
        is_valid = model_return(model, record) == VERDICT_VALID;
    else if (record->type == RECORD_FENCE)
        is_valid = record->fence.gen == now->gen + 1;
    else
        is_valid = model_change(model, record);
    if (is_valid && record->type == RECORD_FENCE) now->gen++;
    if (is_valid) now->ver++;
    return is_valid ? VERDICT_VALID : VERDICT_NOP;
}

static enum verdict model_apply(struct model *model, uint64_t offset, const struct record *record) {
    enum verdict verdict = model_rule(model, record);
    struct judge_state *now = &model->now;
    now->offset = offset;
    if (record->ms > now->latest_ms) now->latest_ms = record->ms;
    now->taken = now->serial_max = 0;
    for (size_t i = 0; i < model->rows_count; i++) {
        now->taken += !model->rows[i].returned;
        if (model->rows[i].serial > now->serial_max) now->serial_max = model->rows[i].serial;
    }
    return verdict;
}

/* ---- The judge against the model ---- */

static void assert_same_state(const struct judge_state *a, const struct judge_state *b) {
    assert_int_equal(a->stock, b->stock);
    assert_int_equal(a->taken, b->taken);
    assert_int_equal(a->serial_max, b->serial_max);
    assert_int_equal(a->gen, b->gen);
    assert_int_equal(a->ver, b->ver);
    assert_int_equal(a->opened, b->opened);
    assert_int_equal(a->paused, b->paused);
    assert_int_equal(a->closed, b->closed);
    assert_int_equal(a->starts_ms, b->starts_ms);
    assert_int_equal(a->ends_ms, b->ends_ms);
    assert_int_equal(a->latest_ms, b->latest_ms);
    assert_int_equal(a->offset, b->offset);
}

static void assert_coupon_is_row(const struct coupon *coupon, const struct model *model, int row) {
    assert_true(slice_eq(coupon->user_id, model->rows[row].user_id));
    assert_int_equal(coupon->serial, model->rows[row].serial);
    assert_int_equal(coupon->issued_ms, model->rows[row].ms);
    assert_int_equal(coupon->round, model_round(model, coupon->serial));
}

static void assert_same_holders(const struct judge *judge, const struct model *model) {
    struct coupon coupon;
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        int row = model_row_of(model, slice_str(users[i]));
        enum holding holding = judge_lookup(judge, slice_str(users[i]), &coupon);
        enum holding expected = row < 0                     ? HOLDING_NONE
                                : model->rows[row].returned ? HOLDING_RETURNED
                                                            : HOLDING_COUPON;
        assert_int_equal(holding, expected);
        if (holding == HOLDING_COUPON) assert_coupon_is_row(&coupon, model, row);
    }
    for (uint32_t serial = 1; serial <= SERIALS; serial++) {
        int row = model_row(model, serial);
        assert_int_equal(judge_holder(judge, serial, &coupon), row >= 0);
        if (row >= 0) assert_coupon_is_row(&coupon, model, row);
    }
}

static struct slice any_user(struct random_sim *random) {
    return slice_str(users[random_sim_below(random, ARRAY_LEN(users))]);
}

/* Wins are half of what comes; closing is rare. */
static enum record_type any_type(struct random_sim *random) {
    static const enum record_type types[] = {
        RECORD_WIN,     RECORD_WIN,        RECORD_WIN,   RECORD_WIN,    RECORD_WIN,
        RECORD_WIN,     RECORD_WIN,        RECORD_WIN,   RECORD_RETURN, RECORD_RETURN,
        RECORD_RESTOCK, RECORD_RESCHEDULE, RECORD_PAUSE, RECORD_RESUME, RECORD_FENCE,
        RECORD_MARK,    RECORD_OPEN};
    if (random_sim_chance(random, 3)) return RECORD_CLOSE;
    return types[random_sim_below(random, ARRAY_LEN(types))];
}

static struct record any_record(struct random_sim *random, const struct judge_state *now) {
    struct record record = {.type = any_type(random),
                            .event_id = SLICE("e"),
                            .ms = (int64_t)random_sim_below(random, TIMES),
                            .seq = random_sim_next(random)};
    int64_t starts_ms = (int64_t)random_sim_below(random, TIMES / 4);
    int64_t ends_ms = TIMES - (int64_t)random_sim_below(random, TIMES / 4);
    uint32_t serial = (uint32_t)random_sim_below(random, SERIALS);
    switch (record.type) {
    case RECORD_OPEN:
        record.open.stock = 1 + serial / 2;
        record.open.starts_ms = starts_ms;
        record.open.ends_ms = ends_ms;
        break;
    case RECORD_FENCE:
        record.fence.gen = now->gen + (uint32_t)random_sim_below(random, 3);
        break;
    case RECORD_WIN:
        record.win.gen = now->gen - (random_sim_chance(random, 20) ? 1 : 0);
        record.win.serial = serial;
        record.win.user_id = any_user(random);
        break;
    case RECORD_RETURN:
        record.give_back.serial = serial;
        record.give_back.user_id = any_user(random);
        break;
    case RECORD_RESTOCK:
        record.restock.stock = 1 + (uint32_t)random_sim_below(random, SERIALS);
        break;
    case RECORD_RESCHEDULE:
        record.reschedule.starts_ms = starts_ms;
        record.reschedule.ends_ms = ends_ms;
        break;
    default:
        break;
    }
    return record;
}

/* One log through two judges and the model; counts verdicts. */
static void run_log(uint64_t seed, size_t seen[VERDICT_NOP + 1]) {
    struct random_sim random;
    random_sim_init(&random, seed);
    static struct model model;
    model = (struct model){0};
    uint32_t stock = 1 + (uint32_t)random_sim_below(&random, SERIALS);
    struct record open = {.type = RECORD_OPEN,
                          .event_id = SLICE("e"),
                          .ms = 1,
                          .open = {.stock = stock, .starts_ms = 2, .ends_ms = TIMES}};
    struct judge *judges[2] = {judge_new(&open, &keys[0]), judge_new(&open, &keys[1])};
    uint64_t offset = 0;
    bool opens_first = !random_sim_chance(&random, 10);
    for (int i = 0; i < RECORDS; i++) {
        struct record record = any_record(&random, &model.now);
        if (i == 0 && opens_first) record = open;
        offset += 1 + random_sim_below(&random, 3);
        enum verdict expected = model_apply(&model, offset, &record);
        seen[expected]++;
        for (int j = 0; j < 2; j++) {
            if (record.type != RECORD_WIN) assert_int_equal(judge_reserve(judges[j], &record), 0);
            assert_int_equal(judge_apply(judges[j], offset, &record), expected);
            assert_same_state(judge_state(judges[j]), &model.now);
        }
        assert_same_holders(judges[i % 2], &model);
        assert_int_equal(judge_digest(judges[0]), judge_digest(judges[1]));
    }
    judge_free(judges[0]);
    judge_free(judges[1]);
}

static void random_logs_are_judged_like_the_model_does(void **state) {
    (void)state;
    size_t seen[VERDICT_NOP + 1] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) run_log(seed, seen);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) assert_true(seen[i] > SEEDS / 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_sets_everything_once),
        cmocka_unit_test(a_win_gives_a_serial_to_a_user),
        cmocka_unit_test(a_win_fails_by_the_first_rule_that_applies),
        cmocka_unit_test(a_fence_is_a_compare_and_swap),
        cmocka_unit_test(a_return_frees_the_serial_and_bars_the_user),
        cmocka_unit_test(a_restock_never_strands_a_holder),
        cmocka_unit_test(a_closed_event_only_takes_what_was_reserved_in_time),
        cmocka_unit_test(a_close_moves_the_end_between_start_and_end),
        cmocka_unit_test(pause_and_reschedule),
        cmocka_unit_test(verdicts_have_names),
        cmocka_unit_test(ids_stay_where_they_are),
        cmocka_unit_test(applying_never_allocates),
        cmocka_unit_test(short_memory_is_told_and_changes_nothing),
        cmocka_unit_test(the_digest_covers_the_meaning_and_nothing_else),
        cmocka_unit_test(random_logs_are_judged_like_the_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
