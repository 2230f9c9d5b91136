/* SPDX-License-Identifier: Apache-2.0
 *
 * A slice is a borrowed run of bytes: whoever made it owns the memory, and says for how long.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *p;
    size_t n; /* bytes; p may be NULL when 0 */
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

static inline struct slice slice_of(const void *p, size_t n) {
    return (struct slice){p, n};
}
static inline struct slice slice_str(const char *text) {
    return (struct slice){text, strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* What is before the first, or behind the last, `separator` of `*rest`, which keeps what is on the
 * other side: nothing when there is none. */
static inline struct slice slice_cut(struct slice *rest, char separator) {
    const char *at = rest->n == 0 ? NULL : (const char *)memchr(rest->p, separator, rest->n);
    struct slice first = {rest->p, at == NULL ? rest->n : (size_t)(at - rest->p)};
    size_t n = at == NULL ? rest->n : first.n + 1;
    *rest = slice_of(n == 0 ? rest->p : rest->p + n, rest->n - n);
    return first;
}
static inline struct slice slice_cut_last(struct slice *rest, char separator) {
    size_t n = rest->n;
    while (n > 0 && rest->p[n - 1] != separator) n--;
    struct slice last = {rest->p == NULL ? NULL : rest->p + n, rest->n - n};
    rest->n = n == 0 ? 0 : n - 1;
    return last;
}

/* Without the spaces and tabs around it. */
static inline struct slice slice_trim(struct slice slice) {
    while (slice.n > 0 && (slice.p[0] == ' ' || slice.p[0] == '\t')) slice.p++, slice.n--;
    while (slice.n > 0 && (slice.p[slice.n - 1] == ' ' || slice.p[slice.n - 1] == '\t')) slice.n--;
    return slice;
}
