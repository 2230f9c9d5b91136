/* SPDX-License-Identifier: Apache-2.0
 *
 * The history checker accepts stories that are true, and catches each kind of damage by the check
 * that is made for it. Every story is told by a seed.
 */
#include "verify/history_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/story.h"

enum { GOOD_STORIES = 400, BAD_OF_EACH_KIND = 12, SEEDS_MAX = 4000 };

static const struct history_check_options with_copy = {.has_copy = true, .copy_seq = UINT64_MAX};

/* What a damage leaves behind besides the story. */
struct scene {
    struct story *story;
    uint64_t uncopied_seq;
    bool is_shared;
};

static struct story_op *op_at(struct scene *scene, uint32_t i) {
    return &scene->story->ops[i];
}

/* The first op from a random place on that `fits`, or NULL. */
static struct story_op *find_op(struct scene *scene, bool (*fits)(const struct story_op *told)) {
    uint32_t count = scene->story->ops_count, from = story_random(scene->story, count);
    for (uint32_t i = 0; i < count; i++) {
        struct story_op *told = op_at(scene, (from + i) % count);
        if (fits(told)) return told;
    }
    return NULL;
}

static bool is_pass(const struct story_op *told) {
    return history_is_pass(&told->op);
}
static bool is_claim_pass(const struct story_op *told) {
    return is_pass(told) && !told->op.is_query;
}
static bool is_issued(const struct story_op *told) {
    return told->op.told == TOLD_ISSUED && !told->op.is_query;
}
static bool is_query_pass(const struct story_op *told) {
    return is_pass(told) && told->op.is_query;
}
static bool is_final(const struct story_op *told) {
    return told->op.told == TOLD_SOLD_OUT_FINAL;
}

/* Somebody of `user` besides `told` that fits; or NULL. */
static struct story_op *another(struct scene *scene, const struct story_op *told,
                                bool (*fits)(const struct story_op *told)) {
    for (uint32_t i = 0; i < scene->story->ops_count; i++) {
        struct story_op *other = op_at(scene, i);
        if (other != told && other->user == told->user && fits(other)) return other;
    }
    return NULL;
}

static struct story_op *of_another_user(struct scene *scene, const struct story_op *told,
                                        bool (*fits)(const struct story_op *told)) {
    for (uint32_t i = 0; i < scene->story->ops_count; i++) {
        struct story_op *other = op_at(scene, i);
        if (other->user != told->user && fits(other)) return other;
    }
    return NULL;
}

static struct story_record *win_of(struct scene *scene, const struct story_op *told) {
    struct story *story = scene->story;
    for (uint32_t i = 0; i < story->records_count; i++) {
        struct story_record *kept = &story->records[i];
        if (kept->record.type == RECORD_WIN && kept->record.win.serial == told->op.serial &&
            kept->record.ms == told->op.issued_ms)
            return kept;
    }
    return NULL;
}

static void remove_record(struct scene *scene, struct story_record *kept) {
    struct story *story = scene->story;
    size_t at = (size_t)(kept - story->records);
    memmove(kept, kept + 1, (story->records_count - at - 1) * sizeof *kept);
    story->records_count--;
}

static bool has_control(const struct scene *scene) {
    for (uint32_t i = 1; i < scene->story->records_count; i++)
        if (scene->story->records[i].record.type != RECORD_WIN) return true;
    return false;
}

/* An answer that never was, `after_us` behind everything. */
static struct story_op *add_op(struct scene *scene, uint32_t user, unsigned told,
                               int64_t after_us) {
    struct story *story = scene->story;
    if (story->ops_count == STORY_OPS_MAX) return NULL;
    struct story_op *op = &story->ops[story->ops_count];
    int64_t at_ns = (story->now_us + 5000 + after_us) * 1000;
    *op = (struct story_op){.user = user,
                            .op = {.told = (uint8_t)told,
                                   .invoke_ns = at_ns,
                                   .return_ns = at_ns + 1000,
                                   .issued_ms = -1,
                                   .line = ++story->ops_count + 1,
                                   .file = (uint8_t)(user % story->files_count)}};
    return op;
}

static void tell_like(struct story_op *told, const struct story_op *other) {
    told->op.told = other->op.told;
    told->op.serial = other->op.serial;
    told->op.issued_ms = other->op.issued_ms;
    memcpy(told->coupon, other->coupon, sizeof told->coupon);
}

/* ---- Kinds of damage. False: this story has no place for it. ---- */

