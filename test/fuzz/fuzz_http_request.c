/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as requests: heads, bodies and what is pipelined behind them. Read in one go and in
 * pieces, with the same answer; and what is taken keeps the rules that matter to a proxy in front
 * of us, as a much simpler reader of the same bytes sees them.
 */
#include "fuzz/fuzz.h"

#include <strings.h>

#include "lib/base.h"
#include "lib/hash.h"
#include "lib/http/request.h"

/* Small, so that short inputs can pass each of them. */
static const struct http_limits limits = {
    .request_line_bytes = 200, .headers_bytes = 400, .headers_count = 10, .body_bytes = 64};

struct outcome {
    enum http_parse result;
    struct http_refusal refusal;
    struct http_request request; /* its slices point into the bytes that were read */
    size_t head_bytes;
    size_t body_bytes; /* of the content */
    size_t used_bytes; /* head, body and its framing */
};

static bool is_inside(struct slice slice, struct slice bytes) {
    return slice.p >= bytes.p && slice.p + slice.n <= bytes.p + bytes.n;
}

static void check_value(struct slice value, struct slice head) {
    if (value.p == NULL) return;
    ASSERT(is_inside(value, head));
    for (size_t i = 0; i < value.n; i++)
        ASSERT(((unsigned char)value.p[i] >= 0x20 && value.p[i] != 0x7f) || value.p[i] == '\t');
    if (value.n > 0) ASSERT(strchr(" \t", value.p[0]) == NULL);
    if (value.n > 0) ASSERT(strchr(" \t", value.p[value.n - 1]) == NULL);
}

static void check_request(const struct http_request *request, struct slice head) {
    const struct slice values[] = {
        request->method_text,   request->target,       request->content_type,
        request->authorization, request->cookie,       request->idempotency_key,
        request->origin,        request->accept,       request->x_forwarded_for[0],
        request->query,         request->x_request_id, request->traceparent,
        request->host,          request->sec_fetch_site, request->x_forwarded_proto,
        request->x_forwarded_for[HTTP_FORWARDED_LINES_MAX - 1],
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) check_value(values[i], head);
    ASSERT(request->method_text.n > 0 && request->target.n > 0 && request->path.n > 0);
    ASSERT(request->path.p[0] == '/' || slice_eq(request->path, SLICE("*")));
    ASSERT(memchr(request->path.p, '?', request->path.n) == NULL);
    ASSERT(request->minor_version <= 1);
    ASSERT(request->has_body == (request->is_chunked || request->content_bytes > 0));
    ASSERT(!request->is_chunked || request->content_bytes == 0);
    ASSERT(request->content_bytes <= limits.body_bytes);
}

static bool line_begins(struct slice line, const char *name) {
    return line.n >= strlen(name) && strncasecmp(line.p, name, strlen(name)) == 0;
}

/* The head again, by a reader that knows nothing but lines. */
static void check_framing(const struct http_request *request, struct slice head) {
    size_t hosts = 0, lengths = 0, codings = 0;
    ASSERT(head.n >= 4 && memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0, start = 0; i < head.n; i++) {
        if (head.p[i] == '\r') ASSERT(head.p[i + 1] == '\n');
        if (head.p[i] != '\n') continue;
        ASSERT(i > 0 && head.p[i - 1] == '\r');
        const struct slice line = slice_of(head.p + start, i - 1 - start);
        hosts += line_begins(line, "host:");
        lengths += line_begins(line, "content-length:");
        codings += line_begins(line, "transfer-encoding:");
        ASSERT(!line_begins(line, " ") && !line_begins(line, "\t"));
        start = i + 1;
    }
    ASSERT(memchr(head.p, 0, head.n) == NULL);
    ASSERT(hosts == 1 || (hosts == 0 && request->minor_version == 0));
    ASSERT(lengths + codings <= 1);
    ASSERT(request->is_chunked == (codings == 1));
}

static struct outcome read_once(char *bytes, size_t n, struct http_progress *progress) {
    struct outcome o = {0};
    struct slice body;
    size_t body_used;
    const struct slice all = slice_of(bytes, n);
    o.result = http_parse_head(all, &limits, progress, &o.request, &o.head_bytes, &o.refusal);
    if (o.result != HTTP_PARSE_DONE) return o;
    ASSERT(o.head_bytes <= n);
    check_request(&o.request, slice_of(bytes, o.head_bytes));
    check_framing(&o.request, slice_of(bytes, o.head_bytes));
    o.result = http_parse_body(bytes + o.head_bytes, n - o.head_bytes, &limits, &o.request, &body,
                               &body_used, &o.refusal);
    if (o.result != HTTP_PARSE_DONE) return o;
    ASSERT(body.n <= limits.body_bytes && body.n <= body_used);
    ASSERT(body.p == bytes + o.head_bytes);
    o.body_bytes = body.n;
    o.used_bytes = o.head_bytes + body_used;
    ASSERT(o.used_bytes <= n);
    return o;
}

