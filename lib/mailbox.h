/* SPDX-License-Identifier: Apache-2.0
 *
 * How threads hand work to each other: an ordered queue of parcels with many senders and one
 * receiver, behind one short lock. Nothing on the losing path of a claim comes here.
 *
 * A parcel is the first member of a struct of the sender's; the receiver owns it once received.
 * The lock orders everything: what the sender wrote before mailbox_send the receiver sees.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct parcel {
    struct parcel *next;
};

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct parcel *first;
    struct parcel **last;
    /* Called after a send into an empty box, outside the lock, from the sender's thread; wakes a
     * receiver that waits in an event loop. NULL for one that uses mailbox_wait. */
    void (*wake)(void *ctx);
    void *wake_ctx;
};

void mailbox_init(struct mailbox *box, void (*wake)(void *ctx), void *wake_ctx);
void mailbox_deinit(struct mailbox *box);

/* Puts a chain of parcels (linked by next, NULL at its end) at the end of the box. */
void mailbox_send(struct mailbox *box, struct parcel *chain);

/* Everything in the box, oldest first, linked by next; NULL when empty. */
struct parcel *mailbox_take(struct mailbox *box);

/* As mailbox_take, but waits until there is something or `timeout_ms` has passed (-1: for ever). */
struct parcel *mailbox_wait(struct mailbox *box, int timeout_ms);
