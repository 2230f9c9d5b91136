/* SPDX-License-Identifier: Apache-2.0 */
#include "api/export.h"

#include <string.h>

#include "api/stream.h"

/* The rows of the next serials, as many as fit. */
static size_t rows(struct server *server, struct stream *stream, char *out,
                   enum export_format format) {
    const struct event *event = stream->event;
    size_t n = 0;
    uint32_t serial_max = judge_state(event->judge)->serial_max;
    for (; stream->next <= serial_max && n + EXPORT_ROW_BYTES_MAX <= STREAM_PIECE_BYTES;
         stream->next++) {
        struct coupon coupon;
        if (!judge_holder(event->judge, stream->next, &coupon)) continue;
        char code[COUPON_CODE_BYTES_MAX];
        size_t code_bytes = server_coupon_code(server, event, &coupon, code);
        n += export_row_format(out + n, format,
                               &(struct export_row){.event_id = event->id,
                                                    .user_id = coupon.user_id,
                                                    .code = slice_of(code, code_bytes),
                                                    .serial = coupon.serial,
                                                    .issued_ms = coupon.issued_ms});
    }
    return n;
}

static size_t csv_piece(struct server *server, struct stream *stream, char *out) {
    if (stream->has_begun) return rows(server, stream, out, EXPORT_CSV);
    struct slice heading = export_heading(EXPORT_CSV);
    memcpy(out, heading.p, heading.n);
    stream->has_begun = true;
    return heading.n;
}

static size_t ndjson_piece(struct server *server, struct stream *stream, char *out) {
    return rows(server, stream, out, EXPORT_NDJSON);
}

void export_start(struct exchange *exchange, const struct event *event, enum export_format format) {
    bool is_csv = format == EXPORT_CSV;
    stream_start(exchange,
                 is_csv ? SLICE("text/csv; charset=utf-8") : SLICE("application/x-ndjson"),
                 &(struct stream){.piece = is_csv ? csv_piece : ndjson_piece,
                                  .event = event,
                                  .next = 1,
                                  .fields = SLICE("Cache-Control: no-store\r\n")});
}
