/* SPDX-License-Identifier: Apache-2.0
 *
 * Each record comes out as what the judge made of it, with the digest of a view that has applied
 * it.
 */
#include "claim/decisions.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "claim/view.h"
#include "claim/view_mark.h"
#include "lib/disk.h"
#include "lib/random.h"
#include "log/journal.h"

static const struct hash_key hash_key = {{1, 2}};

struct bench {
    struct code_keys keys;
    struct decisions *decisions;
    struct view *view; /* another, for the digest */
    struct view_mark mark;
    uint64_t seq;
    struct decision decision;
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    bench->keys.count = 1;
    memset(bench->keys.keys[0].key, 7, CODE_KEY_BYTES);
    bench->keys.keys[0].id = code_key_id(bench->keys.keys[0].key);
    bench->decisions = decisions_new(&bench->keys, &hash_key);
    bench->view = view_new(&hash_key);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    decisions_free(bench->decisions);
    decisions_free(NULL);
    view_free(bench->view);
    free(bench);
    return 0;
}

static const struct decision *apply(struct bench *bench, struct record record) {
    uint64_t digest = view_digest(bench->view), marked_seq, marked_digest;
    record.seq = ++bench->seq;
    record.event_id = SLICE("EV");
    record.ms = 100 + (int64_t)record.seq;
    const struct log_place place = {.seq = record.seq, .segment = 3, .crc = 4};
    assert_int_equal(view_apply(bench->view, &record, NULL), 0);
    assert_true(view_digest(bench->view) != digest);
    view_mark_publish(&bench->mark, bench->view);
    view_mark_read(&bench->mark, &marked_seq, &marked_digest);
    assert_int_equal(decisions_next(bench->decisions, &record, &place, &bench->decision), 0);
    assert_true(bench->decision.digest == view_digest(bench->view));
    assert_true(marked_digest == bench->decision.digest && marked_seq == record.seq);
    assert_true(bench->decision.place.seq == record.seq && bench->decision.place.segment == 3 &&
                bench->decision.place.crc == 4);
    assert_int_equal(bench->decision.ms, record.ms);
    return &bench->decision;
}

static struct record open_record(const struct bench *bench) {
    return (struct record){.type = RECORD_OPEN,
                           .open = {.stock = 3,
                                    .starts_ms = TIME_MS_MIN,
                                    .ends_ms = 5000,
                                    .key_id = bench->keys.keys[0].id,
                                    .code = code_format_default}};
}

static struct record win(uint32_t gen, uint32_t serial, struct slice user_id) {
    return (struct record){
        .type = RECORD_WIN,
        .win = {.gen = gen, .serial = serial, .user_id = user_id, .claim_id = SLICE("k")}};
}

static void every_kind_of_record(void **state) {
    struct bench *bench = *state;
    const struct decision *decision = apply(bench, win(1, 1, SLICE("ada")));
    assert_int_equal(decision->kind, DECISION_NOTHING); /* of no event */
    decision = apply(bench, open_record(bench));
    assert_int_equal(decision->kind, DECISION_OPENED);
    assert_true(slice_eq(decision->event_id, SLICE("EV")));
    assert_true(decision->ver == 1 && decision->gen == 1 && decision->stock == 3);
    assert_int_equal(decision->state, DECIDED_OPEN);
    assert_int_equal(decision->starts_ms, DECISION_NO_TIME);
    assert_int_equal(decision->ends_ms, 5000);
    decision = apply(bench, win(1, 2, SLICE("ada")));
    assert_int_equal(decision->kind, DECISION_ISSUED);
    assert_true(decision->serial == 2 && decision->round == 0 && decision->gen == 1);
    assert_true(slice_eq(decision->user_id, SLICE("ada")));
    assert_true(slice_eq(decision->claim_id, SLICE("k")));
    assert_true(coupon_code_is_plausible(&code_format_default, decision->code));
    decision = apply(bench, win(1, 2, SLICE("ada")));
    assert_int_equal(decision->kind, DECISION_NOTHING); /* DUP */
    decision = apply(bench, win(9, 3, SLICE("bob")));
    assert_int_equal(decision->kind, DECISION_VOID);
    assert_true(decision->serial == 3 && slice_eq(decision->user_id, SLICE("bob")));
    decision = apply(bench, (struct record){.type = RECORD_PAUSE});
    assert_int_equal(decision->kind, DECISION_CHANGED);
    assert_int_equal(decision->state, DECIDED_PAUSED);
    assert_int_equal(decision->ver, 2);
    decision = apply(bench, (struct record){.type = RECORD_FENCE, .fence = {.gen = 2}});
    assert_int_equal(decision->kind, DECISION_CHANGED);
    assert_int_equal(decision->gen, 2);
    decision = apply(bench, (struct record){.type = RECORD_RETURN,
                                            .operator= SLICE("ops"),
                                            .reason = SLICE("lost"),
                                            .give_back = {.serial = 2, .user_id = SLICE("ada")}});
    assert_int_equal(decision->kind, DECISION_RETURNED);
    assert_true(decision->serial == 2 && decision->ver == 4 && decision->gen == 2);
    assert_true(slice_eq(decision->user_id, SLICE("ada")));
    assert_true(slice_eq(decision->operator, SLICE("ops")));
    assert_true(slice_eq(decision->reason, SLICE("lost")));
    decision = apply(bench, win(2, 2, SLICE("bob")));
    assert_int_equal(decision->round, 1);
    decision = apply(bench, (struct record){.type = RECORD_CLOSE});
    assert_int_equal(decision->state, DECIDED_CLOSED);
    decision = apply(bench, (struct record){.type = RECORD_PAUSE});
    assert_int_equal(decision->kind, DECISION_NOTHING); /* NOP */
}