static bool serial_told_twice(struct scene *scene) {
    struct story_op *told = find_op(scene, is_claim_pass);
    struct story_op *other = told == NULL ? NULL : of_another_user(scene, told, is_claim_pass);
    if (other == NULL || scene->story->counts[STORY_RETURNS] != 0) return false;
    told->op.serial = other->op.serial;
    return true;
}

static bool coupon_told_twice(struct scene *scene) {
    struct story_op *told = find_op(scene, is_claim_pass);
    struct story_op *other = told == NULL ? NULL : of_another_user(scene, told, is_claim_pass);
    if (other == NULL) return false;
    memcpy(told->coupon, other->coupon, sizeof told->coupon);
    return true;
}

static bool one_coupon_too_many(struct scene *scene) {
    struct story_op *like = find_op(scene, is_issued);
    if (like == NULL) return false;
    struct story_op *told = add_op(scene, scene->story->users_count + 1, TOLD_ISSUED, 0);
    if (told == NULL) return false;
    tell_like(told, like);
    told->op.serial = 999;
    memcpy(told->coupon, "OTHER", 6);
    return true;
}

/* Every coupon was told, and then one more, under a serial that is in range. */
static bool more_told_than_there_are(struct scene *scene) {
    struct story *story = scene->story;
    uint32_t stock = story->records[0].record.open.stock;
    struct story_op *like = find_op(scene, is_issued);
    if (like == NULL || has_control(scene)) return false;
    for (uint32_t i = 0; i <= stock; i++) {
        struct story_op *told = add_op(scene, story->users_count + 1 + i, TOLD_ISSUED, i);
        if (told == NULL) return false;
        tell_like(told, like);
        told->op.serial = 1 + i % stock;
        snprintf(told->coupon, sizeof told->coupon, "OTHER%u", i);
    }
    return true;
}

static bool win_missing_in_the_log(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    struct story_record *kept = told == NULL ? NULL : win_of(scene, told);
    if (kept == NULL) return false;
    remove_record(scene, kept);
    return true;
}

static bool win_refused_by_the_judge(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    struct story_record *kept = told == NULL ? NULL : win_of(scene, told);
    if (kept == NULL) return false;
    kept->record.win.gen += 7;
    return true;
}

static bool win_of_another_user_in_the_log(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    struct story_record *kept = told == NULL ? NULL : win_of(scene, told);
    if (kept == NULL) return false;
    snprintf(kept->user_id, sizeof kept->user_id, "somebody");
    return true;
}

static bool another_code_than_the_logs(struct scene *scene) {
    struct story_op *told = find_op(scene, is_claim_pass);
    if (told == NULL) return false;
    for (uint32_t i = 0; i < scene->story->ops_count; i++)
        if (op_at(scene, i)->user == told->user && is_pass(op_at(scene, i)))
            op_at(scene, i)->coupon[3] ^= 1;
    return true;
}

static bool another_event_than_the_logs(struct scene *scene) {
    struct story_op *told = find_op(scene, is_pass);
    if (told == NULL) return false;
    for (uint32_t i = 0; i < scene->story->records_count; i++)
        scene->story->records[i].record.event_id = SLICE("OTHER");
    return true;
}

static bool missing_in_the_copy(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    struct story_record *kept = told == NULL ? NULL : win_of(scene, told);
    if (kept == NULL) return false;
    scene->uncopied_seq = (uint64_t)(kept - scene->story->records) + 1;
    return true;
}

static bool winner_told_no_only(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    if (told == NULL) return false;
    for (uint32_t i = 0; i < scene->story->ops_count; i++) {
        struct history_op *op = &op_at(scene, i)->op;
        if (op_at(scene, i)->user != told->user) continue;
        op->told = TOLD_PAUSED;
        op->serial = 0;
        op_at(scene, i)->coupon[0] = '\0';
        if (op->return_ns == HISTORY_NEVER) op->return_ns = op->invoke_ns + 1000;
    }
    return true;
}

static bool winner_who_never_asked(struct scene *scene) {
    struct story *story = scene->story;
    struct story_op *told = find_op(scene, is_issued);
    if (told == NULL) return false;
    uint32_t user = told->user, kept = 0;
    for (uint32_t i = 0; i < story->ops_count; i++)
        if (story->ops[i].user != user) story->ops[kept++] = story->ops[i];
    story->ops_count = kept;
    return true;
}

static bool winner_told_busy_only(struct scene *scene) {
    if (!winner_told_no_only(scene)) return false;
    for (uint32_t i = 0; i < scene->story->ops_count; i++)
        if (op_at(scene, i)->op.told == TOLD_PAUSED) op_at(scene, i)->op.told = TOLD_BUSY;
    return true;
}

