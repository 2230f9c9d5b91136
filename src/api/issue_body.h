/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a claim, {"user_id":"…","event_id":"…"}. In its usual shape (a flat object of plain
 * strings, short numbers, true, false, null) it is read in place without memory of its own; any
 * other goes to jansson. Both say the same of the same text, as a differential test shows.
 */
#pragma once

#include <stdbool.h>

#include "lib/slice.h"
#include "log/record.h"

enum issue_body_status {
    ISSUE_BODY_OK,
    ISSUE_BODY_NOT_JSON, /* 400: no JSON, no UTF-8, or a key twice */
    ISSUE_BODY_FIELD,    /* 422: `field` is missing, of the wrong type or outside its rule */
};

struct issue_body {
    struct slice user_id, event_id; /* into the text, or into `decoded` */
    const char *field;              /* of ISSUE_BODY_FIELD */
    const char *detail;             /* a sentence, of both refusals; lives as long as this struct */
    char decoded[USER_ID_BYTES_MAX + EVENT_ID_BYTES_MAX];
    char text[256];
};

enum issue_body_status issue_body_parse(struct slice text, struct issue_body *body);

/* The two readers, for the differential test. The fast one returns false for what it leaves to the
 * other. */
bool issue_body_parse_fast(struct slice text, struct issue_body *body,
                           enum issue_body_status *status);
enum issue_body_status issue_body_parse_any(struct slice text, struct issue_body *body);
