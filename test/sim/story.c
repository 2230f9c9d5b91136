/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/judge.h"

enum { BASE_MS = 1000000, STEPS = 700 };

static const struct hash_key hash_key = {{7, 9}};
static const struct slice event_id = {"EV", 2};

uint32_t story_random(struct story *story, uint32_t below) {
    story->random += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash_mix(story->random, 1) % below);
}

static bool chance(struct story *story, uint32_t percent) {
    return story_random(story, 100) < percent;
}

static int64_t now_ms(const struct story *story) {
    return BASE_MS + story->now_us / 1000;
}

static uint32_t file_of(const struct story *story, uint32_t user) {
    return user % story->files_count;
}

static void name_of(const struct story *story, uint32_t user, char out[32]) {
    snprintf(out, 32, "f%u-u%u", file_of(story, user), user);
}

/* ---- The log ---- */

static struct story_record *add_record(struct story *story, struct record record) {
    ASSERT(story->records_count < STORY_RECORDS_MAX);
    struct story_record *kept = &story->records[story->records_count++];
    *kept = (struct story_record){.record = record};
    kept->record.event_id = event_id;
    kept->record.ms = now_ms(story);
    return kept;
}

static int judge_next(struct decisions *decisions, struct truth *truth, struct checks *checks,
                      struct story_record *kept, uint64_t seq) {
    struct record *record = &kept->record;
    record->seq = seq;
    if (record->type == RECORD_WIN) {
        record->win.user_id = slice_str(kept->user_id);
        record->win.claim_id = slice_str(kept->claim_id);
    }
    if (record->type == RECORD_RETURN) record->give_back.user_id = slice_str(kept->user_id);
    const struct log_place place = {.seq = seq, .segment = 1, .crc = (uint32_t)seq};
    struct decision decision;
    int code = decisions_next(decisions, record, &place, &decision);
    if (code == 0) truth_add(truth, &decision, checks);
    return code;
}

/* Everything up to `until` becomes durable. */
static void commit(struct story *story, uint32_t until) {
    for (; story->batch_first < until; story->batch_first++)
        ASSERT(judge_next(story->decisions, &story->truth, &story->promises,
                          &story->records[story->batch_first], story->batch_first + 1) == 0);
}

static struct truth_event *event_of(struct story *story) {
    return &story->truth.events[0];
}

static struct truth_entry *coupon_of(struct story *story, uint32_t user) {
    char name[32];
    name_of(story, user, name);
    uint32_t text = texts_find(&story->truth.texts, slice_str(name));
    uint32_t entry =
        text == TEXT_UNKNOWN ? TRUTH_NONE : truth_issued_to(&story->truth, event_of(story), text);
    return entry == TRUTH_NONE ? NULL : &event_of(story)->entries[entry];
}

/* ---- Replies ---- */

static void tell(struct story *story, struct story_op *told, unsigned what) {
    struct history_op *op = &told->op;
    op->told = (uint8_t)what;
    op->return_ns = (story->now_us + 1 + story_random(story, 3000)) * 1000;
    if (chance(story, 6)) {
        op->told = HISTORY_LOST;
        op->return_ns = HISTORY_NEVER;
        story->counts[STORY_LOST]++;
    }
    if (!history_is_pass(op)) return;
    const struct truth_entry *entry = coupon_of(story, told->user);
    struct slice code = texts_at(&story->truth.texts, entry->code);
    op->serial = entry->serial;
    op->issued_ms = entry->ms;
    memcpy(told->coupon, code.p, code.n);
}

static void lose(struct story *story, uint32_t op) {
    story->ops[op].op.told = HISTORY_LOST;
    story->ops[op].op.return_ns = HISTORY_NEVER;
    story->counts[STORY_LOST]++;
}

static bool is_full(struct story *story) {
    const struct truth_entry *last = truth_last(event_of(story));
    return last->taken >= last->stock;
}

/* The batch is durable: everybody who waited hears. */
static void finish_batch(struct story *story) {
    commit(story, story->records_count);
    for (uint32_t i = 0; i < story->waiting_count; i++) {
        struct story_op *told = &story->ops[story->waiting[i].op];
        const struct truth_entry *entry = coupon_of(story, told->user);
        if (entry != NULL)
            tell(story, told, story->waiting[i].is_win ? TOLD_ISSUED : TOLD_ALREADY_ISSUED);
        else
            tell(story, told, is_full(story) ? TOLD_SOLD_OUT_FINAL : TOLD_SOLD_OUT);
    }
    story->waiting_count = 0;
}

