/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base64url.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64url_encode(struct slice bytes, char *out) {
    size_t n = 0;
    uint32_t bits = 0;
    unsigned bits_count = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        bits = bits << 8 | (unsigned char)bytes.p[i];
        for (bits_count += 8; bits_count >= 6; bits_count -= 6)
            out[n++] = alphabet[bits >> (bits_count - 6) & 63];
    }
    if (bits_count > 0) out[n++] = alphabet[bits << (6 - bits_count) & 63];
    return n;
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ptrdiff_t base64url_decode(struct slice text, void *out) {
    unsigned char *bytes = out;
    size_t n = 0;
    uint32_t bits = 0;
    unsigned bits_count = 0;
    if (text.n % 4 == 1) return -1;
    for (size_t i = 0; i < text.n; i++) {
        int value = value_of(text.p[i]);
        if (value < 0) return -1;
        bits = bits << 6 | (uint32_t)value;
        bits_count += 6;
        if (bits_count < 8) continue;
        bits_count -= 8;
        bytes[n++] = (unsigned char)(bits >> bits_count);
    }
    return (bits & ((1u << bits_count) - 1)) == 0 ? (ptrdiff_t)n : -1;
}
