/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner loops of reading HTTP: where the next special byte is, and whether a byte may stand in
 * a token. Pure; looks at no byte outside [p, end). For the parsers of lib/http only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "lib/base.h"
#include "lib/slice.h"

/* True for tchar of RFC 9110 section 5.6.2. */
extern const bool http_is_token_byte[256];

static inline bool is_control(char c) {
    return (unsigned char)c < 0x20 || c == 0x7f;
}

#ifdef __SSE2__
static inline __m128i load_16(const char *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* A bit for each byte of `v` that is a control byte. */
static inline unsigned control_mask(__m128i v) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f))));
}

static inline unsigned first_bit(unsigned mask) {
    return (unsigned)__builtin_ctz(mask);
}
#endif

/* The first control byte (below 0x20, or 0x7f), or `end`. A tab is one too. */
static inline const char *scan_control(const char *p, const char *end) {
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        const unsigned mask = control_mask(load_16(p));
        if (mask != 0) return p + first_bit(mask);
    }
#endif
    while (p < end && !is_control(*p)) p++;
    return p;
}

/* The same, and on the way the first colon: NULL when there is none as far as was looked, which may
 * be a little further than the control byte. */
static inline const char *scan_line(const char *p, const char *end, const char **colon) {
    *colon = NULL;
#ifdef __SSE2__
    while (end - p >= 16) {
        const __m128i v = load_16(p);
        const unsigned mask = control_mask(v);
        const unsigned colons = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(':')));
        if (colons != 0) {
            *colon = p + first_bit(colons);
            return mask != 0 ? p + first_bit(mask) : scan_control(p + 16, end);
        }
        if (UNLIKELY(mask != 0)) return p + first_bit(mask);
        p += 16;
    }
#endif
    for (; p < end && !is_control(*p); p++)
        if (*p == ':' && *colon == NULL) *colon = p;
    return p;
}

/* The first byte that is not visible ASCII, or is '?' or '#', or `end`: what ends a path. */
static inline const char *scan_path(const char *p, const char *end) {
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        const __m128i v = load_16(p);
        /* Signed comparison: bytes from 0x80 on are negative, so they count as at most 0x20. */
        const __m128i outside = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x21)),
                                             _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
        const __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('?')),
                                           _mm_cmpeq_epi8(v, _mm_set1_epi8('#')));
        const unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(outside, marks));
        if (mask != 0) return p + first_bit(mask);
    }
#endif
    while (p < end && (unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f && *p != '?' &&
           *p != '#')
        p++;
    return p;
}

/* How many bytes from `p` on are token bytes, at most `n`. */
static inline size_t scan_token(const char *p, size_t n) {
    size_t i = 0;
    while (i < n && http_is_token_byte[(unsigned char)p[i]]) i++;
    return i;
}

/* [p, end) without the white space around it (OWS of RFC 9110 section 5.6.3). There are bytes in
 * front of `p` and at `end`, and no control bytes but tabs. */
static inline struct slice trim(const char *p, const char *end) {
    p += *p == ' ';
    while (UNLIKELY((unsigned char)*p <= ' ' && p < end)) p++;
    while (UNLIKELY((unsigned char)end[-1] <= ' ' && end > p)) end--;
    return slice_of(p, (size_t)(end - p));
}

static inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* 0 to 15, or -1. */
static inline int hex_value(char c) {
    const char small = (char)(c | 0x20);
    if (is_digit(c)) return c - '0';
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

static inline uint64_t load_u64(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint32_t load_u32(const char *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* True when the `n` bytes (4 to 24, a constant) at `p` are `lower` in either case; `lower` holds
 * small letters and '-' only. Setting bit 0x20 makes letters small and keeps '-', but also makes
 * '-' of a CR: the caller must know that there are no control bytes. */
static inline __attribute__((always_inline)) bool folds_to(const char *p, const char *lower,
                                                           size_t n) {
    const uint64_t fold = 0x2020202020202020u;
    if (n < 8)
        return ((load_u32(p) | (uint32_t)fold) == load_u32(lower)) &&
               ((load_u32(p + (n - 4)) | (uint32_t)fold) == load_u32(lower + (n - 4)));
    if ((load_u64(p) | fold) != load_u64(lower)) return false;
    if (n > 16 && (load_u64(p + 8) | fold) != load_u64(lower + 8)) return false;
    return (load_u64(p + (n - 8)) | fold) == load_u64(lower + (n - 8));
}
