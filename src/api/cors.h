/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pages may speak to the API from a browser (CORS, section 3.2 of the Fetch standard): those
 * of the origins in --cors-origin. Cookies are not part of it; a bearer token needs no such
 * permission. Without the option nothing of this is on the wire.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/slice.h"

struct exchange;
struct output;

enum { ORIGINS_MAX = 32, ORIGIN_BYTES_MAX = 254 };

struct origins {
    uint32_t count;
    struct origin {
        uint8_t bytes;
        char text[ORIGIN_BYTES_MAX];
    } list[ORIGINS_MAX];
};

/* "https://shop.example, https://m.shop.example:8443", or "none". An origin is written as browsers
 * send it: small letters, no path, no default port. False with the item that is none, or one too
 * many. `text` ends with a NUL. */
bool origins_parse(struct slice text, struct origins *origins, struct slice *bad);

/* The listed origin that is exactly `origin`, in the list's own memory; empty when there is none.
 */
struct slice origins_find(const struct origins *origins, struct slice origin);

/* The header lines by which a page of `origin` may read an answer; without an origin, those that
 * tell caches why they are absent. */
void cors_write_fields(struct output *out, struct slice origin);

/* Answers the question of a browser, before a request of a page of a listed origin, whether it may
 * be sent: true when `exchange` was one. `allowed` are the methods that its path knows. */
bool cors_handle_preflight(struct exchange *exchange, unsigned allowed);
