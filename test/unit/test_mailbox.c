/* SPDX-License-Identifier: Apache-2.0
 *
 * The mailbox alone and between threads: order, waking, waiting. Also run under the thread
 * sanitizer.
 */
#include "lib/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/clock.h"

struct letter {
    struct parcel parcel;
    unsigned sender, number;
};

static void parcels_come_out_in_order(void **state) {
    (void)state;
    struct mailbox box;
    mailbox_init(&box, NULL, NULL);
    assert_null(mailbox_take(&box));
    struct parcel c = {NULL}, b = {&c}, a = {&b}, d = {NULL};
    mailbox_send(&box, &a);
    mailbox_send(&box, NULL);
    mailbox_send(&box, &d);
    struct parcel *got = mailbox_take(&box);
    assert_ptr_equal(got, &a);
    assert_ptr_equal(a.next, &b);
    assert_ptr_equal(b.next, &c);
    assert_ptr_equal(c.next, &d);
    assert_null(d.next);
    assert_null(mailbox_take(&box));
    /* An emptied box begins again. */
    d.next = NULL;
    mailbox_send(&box, &d);
    assert_ptr_equal(mailbox_wait(&box, -1), &d);
    assert_null(d.next);
    mailbox_deinit(&box);
}

struct waking {
    struct mailbox box;
    int woken;
};

/* Takes the lock itself: a wake inside the lock would never return. */
static void wake_and_look(void *ctx) {
    struct waking *waking = ctx;
    waking->woken++;
    struct parcel *chain = mailbox_take(&waking->box);
    assert_non_null(chain);
}

static void count_wake(void *ctx) {
    ((struct waking *)ctx)->woken++;
}

static void a_send_into_an_empty_box_wakes(void **state) {
    (void)state;
    struct waking waking = {.woken = 0};
    struct parcel a = {NULL}, b = {NULL};
    mailbox_init(&waking.box, count_wake, &waking);
    mailbox_send(&waking.box, NULL);
    assert_int_equal(waking.woken, 0);
    mailbox_send(&waking.box, &a);
    assert_int_equal(waking.woken, 1);
    mailbox_send(&waking.box, &b);
    assert_int_equal(waking.woken, 1);
    mailbox_take(&waking.box);
    b.next = NULL;
    mailbox_send(&waking.box, &b);
    assert_int_equal(waking.woken, 2);
    mailbox_deinit(&waking.box);
}

static void it_wakes_outside_the_lock(void **state) {
    (void)state;
    struct waking waking = {.woken = 0};
    struct parcel a = {NULL};
    mailbox_init(&waking.box, wake_and_look, &waking);
    mailbox_send(&waking.box, &a);
    assert_int_equal(waking.woken, 1);
    assert_null(mailbox_take(&waking.box));
    mailbox_deinit(&waking.box);
}

static void waiting_ends_at_its_time(void **state) {
    (void)state;
    struct mailbox box;
    mailbox_init(&box, NULL, NULL);
    uint64_t begin_ns = clock_monotonic_ns(&clock_system);
    assert_null(mailbox_wait(&box, 0));
    assert_null(mailbox_wait(&box, 30));
    assert_true(clock_monotonic_ns(&clock_system) - begin_ns >= 30000000);
    struct parcel a = {NULL};
    mailbox_send(&box, &a);
    assert_ptr_equal(mailbox_wait(&box, 0), &a);
    mailbox_deinit(&box);
}

enum { SENDERS = 4, LETTERS = 5000, CHAIN = 3 };

struct sending {
    struct mailbox *box;
    unsigned sender;
    struct letter letters[LETTERS];
};

/* Sends in chains of one to three. What is written before the send must be seen after the take. */
static void *send_letters(void *ctx) {
    struct sending *sending = ctx;
    for (unsigned at = 0; at < LETTERS;) {
        unsigned count = at % CHAIN + 1, first = at;
        for (; count > 0 && at < LETTERS; count--, at++) {
            bool is_last = count == 1 || at + 1 == LETTERS;
            sending->letters[at].sender = sending->sender;
            sending->letters[at].number = at;
            sending->letters[at].parcel.next = is_last ? NULL : &sending->letters[at + 1].parcel;
        }
        mailbox_send(sending->box, &sending->letters[first].parcel);
    }
    return NULL;
}

/* Many senders, one receiver that waits for ever: nothing is lost, each sender's order is kept. A
 * wake-up that is lost shows as a test that does not end. */
static void many_senders_lose_nothing(void **state) {
    (void)state;
    struct mailbox box;
    mailbox_init(&box, NULL, NULL);
    struct sending *sending = calloc(SENDERS, sizeof *sending);
    assert_non_null(sending);
    pthread_t threads[SENDERS];
    for (unsigned i = 0; i < SENDERS; i++) {
        sending[i].box = &box;
        sending[i].sender = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &sending[i]), 0);
    }
    unsigned next[SENDERS] = {0}, received = 0;
    while (received < SENDERS * LETTERS) {
        struct parcel *parcel = mailbox_wait(&box, -1);
        assert_non_null(parcel);
        for (; parcel != NULL; parcel = parcel->next, received++) {
            const struct letter *letter = (const struct letter *)(void *)parcel;
            assert_int_equal(letter->number, next[letter->sender]++);
        }
    }
    for (unsigned i = 0; i < SENDERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_null(mailbox_take(&box));
    free(sending);
    mailbox_deinit(&box);
}

struct pong {
    struct mailbox there, back;
};

static void *return_letters(void *ctx) {
    struct pong *pong = ctx;
    for (int i = 0; i < 500; i++) {
        struct parcel *parcel = mailbox_wait(&pong->there, 10000);
        if (parcel == NULL) break;
        mailbox_send(&pong->back, parcel);
    }
    return NULL;
}

/* Each side sleeps until the other has sent: every send must wake. */
static void a_sleeper_is_woken_by_every_send(void **state) {
    (void)state;
    struct pong pong;
    mailbox_init(&pong.there, NULL, NULL);
    mailbox_init(&pong.back, NULL, NULL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, return_letters, &pong), 0);
    struct parcel ball = {NULL};
    for (int i = 0; i < 500; i++) {
        mailbox_send(&pong.there, &ball);
        assert_ptr_equal(mailbox_wait(&pong.back, 10000), &ball);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    mailbox_deinit(&pong.there);
    mailbox_deinit(&pong.back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parcels_come_out_in_order),
        cmocka_unit_test(a_send_into_an_empty_box_wakes),
        cmocka_unit_test(it_wakes_outside_the_lock),
        cmocka_unit_test(waiting_ends_at_its_time),
        cmocka_unit_test(many_senders_lose_nothing),
        cmocka_unit_test(a_sleeper_is_woken_by_every_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
