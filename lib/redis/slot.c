/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/redis/slot.h"

/* Half a byte a step: a table of 16 words stays in one cache line. */
static const uint16_t crc_of_half[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};

uint16_t redis_crc16(struct slice bytes) {
    unsigned crc = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned byte = (unsigned char)bytes.p[i];
        crc = (crc << 4 & 0xffff) ^ crc_of_half[crc >> 12 ^ byte >> 4];
        crc = (crc << 4 & 0xffff) ^ crc_of_half[crc >> 12 ^ (byte & 15)];
    }
    return (uint16_t)crc;
}

static struct slice tag_of(struct slice key) {
    const char *open = key.n == 0 ? NULL : memchr(key.p, '{', key.n);
    if (open == NULL) return key;
    const char *tag = open + 1;
    const char *close = memchr(tag, '}', key.n - (size_t)(tag - key.p));
    return close == NULL || close == tag ? key : slice_of(tag, (size_t)(close - tag));
}

uint16_t redis_slot_of(struct slice key) {
    return redis_crc16(tag_of(key)) % REDIS_SLOTS;
}