/* Any part of the batch may have been written; nobody hears of it. */
static void crash(struct story *story) {
    uint32_t kept = story->batch_first;
    while (kept < story->records_count && chance(story, 50)) kept++;
    story->records_count = kept;
    commit(story, kept);
    for (uint32_t i = 0; i < story->waiting_count; i++) lose(story, story->waiting[i].op);
    story->waiting_count = 0;
    story->now_us += 20000;
    story->counts[STORY_CRASHES]++;
}

/* ---- Requests ---- */

static bool is_reserved_by(const struct story *story, uint32_t user) {
    char name[32];
    name_of(story, user, name);
    for (uint32_t i = story->batch_first; i < story->records_count; i++)
        if (strcmp(story->records[i].user_id, name) == 0) return true;
    return false;
}

/* The lowest serial that nobody holds or has reserved; 0 for none. */
static uint32_t free_serial(struct story *story) {
    const struct truth_event *event = event_of(story);
    for (uint32_t serial = 1; serial <= truth_last(event)->stock; serial++) {
        bool is_free = event->serials[serial].holder == TRUTH_NONE;
        for (uint32_t i = story->batch_first; i < story->records_count; i++)
            is_free &= story->records[i].record.win.serial != serial;
        if (is_free) return serial;
    }
    return 0;
}

static void wait_for_batch(struct story *story, uint32_t op, bool is_win) {
    story->waiting[story->waiting_count++] = (struct story_waiting){.op = op, .is_win = is_win};
}

static void reserve(struct story *story, uint32_t op, uint32_t user, uint32_t serial) {
    struct story_record *kept = add_record(
        story, (struct record){.type = RECORD_WIN,
                               .win = {.gen = truth_last(event_of(story))->gen, .serial = serial}});
    name_of(story, user, kept->user_id);
    snprintf(kept->claim_id, sizeof kept->claim_id, "k%u", op);
    wait_for_batch(story, op, true);
}

static void decide_claim(struct story *story, uint32_t op, uint32_t user) {
    struct story_op *told = &story->ops[op];
    const struct truth_entry *entry = coupon_of(story, user);
    const struct truth_entry *last = truth_last(event_of(story));
    if (entry != NULL)
        tell(story, told, entry->is_held ? TOLD_ALREADY_ISSUED : TOLD_RETURNED);
    else if (is_reserved_by(story, user))
        wait_for_batch(story, op, false);
    else if (last->state == DECIDED_CLOSED ||
             (last->ends_ms >= 0 && now_ms(story) >= last->ends_ms))
        tell(story, told, TOLD_ENDED);
    else if (last->state == DECIDED_PAUSED)
        tell(story, told, TOLD_PAUSED);
    else if (now_ms(story) < last->starts_ms)
        tell(story, told, TOLD_NOT_STARTED);
    else if (free_serial(story) != 0)
        reserve(story, op, user, free_serial(story));
    else if (is_full(story))
        tell(story, told, TOLD_SOLD_OUT_FINAL);
    else if (chance(story, 50))
        wait_for_batch(story, op, false);
    else
        tell(story, told, TOLD_SOLD_OUT);
}

static void decide_query(struct story *story, uint32_t op, uint32_t user) {
    struct story_op *told = &story->ops[op];
    const struct truth_entry *entry = coupon_of(story, user);
    story->counts[STORY_QUERIES]++;
    if (entry != NULL)
        tell(story, told, entry->is_held ? TOLD_ISSUED : TOLD_NOTHING);
    else
        tell(story, told, is_reserved_by(story, user) ? TOLD_PENDING : TOLD_NOTHING);
}

