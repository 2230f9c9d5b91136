/* SPDX-License-Identifier: Apache-2.0 */
#include "api/issue_body.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/base.h"

enum { FAST_KEYS_MAX = 6, FAST_NUMBER_BYTES_MAX = 15 };

/* ---- what both readers say of the two fields ---- */

static enum issue_body_status refuse_field(struct issue_body *body, const char *field,
                                           const char *detail) {
    body->field = field;
    body->detail = detail;
    return ISSUE_BODY_FIELD;
}

static enum issue_body_status check_rules(struct issue_body *body) {
    if (!user_id_is_valid(body->user_id))
        return refuse_field(body, "user_id",
                            "user_id must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ : @ + - and "
                            "begin with a letter, a digit or _.");
    if (!event_id_is_valid(body->event_id))
        return refuse_field(body, "event_id",
                            "event_id must be 1 to 64 characters of A-Z a-z 0-9 _ -.");
    return ISSUE_BODY_OK;
}

static const char user_id_missing[] = "user_id is missing.";
static const char event_id_missing[] = "event_id is missing.";
static const char user_id_no_string[] = "user_id must be a string.";
static const char event_id_no_string[] = "event_id must be a string.";

/* ---- the fast reader ---- */

struct scan {
    const char *at, *end;
};

static void skip_space(struct scan *scan) {
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool take(struct scan *scan, char c) {
    if (scan->at == scan->end || *scan->at != c) return false;
    scan->at++;
    return true;
}

/* Printable ASCII that means itself in a string: neither quote nor backslash. */
static const bool is_plain[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7f] = true};

/* A string of plain characters, behind its opening quote. */
static bool take_plain_string(struct scan *scan, struct slice *string) {
    const char *start = scan->at, *at = start;
    while (at < scan->end && is_plain[(unsigned char)*at]) at++;
    scan->at = at;
    *string = slice_of(start, (size_t)(at - start));
    return take(scan, '"');
}

/* A whole number short enough to be one for everybody, true, false or null. */
static bool take_plain_scalar(struct scan *scan) {
    static const struct slice words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    size_t left = (size_t)(scan->end - scan->at);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (left >= words[i].n && memcmp(scan->at, words[i].p, words[i].n) == 0) {
            scan->at += words[i].n;
            return true;
        }
    }
    const char *start = scan->at;
    take(scan, '-');
    const char *digits = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') scan->at++;
    size_t count = (size_t)(scan->at - digits);
    bool has_leading_zero = count > 1 && *digits == '0';
    if (count == 0 || has_leading_zero || scan->at - start > FAST_NUMBER_BYTES_MAX) return false;
    return scan->at == scan->end || memchr(".eE", *scan->at, 3) == NULL;
}

/* What was found: the two fields that matter, and which other keys, so that a repeated one is seen. */
struct field {
    bool is_there, is_string;
    struct slice value;
};
struct found {
    struct field user, event;
    struct slice others[FAST_KEYS_MAX];
    size_t count;
};

static bool is_new_key(struct found *found, struct slice key) {
    if (found->count == FAST_KEYS_MAX) return false;
    for (size_t i = 0; i < found->count; i++)
        if (slice_eq(found->others[i], key)) return false;
    found->others[found->count++] = key;
    return true;
}

/* True, and past it, when the next bytes are `text`. */
static bool take_text(struct scan *scan, const char *text, size_t n) {
    if ((size_t)(scan->end - scan->at) < n || memcmp(scan->at, text, n) != 0) return false;
    scan->at += n;
    return true;
}
#define TAKE_LITERAL(scan, literal) take_text(scan, "" literal, sizeof(literal) - 1)

/* A key with both quotes. Where its value goes is in *field, NULL for one that does not matter.
 * False for a key that was there before: the other reader says what is wrong. */
static bool take_key(struct scan *scan, struct found *found, struct field **field) {
    struct slice key;
    if (TAKE_LITERAL(scan, "\"user_id\"")) {
        *field = &found->user;
    } else if (TAKE_LITERAL(scan, "\"event_id\"")) {
        *field = &found->event;
    } else {
        *field = NULL;
        return take(scan, '"') && take_plain_string(scan, &key) && is_new_key(found, key);
    }
    return !(*field)->is_there;
}

