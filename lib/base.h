/* SPDX-License-Identifier: Apache-2.0
 *
 * The few words that every file uses: assertions that stay on, attributes, small arithmetic.
 * Includes nothing of ours; may be included by anything.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For what our own code guarantees, in every build; never for outside input. Prints the place and
 * aborts: a server that no longer understands itself must not answer. */
#define ASSERT(condition)                                                                          \
    (__builtin_expect(!(condition), 0) ? assert_failed(#condition, __FILE__, __LINE__) : (void)0)

_Noreturn void assert_failed(const char *condition, const char *file, int line);

/* For memory without which something that was promised would be lost: returns `memory`, or ends the
 * process with status 70 and a word when it is NULL. A new start has the journal. */
void *memory_needed(void *memory);

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of type `type` whose field `field` is at `pointer`. */
#define CONTAINER_OF(pointer, type, field)                                                         \
    ((type *)(void *)((char *)(pointer) - offsetof(type, field)))

static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }

/* `n` rounded up to a multiple of `to`, a power of two. */
static inline size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }
