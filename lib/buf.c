/* SPDX-License-Identifier: Apache-2.0
 *
 * The growing buffer: doubles until its maximum. A write finds its room first and copies then, so
 * that it happens whole or not at all. Called by everything that builds text or collects input.
 */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_BYTES_MIN = 64 };

void buf_init(struct buf *buf, size_t bytes_max) {
    *buf = (struct buf){.max = bytes_max};
}

void buf_deinit(struct buf *buf) {
    free(buf->p);
    *buf = (struct buf){.max = buf->max};
}

/* One byte more than `capacity` is allocated: vsnprintf insists on a NUL, which is not ours. */
static bool grow(struct buf *buf, size_t needed) {
    size_t capacity = buf->capacity > buf->max / 2 ? buf->max : buf->capacity * 2;
    capacity = size_min(size_max(size_max(capacity, needed), BUF_BYTES_MIN), buf->max);
    if (capacity == SIZE_MAX) return false;
    char *p = realloc(buf->p, capacity + 1);
    if (p == NULL) return false;
    buf->p = p;
    buf->capacity = capacity;
    return true;
}

bool buf_reserve(struct buf *buf, size_t bytes) {
    if (LIKELY(bytes <= buf->capacity - buf->n)) return true;
    if (bytes <= buf->max - buf->n && grow(buf, buf->n + bytes)) return true;
    buf->failed = true;
    return false;
}

void buf_add(struct buf *buf, const void *p, size_t bytes) {
    if (bytes == 0 || !buf_reserve(buf, bytes)) return;
    memcpy(buf->p + buf->n, p, bytes);
    buf->n += bytes;
}

void buf_add_slice(struct buf *buf, struct slice slice) {
    buf_add(buf, slice.p, slice.n);
}

void buf_add_text(struct buf *buf, const char *text) {
    buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char none[1];
    size_t room = buf->capacity - buf->n;
    int bytes = buf->p == NULL ? vsnprintf(none, sizeof none, format, args)
                               : vsnprintf(buf->p + buf->n, room + 1, format, args);
    va_end(args);
    if (bytes < 0) {
        buf->failed = true;
    } else if (buf->p != NULL && (size_t)bytes <= room) {
        buf->n += (size_t)bytes;
    } else if (bytes > 0 && buf_reserve(buf, (size_t)bytes)) {
        vsnprintf(buf->p + buf->n, (size_t)bytes + 1, format, again);
        buf->n += (size_t)bytes;
    }
    va_end(again);
}

void buf_add_u64(struct buf *buf, unsigned long long number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buf_add(buf, digits + at, sizeof digits - at);
}

/* The escape of one byte at `out`, at most 6 bytes; 0 when it stands for itself. */
static size_t json_escape(unsigned char c, char out[6]) {
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    if (LIKELY(c >= 0x20 && c != '"' && c != '\\')) return 0;
    out[0] = '\\';
    const char *found = c == 0 ? NULL : strchr(from, c);
    if (found != NULL) {
        out[1] = to[found - from];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

/* Adds the runs between escapes whole; taken back when the end does not fit. */
void buf_add_json_string(struct buf *buf, struct slice text) {
    size_t before = buf->n;
    bool failed_before = buf->failed;
    buf->failed = false;
    buf_add(buf, "\"", 1);
    size_t run = 0;
    for (size_t i = 0; i < text.n && !buf->failed; i++) {
        char escape[6];
        size_t bytes = json_escape((unsigned char)text.p[i], escape);
        if (bytes == 0) continue;
        buf_add(buf, text.p + run, i - run);
        buf_add(buf, escape, bytes);
        run = i + 1;
    }
    if (!buf->failed && run < text.n) buf_add(buf, text.p + run, text.n - run);
    buf_add(buf, "\"", 1);
    if (buf->failed) buf->n = before;
    buf->failed |= failed_before;
}

void buf_consume(struct buf *buf, size_t bytes) {
    ASSERT(bytes <= buf->n);
    buf->n -= bytes;
    if (buf->n > 0 && bytes > 0) memmove(buf->p, buf->p + bytes, buf->n);
}
