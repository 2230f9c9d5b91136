/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_told.h"

#include <jansson.h>
#include <string.h>

#include "lib/base.h"
#include "lib/rfc3339.h"

const char *told_name(enum told told) {
    static const char *const names[] = {
        "issued", "already_issued", "sold_out_final", "sold_out", "not_started",
        "ended",  "paused",         "returned",       "nothing",  "pending",
        "busy",   "refused",        "wrong",
    };
    static_assert(ARRAY_LEN(names) == TOLD_COUNT, "a name for each");
    return names[told];
}

/* Keeps the text of `object[key]` in `out`; false when it is there and not a text that fits. */
static bool keep_text(const json_t *object, const char *key, char *out, size_t bytes_max) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value)) return true;
    size_t n = json_string_length(value);
    if (!json_is_string(value) || n == 0 || n > bytes_max) return false;
    memcpy(out, json_string_value(value), n);
    out[n] = '\0';
    return strlen(out) == n;
}

static bool is_visible(const char *text) {
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~') return false;
    return true;
}

static enum told_problem wrong_field(const char **text, const char *what) {
    *text = what;
    return TOLD_BAD_FIELD;
}

/* The fields of a coupon, all of which must be there. */
static enum told_problem read_coupon(const json_t *object, struct told_body *out,
                                     const char **text) {
    if (out->user_id[0] == '\0') return wrong_field(text, "user_id is missing");
    if (out->event_id[0] == '\0') return wrong_field(text, "event_id is missing");
    if (!keep_text(object, "coupon_id", out->coupon_id, TOLD_COUPON_ID_BYTES_MAX) ||
        out->coupon_id[0] == '\0' || !is_visible(out->coupon_id))
        return wrong_field(text, "coupon_id is missing or malformed");
    const json_t *serial = json_object_get(object, "serial");
    if (!json_is_integer(serial)) return wrong_field(text, "serial is missing or not an integer");
    out->serial = json_integer_value(serial);
    const json_t *issued_at = json_object_get(object, "issued_at");
    if (!json_is_string(issued_at) ||
        !rfc3339_parse(slice_of(json_string_value(issued_at), json_string_length(issued_at)),
                       &out->issued_ms))
        return wrong_field(text, "issued_at is missing or not a time of RFC 3339");
    return TOLD_GOOD;
}

/* What may be in any body: ids and remaining_stock. */
static enum told_problem read_common(const json_t *object, struct told_body *out,
                                     const char **text) {
    if (!keep_text(object, "user_id", out->user_id, TOLD_ID_BYTES_MAX))
        return wrong_field(text, "user_id is malformed");
    if (!keep_text(object, "event_id", out->event_id, TOLD_ID_BYTES_MAX))
        return wrong_field(text, "event_id is malformed");
    const json_t *remaining = json_object_get(object, "remaining_stock");
    if (remaining == NULL || json_is_null(remaining)) return TOLD_GOOD;
    if (!json_is_integer(remaining) || json_integer_value(remaining) < 0)
        return wrong_field(text, "remaining_stock is not a whole number from 0 on");
    out->remaining = json_integer_value(remaining);
    return TOLD_GOOD;
}

/* What a word of `result` means, and which `success` and status go with it. */
static const struct result_word {
    const char *word;
    enum told told;
    int status;
    int success; /* 1, 0, -1: null */
} result_words[] = {
    {"issued", TOLD_ISSUED, 200, 1},     {"already_issued", TOLD_ALREADY_ISSUED, 200, 1},
    {"sold_out", TOLD_SOLD_OUT, 200, 0}, {"not_started", TOLD_NOT_STARTED, 200, 0},
    {"ended", TOLD_ENDED, 200, 0},       {"paused", TOLD_PAUSED, 200, 0},
    {"returned", TOLD_RETURNED, 200, 0}, {"pending", TOLD_PENDING, 202, -1},
};

static const struct result_word *find_word(const json_t *result) {
    if (!json_is_string(result)) return NULL;
    for (size_t i = 0; i < ARRAY_LEN(result_words); i++)
        if (strcmp(json_string_value(result), result_words[i].word) == 0) return &result_words[i];
    return NULL;
}

static enum told_problem disagree(const char **text, const char *what) {
    *text = what;
    return TOLD_DISAGREES;
}

