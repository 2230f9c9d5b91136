/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request. Each line is searched once for its end and then read; the first control
 * byte ends the search, so that a bare CR, a bare LF and a NUL are found on the way.
 *
 *     [CRLF [CRLF]] method SP target SP version CRLF  *( name ":" value CRLF )  CRLF
 *     ^ bytes       ^ line                            ^ fields                  ^ empty line
 *
 * What comes out for a run of bytes depends only on the bytes up to the one that decides: a line is
 * judged when its CR LF has come, a control byte and a limit at once. So it does not matter in
 * which pieces a head arrives.
 */
#include "lib/http/request.h"

#include "lib/http/field.h"
#include "lib/http/line.h"
#include "lib/http/refusal.h"
#include "lib/http/scan.h"

/* RFC 9112 section 2.2 asks to ignore one at least. */
enum { EMPTY_LINES_MAX = 2 };

#define NOINLINE __attribute__((noinline))

static enum http_method method_of(struct slice text) {
    switch (text.n) {
    case 3:
        if (memcmp(text.p, "GET", 3) == 0) return HTTP_GET;
        return memcmp(text.p, "PUT", 3) == 0 ? HTTP_PUT : HTTP_OTHER;
    case 4:
        if (memcmp(text.p, "POST", 4) == 0) return HTTP_POST;
        return memcmp(text.p, "HEAD", 4) == 0 ? HTTP_HEAD : HTTP_OTHER;
    case 5:
        return memcmp(text.p, "PATCH", 5) == 0 ? HTTP_PATCH : HTTP_OTHER;
    case 6:
        return memcmp(text.p, "DELETE", 6) == 0 ? HTTP_DELETE : HTTP_OTHER;
    case 7:
        return memcmp(text.p, "OPTIONS", 7) == 0 ? HTTP_OPTIONS : HTTP_OTHER;
    default:
        return HTTP_OTHER;
    }
}

/* Path and query of [text, end), where a path begins (perhaps an empty one). A CR LF or a space
 * follows, so the search needs no end of its own. */
static const struct http_refusal *split_path(struct http_request *request, const char *text,
                                             const char *end, const char *bytes_end) {
    const char *p = scan_path(text, bytes_end);
    request->path = slice_of(text, (size_t)(p - text));
    if (LIKELY(p == end)) return NULL;
    if (*p != '?') return HTTP_REFUSE(BAD_TARGET);
    const char *query = p + 1;
    do p = scan_path(p + 1, bytes_end);
    while (*p == '?');
    request->query = slice_of(query, (size_t)(p - query));
    return p == end ? NULL : HTTP_REFUSE(BAD_TARGET);
}

static size_t scheme_bytes(struct slice target) {
    if (target.n > 7 && folds_to(target.p, "http", 4) && memcmp(target.p + 4, "://", 3) == 0)
        return 7;
    if (target.n > 8 && folds_to(target.p, "https", 5) && memcmp(target.p + 5, "://", 3) == 0)
        return 8;
    return 0;
}

/* "http://host/path?query", as a proxy would be sent it; the host is checked and dropped. An empty
 * path means "/", or the server as a whole for OPTIONS (RFC 9112 section 3.2.4). */
static const struct http_refusal *read_absolute(struct http_request *request,
                                                const char *bytes_end) {
    const size_t scheme = scheme_bytes(request->target);
    if (scheme == 0) return HTTP_REFUSE(BAD_TARGET);
    const char *host = request->target.p + scheme, *p = host;
    const char *end = request->target.p + request->target.n;
    while (p < end && *p != '/' && *p != '?') p++;
    if (!http_is_host(slice_of(host, (size_t)(p - host)))) return HTTP_REFUSE(BAD_TARGET);
    const struct http_refusal *refusal = split_path(request, p, end, bytes_end);
    if (refusal == NULL && request->path.n == 0)
        request->path =
            request->method == HTTP_OPTIONS && request->query.n == 0 ? SLICE("*") : SLICE("/");
    return refusal;
}

static const struct http_refusal *read_target(struct http_request *request, const char *bytes_end) {
    const struct slice target = request->target;
    if (LIKELY(target.p[0] == '/'))
        return split_path(request, target.p, target.p + target.n, bytes_end);
    if (target.p[0] == '*' && target.n == 1 && request->method == HTTP_OPTIONS) {
        request->path = target;
        return NULL;
    }
    return read_absolute(request, bytes_end);
}

