/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/stopper.h"

#include <time.h>

/* Monotonic, so that setting the machine's clock neither cuts nor stretches a rest. */
void stopper_init(struct stopper *stopper) {
    pthread_condattr_t attributes;
    atomic_init(&stopper->is_stopping, false);
    pthread_mutex_init(&stopper->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&stopper->wakes, &attributes);
    pthread_condattr_destroy(&attributes);
}

void stopper_deinit(struct stopper *stopper) {
    pthread_cond_destroy(&stopper->wakes);
    pthread_mutex_destroy(&stopper->mutex);
}

bool stopper_rest(struct stopper *stopper, uint64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&stopper->mutex);
    int code = 0;
    while (!atomic_load(&stopper->is_stopping) && code == 0)
        code = pthread_cond_timedwait(&stopper->wakes, &stopper->mutex, &until);
    bool goes_on = !atomic_load(&stopper->is_stopping);
    pthread_mutex_unlock(&stopper->mutex);
    return goes_on;
}

void stopper_stop(struct stopper *stopper) {
    pthread_mutex_lock(&stopper->mutex);
    atomic_store(&stopper->is_stopping, true);
    pthread_cond_signal(&stopper->wakes);
    pthread_mutex_unlock(&stopper->mutex);
}