static enum told_problem check_success(const json_t *object, const struct result_word *word,
                                       int status, const char **text) {
    const json_t *success = json_object_get(object, "success");
    if (!json_is_boolean(success) && !json_is_null(success))
        return wrong_field(text, "success is missing or neither true, false nor null");
    int said = json_is_null(success) ? -1 : json_is_true(success) ? 1 : 0;
    if (said != word->success) return disagree(text, "success and result disagree");
    if (status != word->status) return disagree(text, "status and result disagree");
    return TOLD_GOOD;
}

static enum told_problem read_sold_out(const json_t *object, struct told_body *out,
                                       const char **text) {
    const json_t *final = json_object_get(object, "final");
    const json_t *coupon_id = json_object_get(object, "coupon_id");
    if (!json_is_boolean(final)) return wrong_field(text, "final is missing or not a truth value");
    if (coupon_id != NULL && !json_is_null(coupon_id))
        return disagree(text, "sold out, and yet a coupon_id");
    if (out->remaining > 0) return disagree(text, "sold out, and yet remaining_stock is not 0");
    if (json_is_true(final)) out->told = TOLD_SOLD_OUT_FINAL;
    return TOLD_GOOD;
}

static enum told_problem read_claim(const json_t *object, int status, struct told_body *out,
                                    const char **text) {
    const struct result_word *word = find_word(json_object_get(object, "result"));
    if (word == NULL) return wrong_field(text, "result is missing or none of the agreed words");
    out->told = word->told;
    enum told_problem problem = check_success(object, word, status, text);
    if (problem == TOLD_GOOD) problem = read_common(object, out, text);
    if (problem != TOLD_GOOD) return problem;
    switch (word->told) {
    case TOLD_ISSUED:
    case TOLD_ALREADY_ISSUED:
        return read_coupon(object, out, text);
    case TOLD_SOLD_OUT:
        return read_sold_out(object, out, text);
    default:
        return TOLD_GOOD;
    }
}

static json_t *load(struct slice body, const char **text) {
    json_error_t error;
    json_t *root = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) *text = "the body is not JSON";
    return root;
}

static void begin(struct told_body *out) {
    *out = (struct told_body){.told = TOLD_WRONG, .remaining = -1};
}

enum told_problem told_read_claim(struct slice body, int status, struct told_body *out,
                                  const char **text) {
    begin(out);
    json_t *root = load(body, text);
    if (root == NULL) return TOLD_BAD_BODY;
    enum told_problem problem = TOLD_BAD_BODY;
    if (json_is_object(root))
        problem = read_claim(root, status, out, text);
    else
        *text = "the body is not a JSON object";
    json_decref(root);
    return problem;
}

/* The object that holds the coupon, or NULL for none. */
static const json_t *coupon_of(const json_t *root) {
    if (json_is_null(root)) return NULL;
    const json_t *inner = json_object_get(root, "coupon");
    if (json_is_object(inner)) return inner;
    if (json_is_null(inner)) return NULL;
    return json_is_string(json_object_get(root, "coupon_id")) ? root : NULL;
}

static enum told_problem read_query(const json_t *root, int status, struct told_body *out,
                                    const char **text) {
    if (status == 202) {
        out->told = TOLD_PENDING;
        return TOLD_GOOD;
    }
    if (!json_is_object(root) && !json_is_null(root)) {
        *text = "the body is neither null nor a JSON object";
        return TOLD_BAD_BODY;
    }
    const json_t *coupon = coupon_of(root);
    out->told = coupon == NULL ? TOLD_NOTHING : TOLD_ISSUED;
    if (coupon == NULL) return TOLD_GOOD;
    enum told_problem problem = read_common(root, out, text);
    if (problem == TOLD_GOOD && coupon != root) problem = read_common(coupon, out, text);
    return problem == TOLD_GOOD ? read_coupon(coupon, out, text) : problem;
}

enum told_problem told_read_query(struct slice body, int status, struct told_body *out,
                                  const char **text) {
    begin(out);
    json_t *root = load(body, text);
    if (root == NULL) return TOLD_BAD_BODY;
    enum told_problem problem = read_query(root, status, out, text);
    json_decref(root);
    return problem;
}

bool told_is_problem(struct slice body) {
    const char *text;
    json_t *root = load(body, &text);
    bool is_problem = json_is_object(root) && json_is_string(json_object_get(root, "code")) &&
                      json_is_integer(json_object_get(root, "status"));
    json_decref(root);
    return is_problem;
}
