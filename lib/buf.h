/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that grow, up to a maximum given when the buffer is made. A write that would pass the
 * maximum, or that finds no memory, fails whole and marks the buffer; what was there stays.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"
#include "lib/slice.h"

struct buf {
    char *p;
    size_t n;        /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t max;
    bool failed; /* some write did not fit: check once, at the end */
};

void buf_init(struct buf *buf, size_t bytes_max);
void buf_deinit(struct buf *buf);

/* Room for `bytes` more at buf->p + buf->n. False (and failed) when that is too much. */
bool buf_reserve(struct buf *buf, size_t bytes);
void buf_add(struct buf *buf, const void *p, size_t bytes);
void buf_add_slice(struct buf *buf, struct slice slice);
void buf_add_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_add_u64(struct buf *buf, unsigned long long number);
/* A JSON string with its quotes; the bytes must be UTF-8. */
void buf_add_json_string(struct buf *buf, struct slice text);
/* Drops the first `bytes` bytes. */
void buf_consume(struct buf *buf, size_t bytes);
static inline struct slice buf_slice(const struct buf *buf) { return slice_of(buf->p, buf->n); }
