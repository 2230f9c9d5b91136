/* SPDX-License-Identifier: Apache-2.0
 *
 * Parcels to a network thread: answers share one, and none overtakes what was added before it.
 */
#include "claim/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
    struct outbox outbox;
    struct mailbox box;
};

static int set_up(void **state) {
    static struct bench bench;
    outbox_init(&bench.outbox);
    mailbox_init(&bench.box, NULL, NULL);
    *state = &bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    outbox_deinit(&bench->outbox);
    mailbox_deinit(&bench->box);
    return 0;
}

static struct from_engine *next_of(struct parcel **chain) {
    assert_non_null(*chain);
    struct from_engine *message = CONTAINER_OF(*chain, struct from_engine, parcel);
    *chain = message->parcel.next;
    return message;
}

static void answer(struct bench *bench, uint64_t token) {
    outbox_add_answer(&bench->outbox, 5,
                      (struct claim_answer){.token = token, .outcome = CLAIM_SOLD_OUT});
}

static struct record_block *block_new(unsigned references) {
    struct record_block *block = calloc(1, sizeof *block);
    atomic_init(&block->references, references);
    return block;
}

static void answers_stay_behind_the_records_before_them(void **state) {
    struct bench *bench = *state;
    answer(bench, 1);
    answer(bench, 2);
    struct record_block *block = block_new(1);
    outbox_add(&bench->outbox, FROM_ENGINE_RECORDS, 6)->block = block;
    answer(bench, 3);
    assert_true(outbox_send(&bench->outbox, &bench->box)); /* up to the records */
    struct parcel *chain = mailbox_take(&bench->box);
    struct from_engine *message = next_of(&chain);
    assert_int_equal(message->kind, FROM_ENGINE_ANSWERS);
    assert_int_equal(message->count, 2);
    assert_int_equal(message->answers[1].token, 2);
    free(message);
    message = next_of(&chain);
    assert_int_equal(message->kind, FROM_ENGINE_RECORDS);
    assert_int_equal(message->now_ms, 6);
    record_block_release(message->block);
    free(message);
    assert_null(chain);
    assert_false(outbox_send(&bench->outbox, &bench->box)); /* and the rest */
    chain = mailbox_take(&bench->box);
    message = next_of(&chain);
    assert_int_equal(message->count, 1);
    assert_int_equal(message->answers[0].token, 3);
    free(message);
    assert_null(chain);
}

static void any_number_of_answers_in_order(void **state) {
    struct bench *bench = *state;
    enum { COUNT = 1000 };
    for (uint64_t i = 0; i < COUNT; i++) answer(bench, i);
    assert_false(outbox_send(&bench->outbox, &bench->box));
    struct parcel *chain = mailbox_take(&bench->box);
    uint64_t seen = 0;
    while (chain != NULL) {
        struct from_engine *message = next_of(&chain);
        for (uint32_t i = 0; i < message->count; i++)
            assert_int_equal(message->answers[i].token, seen++);
        free(message);
    }
    assert_int_equal(seen, COUNT);
}

static void sent_is_empty_and_nothing_is_not_sent(void **state) {
    struct bench *bench = *state;
    assert_false(outbox_send(&bench->outbox, &bench->box));
    assert_null(mailbox_take(&bench->box));
    answer(bench, 1);
    assert_false(outbox_send(&bench->outbox, &bench->box));
    assert_false(outbox_send(&bench->outbox, &bench->box));
    struct parcel *chain = mailbox_take(&bench->box);
    free(next_of(&chain));
    assert_null(chain);
    assert_null(mailbox_take(&bench->box));
}

/* The last one to release a block frees it (the sanitizer sees it if not). */
static void what_is_not_sent_is_freed(void **state) {
    struct bench *bench = *state;
    struct record_block *block = block_new(2);
    outbox_add(&bench->outbox, FROM_ENGINE_RECORDS, 6)->block = block;
    answer(bench, 3);
    outbox_deinit(&bench->outbox);
    assert_int_equal(atomic_load(&block->references), 1);
    record_block_release(block);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(answers_stay_behind_the_records_before_them),
        TEST(any_number_of_answers_in_order),
        TEST(sent_is_empty_and_nothing_is_not_sent),
        TEST(what_is_not_sent_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
