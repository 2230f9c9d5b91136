/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the body of a claim, by both of its readers. What the fast one answers, the one that
 * knows all of JSON must answer too: the same status, field and sentence, and the same ids.
 */
#include "fuzz/fuzz.h"

#include "api/issue_body.h"

static bool is_printable(const char *text) {
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~') return false;
    return true;
}

static void check_refusal(enum issue_body_status status, const struct issue_body *body) {
    ASSERT(body->detail != NULL && body->detail[0] != '\0' && is_printable(body->detail));
    if (status == ISSUE_BODY_NOT_JSON) return;
    ASSERT(status == ISSUE_BODY_FIELD);
    ASSERT(strcmp(body->field, "user_id") == 0 || strcmp(body->field, "event_id") == 0);
}

static void check_one(enum issue_body_status status, const struct issue_body *body) {
    if (status != ISSUE_BODY_OK) {
        check_refusal(status, body);
        return;
    }
    ASSERT(user_id_is_valid(body->user_id));
    ASSERT(event_id_is_valid(body->event_id));
}

static void check_same(enum issue_body_status status, const struct issue_body *a,
                       const struct issue_body *b) {
    if (status == ISSUE_BODY_OK) {
        ASSERT(slice_eq(a->user_id, b->user_id));
        ASSERT(slice_eq(a->event_id, b->event_id));
        return;
    }
    ASSERT(strcmp(a->detail, b->detail) == 0);
    if (status == ISSUE_BODY_FIELD) ASSERT(strcmp(a->field, b->field) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct issue_body fast, any;
    enum issue_body_status fast_status;
    char *copy = fuzz_copy(data, size);
    const struct slice text = slice_of(copy, size);
    const enum issue_body_status any_status = issue_body_parse_any(text, &any);
    check_one(any_status, &any);
    if (issue_body_parse_fast(text, &fast, &fast_status)) {
        ASSERT(fast_status == any_status);
        check_one(fast_status, &fast);
        check_same(any_status, &fast, &any);
    }
    ASSERT(memcmp(copy, data, size) == 0);
    free(copy);
    return 0;
}