static void request(struct story *story) {
    if (story->ops_count == STORY_OPS_MAX || story->waiting_count == STORY_WAITING_MAX) return;
    uint32_t user = story_random(story, story->users_count);
    uint32_t op = story->ops_count++;
    struct story_op *told = &story->ops[op];
    *told = (struct story_op){.user = user};
    for (uint32_t i = 0; i < op; i++)
        if (story->ops[i].user == user) {
            story->counts[STORY_RETRIES]++;
            break;
        }
    int64_t ago_us = story_random(story, 4000);
    int64_t sent_us = story->now_us - ago_us;
    if (sent_us < (int64_t)story->begin_us) sent_us = (int64_t)story->begin_us;
    told->op = (struct history_op){.invoke_ns = sent_us * 1000,
                                   .issued_ms = -1,
                                   .line = op + 2,
                                   .file = (uint8_t)file_of(story, user),
                                   .is_query = chance(story, 15)};
    if (told->op.is_query)
        decide_query(story, op, user);
    else
        decide_claim(story, op, user);
}

/* One who waits is told 202 instead. */
static void answer_pending(struct story *story) {
    if (story->waiting_count == 0) return;
    uint32_t which = story_random(story, story->waiting_count);
    tell(story, &story->ops[story->waiting[which].op], TOLD_PENDING);
    story->waiting[which] = story->waiting[--story->waiting_count];
    story->counts[STORY_PENDINGS]++;
}

/* ---- Control records, between batches ---- */

static void give_back(struct story *story) {
    struct truth_event *event = event_of(story);
    uint32_t serial = 1 + story_random(story, truth_last(event)->stock);
    if (event->serials[serial].holder == TRUTH_NONE) return;
    struct slice user =
        texts_at(&story->truth.texts, event->entries[event->serials[serial].holder].user);
    struct story_record *kept = add_record(story, (struct record){.type = RECORD_RETURN,
                                                                  .operator= SLICE("ops"),
                                                                  .reason = SLICE("lost"),
                                                                  .give_back = {.serial = serial}});
    memcpy(kept->user_id, user.p, user.n);
    story->counts[STORY_RETURNS]++;
}

static void restock(struct story *story) {
    uint32_t stock = truth_last(event_of(story))->stock;
    add_record(story, (struct record){.type = RECORD_RESTOCK,
                                      .restock = {.stock = stock + 1 + story_random(story, 4)}});
    story->counts[STORY_RESTOCKS]++;
}

static void fence(struct story *story) {
    uint32_t gen = truth_last(event_of(story))->gen;
    add_record(story, (struct record){.type = RECORD_FENCE, .fence = {.gen = gen + 1}});
    story->counts[STORY_FENCES]++;
}

static void reschedule(struct story *story) {
    int64_t starts_ms = now_ms(story) + (chance(story, 50) ? 0 : 3);
    add_record(story, (struct record){.type = RECORD_RESCHEDULE,
                                      .reschedule = {starts_ms, starts_ms + 2000}});
    story->counts[STORY_RESCHEDULES]++;
}

static void control(struct story *story) {
    finish_batch(story);
    bool is_paused = truth_last(event_of(story))->state == DECIDED_PAUSED;
    uint32_t kind = story_random(story, 100);
    if (is_paused) {
        add_record(story, (struct record){.type = RECORD_RESUME});
    } else if (kind < 30) {
        add_record(story, (struct record){.type = RECORD_PAUSE});
        story->counts[STORY_PAUSES]++;
    } else if (kind < 60) {
        give_back(story);
    } else if (kind < 80) {
        restock(story);
    } else if (kind < 88) {
        fence(story);
    } else if (kind < 97) {
        reschedule(story);
    } else {
        add_record(story, (struct record){.type = RECORD_CLOSE});
        story->counts[STORY_CLOSES]++;
    }
    commit(story, story->records_count);
    story->now_us += 2000;
}

/* ---- All ---- */

static void begin(struct story *story, uint64_t seed) {
    *story = (struct story){.random = seed * 77 + 1};
    story->keys.count = 1;
    memset(story->keys.keys[0].key, 3, CODE_KEY_BYTES);
    story->keys.keys[0].id = code_key_id(story->keys.keys[0].key);
    story->decisions = decisions_new(&story->keys, &hash_key);
    ASSERT(story->decisions != NULL);
    truth_init(&story->truth, &hash_key);
    story->files_count = 1 + story_random(story, STORY_FILES_MAX);
    uint32_t stock = 1 + story_random(story, 40);
    story->users_count = 2 + story_random(story, stock * 3);
    if (story->users_count > STORY_USERS_MAX) story->users_count = STORY_USERS_MAX;
    int64_t starts_ms = chance(story, 30) ? BASE_MS + 5 : 0;
    add_record(story, (struct record){.type = RECORD_OPEN,
                                      .open = {.stock = stock,
                                               .starts_ms = starts_ms,
                                               .ends_ms = TIME_MS_MAX,
                                               .key_id = story->keys.keys[0].id,
                                               .code = code_format_default}});
    commit(story, 1);
    story->now_us = 100;
}