/* The chunks once more, by a reader that trusts them: `body` is what they hold. */
static void check_chunks(struct slice chunks, struct slice body) {
    for (size_t joined = 0, size;; joined += size) {
        const char *line_end = memchr(chunks.p, '\n', chunks.n);
        ASSERT(line_end != NULL);
        char line[2048] = ""; /* longer than any that is accepted: there may be many zeros in front */
        ASSERT((size_t)(line_end - chunks.p) < sizeof line);
        memcpy(line, chunks.p, (size_t)(line_end - chunks.p));
        size = strtoul(line, NULL, 16);
        size_t line_bytes = (size_t)(line_end - chunks.p) + 1;
        chunks = slice_of(line_end + 1, chunks.n - line_bytes);
        if (size == 0) {
            ASSERT(joined == body.n);
            return;
        }
        ASSERT(joined + size <= body.n && memcmp(body.p + joined, chunks.p, size) == 0);
        chunks = slice_of(chunks.p + size + 2, chunks.n - size - 2);
    }
}

static void check_same(const struct outcome *a, const char *a_bytes, const struct outcome *b,
                       const char *b_bytes) {
    ASSERT(a->result == b->result);
    if (a->result == HTTP_PARSE_BAD) ASSERT(strcmp(a->refusal.code, b->refusal.code) == 0);
    if (a->result != HTTP_PARSE_DONE) return;
    ASSERT(a->head_bytes == b->head_bytes && a->used_bytes == b->used_bytes);
    ASSERT(a->body_bytes == b->body_bytes);
    ASSERT(memcmp(a_bytes + a->head_bytes, b_bytes + b->head_bytes, a->body_bytes) == 0);
    ASSERT(a->request.method == b->request.method);
    ASSERT(a->request.keep_alive == b->request.keep_alive);
    ASSERT(a->request.expects_continue == b->request.expects_continue);
    ASSERT(slice_eq(a->request.path, b->request.path));
    ASSERT(slice_eq(a->request.content_type, b->request.content_type));
    ASSERT(slice_eq(a->request.authorization, b->request.authorization));
}

/* The same bytes, in pieces of about `step` bytes. */
static void check_pieces(const struct outcome *whole, const char *whole_bytes, const char *bytes,
                         size_t n, size_t step) {
    struct http_progress progress = {0};
    for (size_t given = 0;;) {
        given = size_min(n, given + 1 + hash_mix(given, n) % step);
        char *copy = fuzz_copy(bytes, given);
        const struct outcome part = read_once(copy, given, &progress);
        if (part.result != HTTP_PARSE_DONE) ASSERT(memcmp(copy, bytes, given) == 0);
        const bool is_over = part.result != HTTP_PARSE_MORE || given == n;
        if (is_over) check_same(whole, whole_bytes, &part, copy);
        free(copy);
        if (is_over) return;
    }
}

/* Byte by byte what is short; of what is longer each size sees pieces of another size. */
static size_t step_of(size_t n) {
    static const size_t steps[] = {8, 40, 200};
    return n <= 24 ? 1 : steps[n % ARRAY_LEN(steps)];
}

static void check_values(const struct http_request *request) {
    char out[256];
    ASSERT(request->path.n <= sizeof out);
    char *path = fuzz_copy(request->path.p, request->path.n);
    const ptrdiff_t n = http_percent_decode(slice_of(path, request->path.n), out);
    ASSERT(n >= -1 && n <= (ptrdiff_t)request->path.n);
    if (n >= 0) ASSERT(memchr(out, 0, (size_t)n) == NULL);
    free(path);
    char *type = fuzz_copy(request->content_type.p == NULL ? "" : request->content_type.p,
                           request->content_type.n);
    if (http_is_json(slice_of(type, request->content_type.n)))
        ASSERT(strncasecmp(type, "application/json", 16) == 0);
    free(type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data;
    for (size_t n = size, used; n > 0; bytes += used, n -= used) {
        struct http_progress progress = {0};
        char *copy = fuzz_copy(bytes, n);
        const struct outcome whole = read_once(copy, n, &progress);
        check_pieces(&whole, copy, bytes, n, step_of(n));
        const bool is_done = whole.result == HTTP_PARSE_DONE;
        if (is_done) check_values(&whole.request);
        if (is_done && whole.request.is_chunked)
            check_chunks(slice_of(bytes + whole.head_bytes, n - whole.head_bytes),
                         slice_of(copy + whole.head_bytes, whole.body_bytes));
        used = is_done ? whole.used_bytes : n;
        free(copy);
    }
    return 0;
}