/* Answered before the first claim was sent. */
static bool sold_out_final_at_once(struct scene *scene) {
    struct story_op *told = add_op(scene, scene->story->users_count, TOLD_SOLD_OUT_FINAL, 0);
    if (told == NULL || scene->story->counts[STORY_HELD_BEFORE] != 0) return false;
    told->op.invoke_ns = (int64_t)scene->story->begin_us * 1000 - 2000;
    told->op.return_ns = told->op.invoke_ns + 1000;
    return true;
}

static bool sold_out_not_final_at_once(struct scene *scene) {
    struct story_op *told = add_op(scene, scene->story->users_count, TOLD_SOLD_OUT, 0);
    if (told == NULL || scene->story->counts[STORY_HELD_BEFORE] != 0) return false;
    told->op.invoke_ns = (int64_t)scene->story->begin_us * 1000 - 2000;
    told->op.return_ns = told->op.invoke_ns + 1000;
    return true;
}

static bool sold_out_while_one_was_left(struct scene *scene) {
    struct story *story = scene->story;
    if (find_op(scene, is_final) == NULL || has_control(scene)) return false;
    story->records[0].record.open.stock++;
    return true;
}

/* A final sold out is told before a winner asks for the first time. */
static bool sold_out_before_one_won(struct scene *scene) {
    struct story_op *won = find_op(scene, is_issued);
    struct story_op *final = won == NULL ? NULL : of_another_user(scene, won, is_final);
    if (final == NULL || has_control(scene)) return false;
    int64_t first_ns = won->op.invoke_ns;
    for (uint32_t i = 0; i < scene->story->ops_count; i++)
        if (op_at(scene, i)->user == won->user && op_at(scene, i)->op.invoke_ns < first_ns)
            first_ns = op_at(scene, i)->op.invoke_ns;
    final->op.invoke_ns = first_ns - 2000;
    final->op.return_ns = first_ns - 1000;
    return true;
}

static bool later_told_another_serial(struct scene *scene) {
    struct story_op *told = find_op(scene, is_claim_pass);
    struct story_op *other = told == NULL ? NULL : another(scene, told, is_claim_pass);
    if (other == NULL) return false;
    other->op.serial += 1;
    return true;
}

static bool later_told_another_time(struct scene *scene) {
    struct story_op *told = find_op(scene, is_claim_pass);
    struct story_op *other = told == NULL ? NULL : another(scene, told, is_claim_pass);
    if (other == NULL) return false;
    other->op.issued_ms += 1;
    return true;
}

static bool later_told_no(struct scene *scene) {
    static const uint8_t noes[] = {TOLD_SOLD_OUT, TOLD_ENDED, TOLD_PAUSED, TOLD_NOT_STARTED};
    struct story_op *told = find_op(scene, is_pass);
    if (told == NULL) return false;
    return add_op(scene, told->user, noes[story_random(scene->story, 4)], 0) != NULL;
}

static bool issued_a_second_time(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    struct story_op *again = told == NULL ? NULL : add_op(scene, told->user, TOLD_ISSUED, 0);
    if (again == NULL) return false;
    tell_like(again, told);
    return true;
}

static bool returned_and_never_was(struct scene *scene) {
    struct story_op *told = find_op(scene, is_pass);
    if (told == NULL || scene->story->counts[STORY_RETURNS] != 0) return false;
    return add_op(scene, told->user, TOLD_RETURNED, 0) != NULL;
}

static bool is_returned(const struct story_op *told) {
    return told->op.told == TOLD_RETURNED;
}

static bool coupon_after_returned(struct scene *scene) {
    struct story_op *told = find_op(scene, is_returned);
    struct story_op *held = told == NULL ? NULL : another(scene, told, is_claim_pass);
    struct story_op *again =
        held == NULL ? NULL : add_op(scene, told->user, TOLD_ALREADY_ISSUED, 0);
    if (again == NULL) return false;
    tell_like(again, held);
    again->op.told = TOLD_ALREADY_ISSUED;
    return true;
}

static bool nothing_after_a_coupon(struct scene *scene) {
    struct story_op *told = find_op(scene, is_pass);
    if (told == NULL || scene->story->counts[STORY_RETURNS] != 0) return false;
    struct story_op *query = add_op(scene, told->user, TOLD_NOTHING, 0);
    if (query == NULL) return false;
    query->op.is_query = true;
    return true;
}

