/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue between threads: a linked list of the senders' own memory behind one mutex, held for a
 * few instructions. Called by network threads, the engine and the journal.
 */
#include "lib/mailbox.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "lib/base.h"

void mailbox_init(struct mailbox *box, void (*wake)(void *ctx), void *wake_ctx) {
    box->first = NULL;
    box->last = &box->first;
    box->wake = wake;
    box->wake_ctx = wake_ctx;
    ASSERT(pthread_mutex_init(&box->lock, NULL) == 0);
    /* Monotonic, so that setting the machine's clock neither cuts nor stretches a wait. */
    pthread_condattr_t attributes;
    ASSERT(pthread_condattr_init(&attributes) == 0);
    ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_cond_init(&box->filled, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

void mailbox_deinit(struct mailbox *box) {
    ASSERT(pthread_cond_destroy(&box->filled) == 0);
    ASSERT(pthread_mutex_destroy(&box->lock) == 0);
}

static void lock(struct mailbox *box) {
    ASSERT(pthread_mutex_lock(&box->lock) == 0);
}
static void unlock(struct mailbox *box) {
    ASSERT(pthread_mutex_unlock(&box->lock) == 0);
}

void mailbox_send(struct mailbox *box, struct parcel *chain) {
    if (chain == NULL) return;
    struct parcel *end = chain;
    while (end->next != NULL) end = end->next;

    lock(box);
    bool was_empty = box->first == NULL;
    *box->last = chain;
    box->last = &end->next;
    unlock(box);
    /* Whoever sends into a box that is not empty follows a sender who wakes the receiver. Not under
     * the lock: on another processor the receiver would run into it and sleep once more. */
    if (!was_empty) return;
    pthread_cond_signal(&box->filled);
    if (box->wake != NULL) box->wake(box->wake_ctx);
}

static struct parcel *take_locked(struct mailbox *box) {
    struct parcel *chain = box->first;
    box->first = NULL;
    box->last = &box->first;
    return chain;
}

struct parcel *mailbox_take(struct mailbox *box) {
    lock(box);
    struct parcel *chain = take_locked(box);
    unlock(box);
    return chain;
}

static struct timespec deadline_after(int timeout_ms) {
    struct timespec at;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

struct parcel *mailbox_wait(struct mailbox *box, int timeout_ms) {
    struct timespec deadline = {0}; /* long past, for those who do not wait */
    if (timeout_ms > 0) deadline = deadline_after(timeout_ms);

    lock(box);
    int result = 0;
    while (box->first == NULL && result != ETIMEDOUT) {
        result = timeout_ms < 0 ? pthread_cond_wait(&box->filled, &box->lock)
                                : pthread_cond_timedwait(&box->filled, &box->lock, &deadline);
        ASSERT(result == 0 || result == ETIMEDOUT);
    }
    struct parcel *chain = take_locked(box);
    unlock(box);
    return chain;
}
