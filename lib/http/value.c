/* SPDX-License-Identifier: Apache-2.0
 *
 * What the text of a path segment and of a Content-Type means.
 */
#include "lib/http/request.h"
#include "lib/http/scan.h"

ptrdiff_t http_percent_decode(struct slice segment, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < segment.n; i++) {
        char c = segment.p[i];
        if (c == '%') {
            if (segment.n - i < 3) return -1;
            const int high = hex_value(segment.p[i + 1]), low = hex_value(segment.p[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0)) return -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    return (ptrdiff_t)n;
}

static bool equals_folded(struct slice text, struct slice lower) {
    if (text.n != lower.n) return false;
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.p[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 0x20) : c) != lower.p[i]) return false;
    }
    return true;
}

static void skip_blanks(struct slice *text) {
    while (text->n > 0 && (*text->p == ' ' || *text->p == '\t'))
        *text = slice_of(text->p + 1, text->n - 1);
}

/* Takes a token off the front of `text`; empty when there is none. */
static struct slice take_token(struct slice *text) {
    const size_t n = scan_token(text->p, text->n);
    const struct slice token = slice_of(text->p, n);
    *text = slice_of(text->p + n, text->n - n);
    return token;
}

/* Takes a quoted string, without its quotes (escapes stay); false when it does not end. */
static bool take_quoted(struct slice *text, struct slice *value) {
    for (size_t i = 1; i < text->n; i++) {
        if (text->p[i] == '\\') {
            i++;
        } else if (text->p[i] == '"') {
            *value = slice_of(text->p + 1, i - 1);
            *text = slice_of(text->p + i + 1, text->n - i - 1);
            return true;
        }
    }
    return false;
}

/* Takes one "name=value"; false when it is malformed or names a charset other than UTF-8. */
static bool take_parameter(struct slice *text) {
    const struct slice name = take_token(text);
    struct slice value;
    if (name.n == 0 || text->n == 0 || *text->p != '=') return false;
    *text = slice_of(text->p + 1, text->n - 1);
    if (text->n > 0 && *text->p == '"') {
        if (!take_quoted(text, &value)) return false;
    } else {
        value = take_token(text);
        if (value.n == 0) return false;
    }
    return !equals_folded(name, SLICE("charset")) || equals_folded(value, SLICE("utf-8"));
}

bool http_is_json(struct slice content_type) {
    if (slice_eq(content_type, SLICE("application/json"))) return true; /* as almost all send it */
    const struct slice json = SLICE("application/json");
    if (content_type.n < json.n || !equals_folded(slice_of(content_type.p, json.n), json))
        return false;
    struct slice rest = slice_of(content_type.p + json.n, content_type.n - json.n);
    for (;;) {
        skip_blanks(&rest);
        if (rest.n == 0) return true;
        if (*rest.p != ';') return false;
        rest = slice_of(rest.p + 1, rest.n - 1);
        skip_blanks(&rest);
        /* An empty parameter, as in "application/json;", is allowed (RFC 9110 section 5.6.6). */
        if (rest.n > 0 && *rest.p != ';' && !take_parameter(&rest)) return false;
    }
}