static bool query_told_another_coupon(struct scene *scene) {
    struct story_op *told = find_op(scene, is_claim_pass);
    struct story_op *query = told == NULL ? NULL : add_op(scene, told->user, TOLD_ISSUED, 0);
    if (query == NULL) return false;
    tell_like(query, told);
    query->op.told = TOLD_ISSUED;
    query->op.is_query = true;
    query->coupon[0] ^= 1;
    return true;
}

static bool query_told_another_serial(struct scene *scene) {
    struct story_op *told = find_op(scene, is_query_pass);
    if (told == NULL || another(scene, told, is_claim_pass) == NULL) return false;
    told->op.serial += 1;
    return true;
}

/* `user` was told serial and coupon of `like` instead. */
static void tell_serial_of(struct scene *scene, uint32_t user, const struct story_op *like) {
    for (uint32_t i = 0; i < scene->story->ops_count; i++) {
        struct story_op *told = op_at(scene, i);
        if (told->user != user || !is_pass(told)) continue;
        told->op.serial = like->op.serial;
        memcpy(told->coupon, like->coupon, sizeof told->coupon);
    }
}

static bool asked_before(struct scene *scene, uint32_t user, int64_t ns) {
    for (uint32_t i = 0; i < scene->story->ops_count; i++)
        if (op_at(scene, i)->user == user && op_at(scene, i)->op.invoke_ns <= ns) return true;
    return false;
}

/* Two whose claims did not overlap change places, with clients and in the log. */
static bool served_out_of_order(struct scene *scene) {
    struct story_op *first = find_op(scene, is_issued);
    if (first == NULL || has_control(scene)) return false;
    for (uint32_t i = 0; i < scene->story->ops_count; i++) {
        struct story_op *second = op_at(scene, i);
        if (!is_issued(second) || asked_before(scene, second->user, first->op.return_ns)) continue;
        struct story_record *a = win_of(scene, first), *b = win_of(scene, second);
        if (a == NULL || b == NULL) return false;
        const struct story_op was = *first, is = *second;
        a->record.win.serial = is.op.serial;
        b->record.win.serial = was.op.serial;
        tell_serial_of(scene, was.user, &is);
        tell_serial_of(scene, is.user, &was);
        return true;
    }
    return false;
}

static bool issued_before_the_start(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    if (told == NULL || scene->story->records[0].record.open.starts_ms == 0) return false;
    told->op.issued_ms = scene->story->records[0].record.open.starts_ms - 1;
    return true;
}

/* A judge that lets everybody in early. */
static bool won_before_the_start(struct scene *scene) {
    scene->story->is_judged_early = true;
    return find_op(scene, is_issued) != NULL;
}

static bool issued_after_the_end(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    if (told == NULL || has_control(scene)) return false;
    scene->story->records[0].record.open.ends_ms = INT64_C(1) << 40;
    for (uint32_t i = 0; i < scene->story->ops_count; i++)
        if (op_at(scene, i)->user == told->user) op_at(scene, i)->op.issued_ms = INT64_C(1) << 41;
    return true;
}

static bool another_instant_than_the_logs(struct scene *scene) {
    struct story_op *told = find_op(scene, is_issued);
    if (told == NULL) return false;
    told->op.issued_ms += 1;
    return true;
}

static const struct damage {
    const char *name;
    bool (*make)(struct scene *scene);
    enum check check; /* that is made for it */
} damages[] = {
    {"a serial told to two users", serial_told_twice, CHECK_C1},
    {"a coupon told to two users", coupon_told_twice, CHECK_C1},
    {"a serial above the stock", one_coupon_too_many, CHECK_C2},
    {"more told than there are", more_told_than_there_are, CHECK_C2},
    {"a win missing in the log", win_missing_in_the_log, CHECK_C3},
    {"a win that the judge refuses", win_refused_by_the_judge, CHECK_C3},
    {"a win of another user in the log", win_of_another_user_in_the_log, CHECK_C3},
    {"a code that is not the log's", another_code_than_the_logs, CHECK_C3},
    {"an event that the log does not have", another_event_than_the_logs, CHECK_C3},
    {"a coupon missing in the copy", missing_in_the_copy, CHECK_C3},
    {"a winner who was told no", winner_told_no_only, CHECK_C4},
    {"a winner who was told busy", winner_told_busy_only, CHECK_C4},
    {"a winner who never asked", winner_who_never_asked, CHECK_C4},
    {"sold out, final, at once", sold_out_final_at_once, CHECK_C5},
    {"sold out, not final, at once", sold_out_not_final_at_once, CHECK_C5},
    {"sold out while one was left", sold_out_while_one_was_left, CHECK_C5},
    {"sold out before one won", sold_out_before_one_won, CHECK_C5},
    {"won after a final sold out", sold_out_before_one_won, CHECK_C6},
    {"later told another serial", later_told_another_serial, CHECK_C7},
    {"later told another time", later_told_another_time, CHECK_C7},
    {"later told no", later_told_no, CHECK_C7},
    {"issued a second time", issued_a_second_time, CHECK_C7},
    {"returned, and never was", returned_and_never_was, CHECK_C7},
    {"a coupon after returned", coupon_after_returned, CHECK_C7},
    {"nothing, asked after a coupon", nothing_after_a_coupon, CHECK_C8},
    {"another coupon, asked after one", query_told_another_coupon, CHECK_C8},
    {"another serial, asked after one", query_told_another_serial, CHECK_C8},
    {"served out of order", served_out_of_order, CHECK_C9},
    {"issued before the start", issued_before_the_start, CHECK_C10},
    {"won before the start, by the log", won_before_the_start, CHECK_C10},
    {"issued after the end", issued_after_the_end, CHECK_C10},
    {"an instant that is not the log's", another_instant_than_the_logs, CHECK_C10},
};