static bool take_member(struct scan *scan, struct found *found) {
    struct field *field;
    struct slice value = {0};
    if (!take_key(scan, found, &field)) return false;
    skip_space(scan);
    if (!take(scan, ':')) return false;
    skip_space(scan);
    bool is_string = take(scan, '"');
    if (is_string ? !take_plain_string(scan, &value) : !take_plain_scalar(scan)) return false;
    if (field != NULL) *field = (struct field){true, is_string, value};
    return true;
}

static bool take_object(struct scan *scan, struct found *found) {
    skip_space(scan);
    if (!take(scan, '{')) return false;
    do {
        skip_space(scan);
        if (!take_member(scan, found)) return false;
        skip_space(scan);
    } while (take(scan, ','));
    if (!take(scan, '}')) return false;
    skip_space(scan);
    return scan->at == scan->end;
}

bool issue_body_parse_fast(struct slice text, struct issue_body *body,
                           enum issue_body_status *status) {
    struct scan scan = {text.p, text.p + text.n};
    struct found found;
    found.count = 0;
    found.user.is_there = found.event.is_there = false;
    if (text.n == 0 || !take_object(&scan, &found)) return false;
    if (!found.user.is_there)
        *status = refuse_field(body, "user_id", user_id_missing);
    else if (!found.user.is_string)
        *status = refuse_field(body, "user_id", user_id_no_string);
    else if (!found.event.is_there)
        *status = refuse_field(body, "event_id", event_id_missing);
    else if (!found.event.is_string)
        *status = refuse_field(body, "event_id", event_id_no_string);
    else {
        body->user_id = found.user.value;
        body->event_id = found.event.value;
        *status = check_rules(body);
    }
    return true;
}

/* ---- the reader of everything ---- */

static enum issue_body_status take_field(struct issue_body *body, const json_t *object,
                                         const char *field, const char *missing,
                                         const char *no_string, char *to, size_t to_bytes,
                                         struct slice *value) {
    const json_t *found = json_object_get(object, field);
    if (found == NULL) return refuse_field(body, field, missing);
    if (!json_is_string(found)) return refuse_field(body, field, no_string);
    size_t n = json_string_length(found);
    /* One too long is outside its rule whatever it holds: its first bytes plus one that no rule
     * allows say so. */
    size_t kept = size_min(n, to_bytes);
    memcpy(to, json_string_value(found), kept);
    *value = slice_of(to, n > to_bytes ? 0 : kept);
    return ISSUE_BODY_OK;
}

enum issue_body_status issue_body_parse_any(struct slice text, struct issue_body *body) {
    json_error_t error;
    json_t *object =
        json_loadb(text.p, text.n,
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL |
                       JSON_DECODE_INT_AS_REAL,
                   &error);
    if (object == NULL) {
        snprintf(body->text, sizeof body->text, "The body is not good JSON: %s (line %d, column %d).",
                 error.text, error.line, error.column);
        /* jansson quotes what it met, which may be no UTF-8. */
        for (char *c = body->text; *c != '\0'; c++)
            if ((unsigned char)*c >= 0x7f || *c < ' ') *c = '?';
        body->detail = body->text;
        return ISSUE_BODY_NOT_JSON;
    }
    enum issue_body_status status;
    if (!json_is_object(object))
        status = refuse_field(body, "user_id", "The body must be a JSON object with user_id and "
                              "event_id.");
    else
        status = take_field(body, object, "user_id", user_id_missing, user_id_no_string,
                            body->decoded, USER_ID_BYTES_MAX, &body->user_id);
    if (status == ISSUE_BODY_OK)
        status = take_field(body, object, "event_id", event_id_missing, event_id_no_string,
                            body->decoded + USER_ID_BYTES_MAX, EVENT_ID_BYTES_MAX, &body->event_id);
    json_decref(object);
    return status == ISSUE_BODY_OK ? check_rules(body) : status;
}

enum issue_body_status issue_body_parse(struct slice text, struct issue_body *body) {
    enum issue_body_status status;
    if (issue_body_parse_fast(text, body, &status)) return status;
    return issue_body_parse_any(text, body);
}
