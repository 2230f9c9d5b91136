/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of a thread that does something now and then: it rests in between, and is woken to end.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stopper {
    atomic_bool is_stopping; /* may be read in the middle of the work, by any thread */
    pthread_mutex_t mutex;
    pthread_cond_t wakes;
};

void stopper_init(struct stopper *stopper);
/* When nobody rests any more. */
void stopper_deinit(struct stopper *stopper);

/* Waits `ms`. False when the end has come, at once then. */
bool stopper_rest(struct stopper *stopper, uint64_t ms);
/* Any thread. */
void stopper_stop(struct stopper *stopper);
