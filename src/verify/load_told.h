/* SPDX-License-Identifier: Apache-2.0
 *
 * What the body of an answer tells a user: its JSON, read strictly, every field checked for its
 * shape, and `success` held against `result`. Whether it is also true is the oracle's matter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/slice.h"

enum told {
    TOLD_ISSUED,
    TOLD_ALREADY_ISSUED,
    TOLD_SOLD_OUT_FINAL,
    TOLD_SOLD_OUT, /* all are reserved, not all confirmed */
    TOLD_NOT_STARTED,
    TOLD_ENDED,
    TOLD_PAUSED,
    TOLD_RETURNED, /* held one and gave it back */
    TOLD_NOTHING,  /* of a query: holds nothing */
    TOLD_PENDING,  /* 202: not decided yet */
    TOLD_BUSY,     /* 429 or 503: not decided now */
    TOLD_REFUSED,  /* a malformed request, refused as it should be */
    TOLD_WRONG,    /* an answer that breaks the contract */
    TOLD_COUNT,
};

/* "issued", "already_issued", "sold_out_final", … */
const char *told_name(enum told told);

enum { TOLD_ID_BYTES_MAX = 64, TOLD_COUPON_ID_BYTES_MAX = 96 };

/* Texts are copied, so that they outlive the JSON; "" when absent. */
struct told_body {
    enum told told;
    char user_id[TOLD_ID_BYTES_MAX + 1];
    char event_id[TOLD_ID_BYTES_MAX + 1];
    char coupon_id[TOLD_COUPON_ID_BYTES_MAX + 1];
    int64_t serial;    /* 0 without a coupon */
    int64_t remaining; /* -1 when absent */
    int64_t issued_ms; /* 0 without a coupon */
};

enum told_problem { TOLD_GOOD, TOLD_BAD_BODY, TOLD_BAD_FIELD, TOLD_DISAGREES };

/* Reads the body of a 200 or 202 to a claim. On anything but GOOD `*text` says what is wrong. */
enum told_problem told_read_claim(struct slice body, int status, struct told_body *out,
                                  const char **text);
/* The same for a 200 or 202 to "did I get it?": null, {"coupon":null}, {"coupon":{…}} or the coupon
 * itself; ISSUED, NOTHING or PENDING. */
enum told_problem told_read_query(struct slice body, int status, struct told_body *out,
                                  const char **text);
/* True when `body` is a problem document (RFC 9457) with a `code`. */
bool told_is_problem(struct slice body);
