/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in memory that obeys or not as a test says, from whatever thread it is called. The test
 * makes it and looks into it; freeing it as a store only notes that.
 */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record/store.h"

enum { MEMORY_ROWS_MAX = 8192 };

struct memory_store {
    struct store store;
    pthread_mutex_t lock;
    struct store_position at;
    struct store_change rows[MEMORY_ROWS_MAX];
    size_t rows_count, batch_max;
    unsigned opens, applies, resets, frees;
    /* What the next so many calls say instead of obeying. */
    enum store_status open_says, apply_says, reset_says;
    unsigned open_times, apply_times, reset_times;
    bool commits_and_says_later; /* the commit is made, but not heard of */
};

static inline struct memory_store *memory_store_of(struct store *store) {
    return CONTAINER_OF(store, struct memory_store, store);
}

static inline enum store_status memory_says(enum store_status says, unsigned *times,
                                            struct err *err) {
    if (*times == 0) return STORE_OK;
    (*times)--;
    err_set(err, -EIO, "as the test says");
    return says;
}

static inline enum store_status memory_open(struct store *store, struct store_position *position,
                                            struct err *err) {
    struct memory_store *memory = memory_store_of(store);
    pthread_mutex_lock(&memory->lock);
    memory->opens++;
    *position = memory->at;
    enum store_status status = memory_says(memory->open_says, &memory->open_times, err);
    pthread_mutex_unlock(&memory->lock);
    return status;
}

static inline enum store_status memory_apply(struct store *store,
                                             const struct store_change *changes, size_t count,
                                             const struct store_position *from,
                                             const struct store_position *to, struct err *err) {
    struct memory_store *memory = memory_store_of(store);
    pthread_mutex_lock(&memory->lock);
    memory->applies++;
    enum store_status status = memory_says(memory->apply_says, &memory->apply_times, err);
    if (count > memory->batch_max) memory->batch_max = count;
    bool is_heard = status == STORE_OK;
    if ((is_heard || memory->commits_and_says_later) && !store_position_eq(&memory->at, to)) {
        assert_true(store_position_eq(&memory->at, from));
        assert_true(memory->rows_count + count <= MEMORY_ROWS_MAX);
        for (size_t i = 0; i < count; i++) memory->rows[memory->rows_count++] = changes[i];
        memory->at = *to;
    }
    pthread_mutex_unlock(&memory->lock);
    return status;
}

static inline enum store_status memory_reset(struct store *store, struct err *err) {
    struct memory_store *memory = memory_store_of(store);
    pthread_mutex_lock(&memory->lock);
    enum store_status status = memory_says(memory->reset_says, &memory->reset_times, err);
    if (status == STORE_OK) {
        memory->resets++;
        memory->rows_count = 0;
        memory->at = (struct store_position){.seq = 0};
    }
    pthread_mutex_unlock(&memory->lock);
    return status;
}

static inline void memory_free(struct store *store) {
    memory_store_of(store)->frees++;
}

static inline void memory_store_init(struct memory_store *memory) {
    static const struct store_ops ops = {memory_open, memory_apply, memory_reset, memory_free};
    *memory = (struct memory_store){.store = {&ops}};
    pthread_mutex_init(&memory->lock, NULL);
}