static void print_findings(const struct checks *checks) {
    for (size_t i = 0; i < checks->count; i++)
        if (checks->all[i].evidence != NULL)
            print_message("%s %s\n", check_id(checks->all[i].check), checks->all[i].evidence);
}

static void true_stories_are_accepted(void **state) {
    (void)state;
    static struct story story;
    uint64_t counts[STORY_COUNTS] = {0};
    for (uint64_t seed = 1; seed <= GOOD_STORIES; seed++) {
        struct checks checks = {0};
        story_tell(&story, seed);
        story_check(&story, &with_copy, 0, &checks);
        if (checks_sum(&checks) != 0) print_message("seed %llu\n", (unsigned long long)seed);
        print_findings(&checks);
        assert_int_equal(checks_sum(&checks), 0);
        assert_int_equal(checks_sum(&story.promises), 0);
        for (size_t i = 0; i < STORY_COUNTS; i++) counts[i] += story.counts[i] != 0;
        checks_deinit(&checks);
        story_free(&story);
    }
    for (size_t i = 0; i < STORY_COUNTS; i++) {
        print_message("in %llu stories: count %zu\n", (unsigned long long)counts[i], i);
        assert_true(counts[i] >= 20);
    }
}

/* How many stories were damaged in this way, each of them caught. */
static unsigned damage_stories(const struct damage *damage) {
    static struct story story;
    unsigned made = 0;
    for (uint64_t seed = 1; seed <= SEEDS_MAX && made < BAD_OF_EACH_KIND; seed++) {
        struct checks checks = {0};
        struct scene scene = {.story = &story};
        story_tell(&story, seed);
        if (damage->make(&scene)) {
            story_check(&story, &with_copy, scene.uncopied_seq, &checks);
            if (checks.counts[damage->check] == 0) {
                print_message("%s: seed %llu was not caught by %s\n", damage->name,
                              (unsigned long long)seed, check_id(damage->check));
                print_findings(&checks);
            }
            assert_true(checks.counts[damage->check] > 0);
            made++;
        }
        checks_deinit(&checks);
        story_free(&story);
    }
    return made;
}

static void every_damage_is_caught_by_its_check(void **state) {
    (void)state;
    unsigned sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        unsigned made = damage_stories(&damages[i]);
        print_message("%-4s %-40s %u\n", check_id(damages[i].check), damages[i].name, made);
        assert_int_equal(made, BAD_OF_EACH_KIND);
        sum += made;
    }
    assert_true(sum >= 200);
}

/* Holders who are in no history are others' when the event is shared, and so are those whose writer
 * was cut off. */
static void strangers_are_no_finding_where_others_claim(void **state) {
    (void)state;
    static struct story story;
    struct scene scene = {.story = &story};
    const struct history_check_options shared = {.is_shared = true};
    struct checks checks = {0};
    story_tell(&story, 3);
    assert_true(win_of_another_user_in_the_log(&scene));
    story_check(&story, &with_copy, 0, &checks);
    assert_true(checks.counts[CHECK_C4] > 0);
    checks_deinit(&checks);
    story_check(&story, &shared, 0, &checks);
    assert_int_equal(checks.counts[CHECK_C4], 0);
    assert_true(checks.counts[CHECK_C3] > 0);
    checks_deinit(&checks);
    story_free(&story);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(true_stories_are_accepted),
        cmocka_unit_test(every_damage_is_caught_by_its_check),
        cmocka_unit_test(strangers_are_no_finding_where_others_claim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
