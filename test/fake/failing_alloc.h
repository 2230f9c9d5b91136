/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that runs out on demand. A test that includes this is linked with --wrap (the list
 * `failing_alloc` of test/unit/meson.build), so that malloc, calloc and realloc of the code under
 * test come here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How many allocations still succeed; negative for all. The one after fails, and only that one. */
static int allocations_left = -1;

static inline bool allocation_fails(void) {
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);

void *__wrap_malloc(size_t bytes) {
    return allocation_fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return allocation_fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *p, size_t bytes) {
    return allocation_fails() ? NULL : __real_realloc(p, bytes);
}
