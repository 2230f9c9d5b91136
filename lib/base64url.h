/* SPDX-License-Identifier: Apache-2.0
 *
 * base64url without padding (RFC 4648 section 5), as tokens and keys are written. Strict: one text
 * for each run of bytes, so that what is signed cannot be spelled twice.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"
#include "lib/slice.h"

/* Room for the text of `n` bytes, and for the bytes of a text of `n` characters. */
#define BASE64URL_TEXT_BYTES(n) (((n)*4 + 2) / 3)
#define BASE64URL_BYTES(n) ((n) / 4 * 3 + 2)

/* Writes the text of `bytes` at `out`; its length. */
size_t base64url_encode(struct slice bytes, char *out);

/* Writes the bytes of `text` at `out`; how many, or -1 when a character is none of the alphabet,
 * the length cannot be, or bits behind the last byte are set. */
ptrdiff_t base64url_decode(struct slice text, void *out) MUST_CHECK;