/* Some hold coupons before anybody writes down what is told. */
static void hold_before(struct story *story) {
    if (!chance(story, 40) || truth_last(event_of(story))->starts_ms > 0) return;
    for (uint32_t user = 0; user < 3 && user < story->users_count; user++) {
        uint32_t serial = free_serial(story);
        if (serial == 0) break;
        reserve(story, 0, user, serial);
        story->waiting_count = 0;
        commit(story, story->records_count);
        story->counts[STORY_HELD_BEFORE]++;
    }
    story->now_us += 50000;
}

void story_tell(struct story *story, uint64_t seed) {
    begin(story, seed);
    hold_before(story);
    story->begin_us = (uint64_t)story->now_us;
    uint32_t controls = chance(story, 70) ? 3 : 0, crashes = chance(story, 50) ? 2 : 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        story->now_us += 1 + story_random(story, 400);
        uint32_t what = story_random(story, 100);
        if (what < 80)
            request(story);
        else if (what < 92)
            finish_batch(story);
        else if (what < 95)
            answer_pending(story);
        else if (what < 95 + controls && story->records_count < STORY_RECORDS_MAX / 2)
            control(story);
        else if (what >= 100 - crashes)
            crash(story);
    }
    finish_batch(story);
}

void story_free(struct story *story) {
    decisions_free(story->decisions);
    truth_deinit(&story->truth);
    checks_deinit(&story->promises);
}

/* ---- Checking ---- */

static void fill_history(struct story *story, struct history *history) {
    static const char *const paths[] = {"f0", "f1", "f2"};
    static const char *const prefixes[] = {"f0-", "f1-", "f2-"};
    history->files_count = story->files_count;
    for (uint32_t i = 0; i < story->files_count; i++)
        history->files[i] =
            (struct history_file){.path = paths[i],
                                  .event = texts_number(history->texts, event_id),
                                  .prefix = slice_str(prefixes[i]),
                                  .first_ms = BASE_MS + (int64_t)story->begin_us / 1000,
                                  .last_ms = INT64_MAX,
                                  .has_end = true};
    for (uint32_t i = 0; i < story->ops_count; i++) {
        struct story_op *told = &story->ops[i];
        char name[32];
        name_of(story, told->user, name);
        told->op.event = history->files[0].event;
        told->op.user = texts_number(history->texts, slice_str(name));
        told->op.coupon = texts_number(history->texts, slice_str(told->coupon));
        history->ops[history->count++] = told->op;
    }
}

void story_check(struct story *story, const struct history_check_options *options,
                 uint64_t uncopied_seq, struct checks *checks) {
    struct decisions *decisions = decisions_new(&story->keys, &hash_key);
    struct truth truth;
    struct err err;
    struct history history = {.texts = &truth.texts};
    truth_init(&truth, &hash_key);
    history.ops = calloc(STORY_OPS_MAX, sizeof *history.ops);
    ASSERT(decisions != NULL && history.ops != NULL);
    for (uint32_t i = 0; i < story->records_count; i++)
        ASSERT(judge_next(decisions, &truth, checks, &story->records[i], i + 1) == 0);
    for (uint32_t i = 0; i < truth.events_count; i++)
        for (uint32_t k = 0; k < truth.events[i].count; k++)
            truth.events[i].entries[k].is_copied = truth.events[i].entries[k].seq != uncopied_seq;
    if (story->is_judged_early && truth.events_count != 0)
        for (uint32_t k = 0; k < truth.events[0].count; k++)
            truth.events[0].entries[k].starts_ms = truth.events[0].entries[k].ms + 1;
    fill_history(story, &history);
    ASSERT(history_check(&history, &truth, options, checks, &err) == 0);
    history_deinit(&history);
    truth_deinit(&truth);
    decisions_free(decisions);
}
