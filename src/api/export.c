/* SPDX-License-Identifier: Apache-2.0 */
#include "api/export.h"

#include <stdio.h>
#include <string.h>

#include "api/stream.h"

enum { ROW_BYTES_MAX = 512 };

/* One row; ids and codes are of letters that neither format needs to quote. */
typedef int (*row_fn)(char *out, struct slice event_id, const struct coupon *coupon,
                      struct slice code, struct slice issued_at);

static int csv_row(char *out, struct slice event_id, const struct coupon *coupon,
                   struct slice code, struct slice issued_at) {
    return snprintf(out, ROW_BYTES_MAX, "%.*s,%u,%.*s,%.*s,%.*s\r\n", (int)event_id.n, event_id.p,
                    coupon->serial, (int)coupon->user_id.n, coupon->user_id.p, (int)code.n, code.p,
                    (int)issued_at.n, issued_at.p);
}

static int ndjson_row(char *out, struct slice event_id, const struct coupon *coupon,
                      struct slice code, struct slice issued_at) {
    return snprintf(out, ROW_BYTES_MAX,
                    "{\"event_id\":\"%.*s\",\"serial\":%u,\"user_id\":\"%.*s\",\"coupon_id\":"
                    "\"%.*s\",\"issued_at\":\"%.*s\"}\n",
                    (int)event_id.n, event_id.p, coupon->serial, (int)coupon->user_id.n,
                    coupon->user_id.p, (int)code.n, code.p, (int)issued_at.n, issued_at.p);
}

/* The rows of the next serials, as many as fit. */
static size_t rows(struct server *server, struct stream *stream, char *out, row_fn row) {
    const struct event *event = stream->event;
    size_t n = 0;
    uint32_t serial_max = judge_state(event->judge)->serial_max;
    for (; stream->next <= serial_max && n + ROW_BYTES_MAX <= STREAM_PIECE_BYTES; stream->next++) {
        struct coupon coupon;
        if (!judge_holder(event->judge, stream->next, &coupon)) continue;
        char code[COUPON_CODE_BYTES_MAX], issued_at[RFC3339_BYTES];
        size_t code_bytes = server_coupon_code(server, event, &coupon, code);
        rfc3339_format(coupon.issued_ms, issued_at);
        int row_bytes = row(out + n, event->id, &coupon, slice_of(code, code_bytes),
                            slice_of(issued_at, sizeof issued_at));
        ASSERT(row_bytes > 0 && row_bytes < ROW_BYTES_MAX);
        n += (size_t)row_bytes;
    }
    return n;
}

static size_t csv_piece(struct server *server, struct stream *stream, char *out) {
    if (stream->has_begun) return rows(server, stream, out, csv_row);
    struct slice heading = SLICE("event_id,serial,user_id,coupon_id,issued_at\r\n");
    memcpy(out, heading.p, heading.n);
    stream->has_begun = true;
    return heading.n;
}

static size_t ndjson_piece(struct server *server, struct stream *stream, char *out) {
    return rows(server, stream, out, ndjson_row);
}

void export_start(struct exchange *exchange, const struct event *event,
                  enum export_format format) {
    bool is_csv = format == EXPORT_CSV;
    stream_start(exchange, is_csv ? SLICE("text/csv; charset=utf-8") : SLICE("application/x-ndjson"),
                 &(struct stream){
                     .piece = is_csv ? csv_piece : ndjson_piece, .event = event, .next = 1,
                     .fields = SLICE("Cache-Control: no-store\r\n")});
}
