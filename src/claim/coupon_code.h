/* SPDX-License-Identifier: Apache-2.0
 *
 * Coupon codes: unguessable, and the same on every node, restart and mode, because they are derived.
 *
 *     HMAC-SHA-256(key, "coupond code 1" 00 event_id 00 serial_be32 round_be32), and, while digits
 *     are still wanted, the next block: the same message with a block_be32 counter (1, 2, …) appended
 *
 * read byte by byte as digits of the event's alphabet of N characters (byte mod N; bytes from
 * 256 - 256 mod N on are passed over, so that every code is equally likely), behind the prefix,
 * followed by one check character (Luhn mod N, ISO/IEC 7812-1 annex B in base N) that finds any
 * single wrong character and most swaps of neighbours. Where N is odd the doubled digit is taken
 * mod N instead of its digit sum, which would map different digits to the same.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/disk.h"
#include "lib/err.h"
#include "lib/random.h"
#include "lib/slice.h"
#include "log/record.h"

enum { CODE_KEY_BYTES = 32, COUPON_CODE_BYTES_MAX = CODE_PREFIX_BYTES_MAX + CODE_LENGTH_MAX + 1 };

/* The format of an event that asks for none: no prefix, 16 characters of Crockford's base 32 (80
 * bits). */
extern const struct code_format code_format_default;

/* NULL when good, else what is wrong, naming the field ("code.alphabet has …"). */
const char *code_format_problem(const struct code_format *format);

/* A deriver holds libcrypto state: one for each thread and key. */
struct coupon_deriver;
struct coupon_deriver *coupon_deriver_new(const unsigned char key[CODE_KEY_BYTES]) MUST_CHECK;
void coupon_deriver_free(struct coupon_deriver *deriver);

/* Writes the code at `out` (COUPON_CODE_BYTES_MAX bytes of room) and returns its length. */
size_t coupon_code(struct coupon_deriver *deriver, const struct code_format *format,
                   struct slice event_id, uint32_t serial, uint32_t round, char *out);

/* True when the check character of `code` fits the format: finds typing errors, proves nothing. */
bool coupon_code_is_plausible(const struct code_format *format, struct slice code);

/* The id that OPEN records carry: the first 8 bytes, big-endian, of SHA-256("coupond key id 1" 00
 * key). Tells nothing about the key. */
uint64_t code_key_id(const unsigned char key[CODE_KEY_BYTES]);

/* The keys of a node: every file of `folder` named <anything>.key, 64 hexadecimal digits and a
 * newline, mode 600 or stricter (refused otherwise). */
struct code_keys {
    size_t count;
    struct {
        uint64_t id;
        unsigned char key[CODE_KEY_BYTES];
    } keys[16];
    uint64_t current; /* id of the key for new events: of the file that sorts last by name */
};

/* Loads the keys; when there is none, makes `folder`/code-1.key (mode 600, synced) if `create`, else
 * fails with -ENOENT. On failure `err` names the file and says what to do, and no secret is left in
 * `keys`. */
int code_keys_load(struct code_keys *keys, const char *folder, bool create,
                   struct random_source *random, struct err *err) MUST_CHECK;
/* The key with this id, or NULL. */
const unsigned char *code_keys_find(const struct code_keys *keys, uint64_t id);