static void a_key_that_is_not_here(void **state) {
    struct bench *bench = *state;
    struct record record = open_record(bench);
    record.open.key_id++;
    apply(bench, record);
    assert_int_equal(apply(bench, win(1, 1, SLICE("ada")))->code.n, 0);
}

/* ---- A folder ---- */

static int count_and_stop(void *ctx, const struct decision *decision) {
    unsigned *left = ctx;
    assert_int_equal(decision->kind, DECISION_OPENED);
    return --*left == 0 ? -ECANCELED : 0;
}

static int ignore(void *ctx, const struct record *record, struct slice encoded) {
    (void)ctx, (void)record, (void)encoded;
    return 0;
}

static void make_journal(const char *folder) {
    const struct journal_options options = {.folder = folder,
                                            .segment_bytes = 64 * 1024,
                                            .disk = &disk_system,
                                            .random = &random_system};
    _Alignas(8) char records[2 * RECORD_BYTES_MAX];
    size_t bytes = 0;
    struct journal *journal;
    struct err err;
    assert_int_equal(journal_open(&journal, &options, ignore, NULL, &err), 0);
    for (int i = 0; i < 2; i++) {
        const struct record record = {
            .type = RECORD_OPEN,
            .ms = 1,
            .event_id = i == 0 ? SLICE("A") : SLICE("B"),
            .open = {.stock = 3, .ends_ms = TIME_MS_MAX, .code = code_format_default}};
        bytes += record_encode(records + bytes, &record);
    }
    assert_int_equal(journal_append(journal, records, bytes, 2), 0);
    journal_close(journal);
}

static void remove_file(void *ctx, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", (const char *)ctx, name);
    unlink(path);
}

static void a_folder_is_a_source(void **state) {
    (void)state;
    char folder[] = "/tmp/coupond-decisions-XXXXXX";
    struct decisions_folder from;
    struct err err = {0};
    assert_non_null(mkdtemp(folder));
    make_journal(folder);
    assert_int_equal(decisions_folder_init(&from, folder, &err), 0); /* without any key */
    unsigned left = 3;
    assert_int_equal(decisions_read(&from, count_and_stop, &left, &err), 0);
    assert_int_equal(left, 1);
    assert_int_equal(decisions_read(&from, count_and_stop, &left, &err), -ECANCELED);
    char path[128];
    snprintf(path, sizeof path, "%s/code-1.key", folder);
    FILE *key = fopen(path, "w");
    fputs("no key\n", key);
    fclose(key);
    assert_true(decisions_folder_init(&from, folder, &err) != 0);
    assert_non_null(strstr(err.text, "code-1.key"));
    decisions_folder_deinit(&from);
    assert_int_equal(disk_system.list(&disk_system, folder, remove_file, folder), 0);
    assert_int_equal(rmdir(folder), 0);
    from.folder = folder;
    assert_true(decisions_read(&from, count_and_stop, &left, &err) != 0);
    assert_non_null(strstr(err.text, folder));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_record),
        TEST(a_key_that_is_not_here),
        cmocka_unit_test(a_folder_is_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
