/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_answer.h"

#include <string.h>
#include <strings.h>

static bool is_token_char(char c) {
    if (c >= '0' && c <= '9') return true;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_named(struct slice name, const char *text) {
    return name.n == strlen(text) && strncasecmp(name.p, text, name.n) == 0;
}

/* Digits and nothing else; -1 for anything else or for more than 12 of them. */
static int64_t decimal(struct slice text) {
    if (text.n == 0 || text.n > 12) return -1;
    int64_t number = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return -1;
        number = number * 10 + (text.p[i] - '0');
    }
    return number;
}

static struct slice trimmed(struct slice text) {
    while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t')) text.p++, text.n--;
    while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t')) text.n--;
    return text;
}

/* "HTTP/1.1 200 OK" */
static bool status_line(struct slice line, int *status) {
    if (line.n < 13 || memcmp(line.p, "HTTP/1.1 ", 9) != 0 || line.p[12] != ' ') return false;
    int64_t number = decimal(slice_of(line.p + 9, 3));
    if (number < 100 || number > 599) return false;
    *status = (int)number;
    return true;
}

/* Media type without its parameters. */
static bool is_media(struct slice value, const char *media) {
    const char *semicolon = memchr(value.p, ';', value.n);
    if (semicolon != NULL) value.n = (size_t)(semicolon - value.p);
    return is_named(trimmed(value), media);
}

/* True when the list of Connection options has "close". */
static bool lists_close(struct slice value) {
    while (value.n > 0) {
        const char *comma = memchr(value.p, ',', value.n);
        size_t n = comma == NULL ? value.n : (size_t)(comma - value.p);
        if (is_named(trimmed(slice_of(value.p, n)), "close")) return true;
        size_t skip = size_min(value.n, n + 1);
        value = slice_of(value.p + skip, value.n - skip);
    }
    return false;
}

static const char *header(struct slice name, struct slice value, struct answer *answer,
                          int64_t *content_bytes) {
    if (is_named(name, "content-length")) {
        if (*content_bytes >= 0) return "a second Content-Length";
        *content_bytes = decimal(value);
        if (*content_bytes < 0) return "Content-Length is not a number";
        if (*content_bytes > ANSWER_BODY_BYTES_MAX) return "Content-Length is larger than 64 KiB";
    } else if (is_named(name, "transfer-encoding")) {
        return "Transfer-Encoding where Content-Length is agreed";
    } else if (is_named(name, "connection")) {
        answer->closes = answer->closes || lists_close(value);
    } else if (is_named(name, "content-type")) {
        answer->is_json = is_media(value, "application/json");
        answer->is_problem = is_media(value, "application/problem+json");
    } else if (is_named(name, "retry-after")) {
        answer->retry_after_s = decimal(value);
        if (answer->retry_after_s < 0) return "Retry-After is not a number of seconds";
    } else if (is_named(name, "allow")) {
        answer->has_allow = true;
    } else if (is_named(name, "idempotent-replayed")) {
        answer->is_replayed = is_named(value, "true");
    }
    return NULL;
}

static const char *header_line(struct slice line, struct answer *answer, int64_t *content_bytes) {
    size_t n = 0;
    while (n < line.n && is_token_char(line.p[n])) n++;
    if (n == 0 || n == line.n || line.p[n] != ':') return "a header line without name and colon";
    struct slice value = trimmed(slice_of(line.p + n + 1, line.n - n - 1));
    return header(slice_of(line.p, n), value, answer, content_bytes);
}

/* The next line of the head, without its CRLF. DONE, MORE, or BAD with the reason. */
static enum answer_parse next_line(struct slice bytes, size_t *at, struct slice *line,
                                   const char **problem) {
    size_t room = size_min(bytes.n, ANSWER_HEAD_BYTES_MAX);
    for (size_t i = *at; i < room; i++) {
        char c = bytes.p[i];
        if (c == '\r') {
            if (i + 1 == bytes.n) return ANSWER_MORE;
            if (bytes.p[i + 1] != '\n') return *problem = "a bare CR in the head", ANSWER_BAD;
            *line = slice_of(bytes.p + *at, i - *at);
            *at = i + 2;
            return ANSWER_DONE;
        }
        if (c == '\n') return *problem = "a bare LF in the head", ANSWER_BAD;
        if (c == '\0') return *problem = "NUL in the head", ANSWER_BAD;
    }
    if (bytes.n >= ANSWER_HEAD_BYTES_MAX) return *problem = "a head over 16 KiB", ANSWER_BAD;
    return ANSWER_MORE;
}

enum answer_parse answer_parse(struct slice bytes, struct answer *answer, const char **problem) {
    *answer = (struct answer){.retry_after_s = -1};
    /* What cannot become a status line is refused before its end has come. */
    static const char begin[] = "HTTP/1.1 ";
    if (bytes.n == 0) return ANSWER_MORE;
    if (memcmp(bytes.p, begin, size_min(bytes.n, sizeof begin - 1)) != 0)
        return *problem = "not a status line of HTTP/1.1", ANSWER_BAD;
    size_t at = 0;
    struct slice line;
    enum answer_parse got = next_line(bytes, &at, &line, problem);
    if (got != ANSWER_DONE) return got;
    if (!status_line(line, &answer->status)) return *problem = "a bad status line", ANSWER_BAD;

    int64_t content_bytes = -1;
    for (;;) {
        got = next_line(bytes, &at, &line, problem);
        if (got != ANSWER_DONE) return got;
        if (line.n == 0) break;
        *problem = header_line(line, answer, &content_bytes);
        if (*problem != NULL) return ANSWER_BAD;
    }
    if (content_bytes < 0) return *problem = "no Content-Length", ANSWER_BAD;
    if (bytes.n - at < (size_t)content_bytes) return ANSWER_MORE;
    answer->body = slice_of(bytes.p + at, (size_t)content_bytes);
    answer->bytes = at + (size_t)content_bytes;
    return ANSWER_DONE;
}