/* The last word of the line, 8 bytes. 1.2 to 1.9 do not exist, and mean 1.1 (RFC 9110 2.5). */
static const struct http_refusal *read_version(struct http_request *request, const char *text) {
    if (memcmp(text, "HTTP/", 5) != 0 || !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7]))
        return HTTP_REFUSE(BAD_VERSION);
    if (text[5] != '1') return HTTP_REFUSE(UNSUPPORTED_VERSION);
    request->minor_version = text[7] != '0';
    return NULL;
}

/* Why no version stands where it should: the words are wrong, or just the version is. */
static const struct http_refusal *refuse_words(const char *target, const char *end) {
    const char *space = target < end ? memchr(target, ' ', (size_t)(end - target)) : NULL;
    if (space == NULL || space == target || space + 1 == end ||
        memchr(space + 1, ' ', (size_t)(end - space - 1)) != NULL)
        return HTTP_REFUSE(BAD_REQUEST_LINE);
    return HTTP_REFUSE(BAD_VERSION);
}

static const struct http_refusal *read_request_line(struct http_request *request, struct slice line,
                                                    const char *bytes_end) {
    const char *end = line.p + line.n;
    const size_t method = scan_token(line.p, line.n);
    if (UNLIKELY(method == 0 || method == line.n || line.p[method] != ' '))
        return HTTP_REFUSE(BAD_METHOD);
    request->method_text = slice_of(line.p, method);
    request->method = method_of(request->method_text);
    /* The version has one length, so it is found from the end. */
    const char *target = line.p + method + 1, *version = end - 8;
    if (UNLIKELY(version - target < 2 || version[-1] != ' ')) return refuse_words(target, end);
    const struct http_refusal *refusal = read_version(request, version);
    if (UNLIKELY(refusal != NULL)) return refusal;
    request->target = slice_of(target, (size_t)(version - 1 - target));
    return read_target(request, bytes_end);
}

/* Empty lines, then the request line. */
static enum http_parse read_start_slowly(struct http_reader *reader,
                                         const struct http_limits *limits, struct slice *line,
                                         const struct http_refusal **refusal) {
    for (int empty = 0; empty <= EMPTY_LINES_MAX; empty++) {
        *refusal = HTTP_REFUSE(REQUEST_LINE_TOO_LONG);
        http_reader_begin(reader, limits->request_line_bytes);
        const enum http_line found = http_line_next(reader, false, line, refusal);
        if (found != LINE_WHOLE) return found == LINE_MORE ? HTTP_PARSE_MORE : HTTP_PARSE_BAD;
        if (line->n > 0) return HTTP_PARSE_DONE;
    }
    *refusal = HTTP_REFUSE(EMPTY_LINES);
    return HTTP_PARSE_BAD;
}

/* The short cut, for "POST /path HTTP/1.1" and "GET /path HTTP/1.1" without a query. False when the
 * line is another, and then nothing has changed. */
static bool read_usual_line(struct http_reader *reader, struct http_request *request) {
    const char *p = reader->p;
    if (reader->limit - p < 8) return false;
    const bool is_post = load_u32(p) == load_u32("POST");
    if (!is_post && load_u32(p) != load_u32("GET ")) return false;
    const size_t method_bytes = is_post ? 4 : 3;
    const char *path = p + method_bytes + 1;
    const char *end = scan_path(path, reader->limit);
    if (reader->limit - end < 11 || load_u64(end) != load_u64(" HTTP/1.") || end[8] != '1' ||
        !http_is_line_end(end + 9) || path[-1] != ' ' || path[0] != '/')
        return false;
    request->method = is_post ? HTTP_POST : HTTP_GET;
    request->method_text = slice_of(p, method_bytes);
    request->target = request->path = slice_of(path, (size_t)(end - path));
    request->minor_version = 1;
    reader->p = end + 11;
    return true;
}

static enum http_parse read_start(struct http_reader *reader, const struct http_limits *limits,
                                  struct http_request *request,
                                  const struct http_refusal **refusal) {
    struct slice line;
    http_reader_begin(reader, limits->request_line_bytes);
    if (LIKELY(read_usual_line(reader, request))) return HTTP_PARSE_DONE;
    const enum http_parse result = read_start_slowly(reader, limits, &line, refusal);
    if (result != HTTP_PARSE_DONE) return result;
    *refusal = read_request_line(request, line, reader->end);
    return *refusal == NULL ? HTTP_PARSE_DONE : HTTP_PARSE_BAD;
}

