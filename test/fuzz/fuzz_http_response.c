/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an answer to our client; the first one says whether it answers a HEAD, and how the
 * rest arrives. Read in one go and in pieces, with the same status, body and error.
 */
#include "fuzz/fuzz.h"

#include "lib/hash.h"
#include "lib/http/response.h"

enum { BODY_BYTES_MAX = 64 * 1024, IS_TO_HEAD = 1, STEPS_SHIFT = 1 };

struct outcome {
    struct http_response response;
    int result;
    struct err err;
    size_t body_bytes;
    char body[BODY_BYTES_MAX];
};

static int on_body(void *ctx, int status, struct slice piece) {
    struct outcome *outcome = ctx;
    ASSERT(status == outcome->response.status && (status < 100 || status >= 200));
    ASSERT(piece.n > 0 && piece.n <= BODY_BYTES_MAX - outcome->body_bytes);
    memcpy(outcome->body + outcome->body_bytes, piece.p, piece.n);
    outcome->body_bytes += piece.n;
    return 0;
}

static void begin(struct outcome *outcome, bool is_to_head) {
    outcome->result = 0;
    outcome->err.code = 0;
    outcome->body_bytes = 0;
    http_response_init(&outcome->response, is_to_head, on_body, outcome);
}

/* One more piece, in memory of exactly its size. */
static void take(struct outcome *outcome, const uint8_t *bytes, size_t n) {
    char *copy = fuzz_copy(bytes, n);
    outcome->result = http_response_take(&outcome->response, slice_of(copy, n), &outcome->err);
    free(copy);
}

static void end(struct outcome *outcome) {
    if (outcome->result == 0)
        outcome->result = http_response_close(&outcome->response, &outcome->err);
    ASSERT((outcome->result == 0) == (outcome->response.state == HTTP_RESPONSE_DONE));
    if (outcome->result == 0) return;
    ASSERT(outcome->result == outcome->err.code && outcome->err.text[0] != '\0');
}

/* What a good answer keeps, however it came. */
static void check_good(const struct outcome *outcome) {
    const struct http_response *response = &outcome->response;
    ASSERT(response->status >= 0 && response->status <= 999);
    if (response->is_to_head || response->status == 204 || response->status == 304)
        ASSERT(outcome->body_bytes == 0);
    else
        ASSERT(response->left_bytes == 0 && !(response->is_chunked && response->has_length));
}

static void check_same(const struct outcome *a, const struct outcome *b) {
    ASSERT(a->result == b->result && a->response.status == b->response.status);
    ASSERT(a->body_bytes == b->body_bytes && memcmp(a->body, b->body, a->body_bytes) == 0);
    if (a->result != 0) ASSERT(strcmp(a->err.text, b->err.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t steps[] = {2, 8, 40, 200};
    static struct outcome whole, pieces;
    if (size == 0 || size > BODY_BYTES_MAX) return 0;
    const size_t step = steps[(data[0] >> STEPS_SHIFT) % ARRAY_LEN(steps)];
    const bool is_to_head = (data[0] & IS_TO_HEAD) != 0;
    begin(&whole, is_to_head);
    take(&whole, data + 1, size - 1);
    end(&whole);
    if (whole.result == 0) check_good(&whole);

    begin(&pieces, is_to_head);
    for (size_t at = 1, n; at < size && pieces.result == 0; at += n) {
        n = size_min(size - at, 1 + hash_mix(at, size) % step);
        take(&pieces, data + at, n);
    }
    end(&pieces);
    check_same(&whole, &pieces);
    return 0;
}
