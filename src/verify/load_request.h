/* SPDX-License-Identifier: Apache-2.0
 *
 * The requests of a load run as prepared bytes. All users of a run are PREFIX followed by a number
 * of fixed width, so that a request is made by copying a template and writing the number into it:
 *
 *     POST /api/v1/coupons/issue HTTP/1.1 CRLF ... {"user_id":"r9f3c-0000017","event_id":"E"}
 *                                                                    ^ number_at
 * Where the server asks for tokens, the one of the user is signed into its place, token_at.
 *
 * Made once, then read by all workers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "verify/load_signer.h"

enum {
    REQUEST_BYTES_MAX = 768 + SIGNER_TOKEN_BYTES_MAX,
    REQUEST_BAD_KINDS = 8,
    REQUEST_USER_ID_BYTES_MAX = 64, /* DESIGN section 4 */
};

enum request_kind {
    REQUEST_CLAIM,
    REQUEST_QUERY, /* "did I get it?", after a 202 */
    REQUEST_BAD,   /* this and the REQUEST_BAD_KINDS - 1 that follow: must be refused */
};
enum { REQUEST_KINDS = REQUEST_BAD + REQUEST_BAD_KINDS };

struct request_template {
    char bytes[REQUEST_BYTES_MAX];
    uint16_t n;
    uint16_t number_at;       /* where the digits of the user go; 0 for none */
    uint16_t token_at;        /* where the token of the user goes; 0 for none */
    uint16_t expected_status; /* of a bad one; 0 otherwise */
    const char *what;         /* of a bad one, for evidence: "a body that is not JSON" */
};

struct request_kit {
    char prefix[REQUEST_USER_ID_BYTES_MAX + 1];
    char event[REQUEST_USER_ID_BYTES_MAX + 1];
    uint8_t prefix_bytes, event_bytes, digits;
    const struct load_signer *signer; /* NULL: no tokens */
    struct request_template templates[REQUEST_KINDS];
};

/* Prepares the requests for users 0..users-1 of `event` at `host` (as the Host field says it).
 * `signer` is borrowed, NULL for requests without tokens. -EINVAL, with a sentence in err, when
 * prefix, event or host cannot be used. */
int request_kit_init(struct request_kit *kit, const char *host, const char *event,
                     const char *prefix, uint32_t users, const struct load_signer *signer,
                     struct err *err) MUST_CHECK;

/* Writes one request at `out` (room for REQUEST_BYTES_MAX) and returns its length. */
size_t request_write(const struct request_kit *kit, unsigned kind, uint32_t user, char *out);

/* The id of a user at `out`, NUL-terminated. */
struct slice request_user_id(const struct request_kit *kit, uint32_t user,
                             char out[REQUEST_USER_ID_BYTES_MAX + 1]);
/* The number of a user by its id; false when it is none of this run's ids. */
bool request_user_number(const struct request_kit *kit, struct slice user_id, uint32_t *user);