/* Reads one line behind `count` fields, whatever it may be. */
static NOINLINE enum http_parse read_line_slowly(struct http_reader *reader,
                                                 const struct http_limits *limits, size_t count,
                                                 struct http_fields *fields, bool *is_last,
                                                 const struct http_refusal **refusal) {
    bool is_too_large = (size_t)(reader->p - reader->section) > reader->bytes_max; /* told first */
    if (count == limits->headers_count && !is_too_large) {
        /* Only the empty line may follow: the first other byte passes the limit. */
        *refusal = HTTP_REFUSE(TOO_MANY_FIELDS);
        if (reader->p < reader->end && *reader->p != '\r') return HTTP_PARSE_BAD;
        reader->bytes_max = size_min(reader->bytes_max, (size_t)(reader->p - reader->section));
    }
    struct slice line, name, value;
    *refusal = HTTP_REFUSE(FIELDS_TOO_LARGE);
    const enum http_line found = http_line_next(reader, true, &line, refusal);
    if (found != LINE_WHOLE) return found == LINE_MORE ? HTTP_PARSE_MORE : HTTP_PARSE_BAD;
    *is_last = line.n == 0;
    if (*is_last) return HTTP_PARSE_DONE;
    *refusal = http_field_split(line, &name, &value);
    if (*refusal == NULL) *refusal = http_field_take(fields, name, value);
    return *refusal == NULL ? HTTP_PARSE_DONE : HTTP_PARSE_BAD;
}

/* The fields and the empty line. The usual line is taken in one pass; whatever is not plain is left
 * to read_line_slowly. */
static enum http_parse read_fields(struct http_reader *reader, const struct http_limits *limits,
                                   struct http_fields *fields,
                                   const struct http_refusal **refusal) {
    bool is_last = false;
    http_reader_begin(reader, limits->headers_bytes);
    for (size_t count = 0; !is_last; count++) {
        const char *start = reader->p, *colon;
        const char *line_end = scan_line(start, reader->limit, &colon);
        const bool is_whole = LIKELY(line_end < reader->limit && http_is_line_end(line_end));
        if (LIKELY(is_whole && colon != NULL && colon < line_end &&
                   count < limits->headers_count)) {
            reader->p = line_end + 2;
            const struct http_refusal *bad = http_field_take(
                fields, slice_of(start, (size_t)(colon - start)), trim(colon + 1, line_end));
            if (LIKELY(bad == NULL)) continue;
            *refusal = bad;
            return HTTP_PARSE_BAD;
        }
        is_last = is_whole && line_end == start;
        if (is_last) {
            reader->p = line_end + 2;
        } else {
            const enum http_parse result =
                read_line_slowly(reader, limits, count, fields, &is_last, refusal);
            if (result != HTTP_PARSE_DONE) return result;
        }
    }
    *refusal = http_fields_finish(fields);
    return *refusal == NULL ? HTTP_PARSE_DONE : HTTP_PARSE_BAD;
}

/* True when the bytes that are new since the last call cannot have changed its answer. */
static bool is_still_unfinished(struct slice bytes, const struct http_progress *progress) {
    ASSERT(bytes.n >= progress->scanned);
    if (bytes.n > progress->limit_bytes) return false;
    /* From one byte before: a CR at the end waited for its LF. */
    const char *from = bytes.p + progress->scanned - 1, *end = bytes.p + bytes.n;
    return scan_control(from, end) == end;
}

enum http_parse http_parse_head(struct slice bytes, const struct http_limits *limits,
                                struct http_progress *progress, struct http_request *request,
                                size_t *head_bytes, struct http_refusal *refusal) {
    if (progress->scanned > 0 && is_still_unfinished(bytes, progress)) {
        progress->scanned = bytes.n;
        return HTTP_PARSE_MORE;
    }
    memset(request, 0, sizeof *request);
    struct http_reader reader = {.p = bytes.p, .end = bytes.p + bytes.n};
    struct http_fields fields = {.request = request, .body_bytes_max = limits->body_bytes};
    const struct http_refusal *reason;
    enum http_parse result = read_start(&reader, limits, request, &reason);
    if (result == HTTP_PARSE_DONE) result = read_fields(&reader, limits, &fields, &reason);
    if (LIKELY(result == HTTP_PARSE_DONE)) {
        *head_bytes = (size_t)(reader.p - bytes.p);
    } else if (result == HTTP_PARSE_MORE) {
        progress->scanned = bytes.n;
        progress->limit_bytes = (size_t)(reader.section - bytes.p) + reader.bytes_max;
    } else {
        *refusal = *reason;
    }
    return result;
}
