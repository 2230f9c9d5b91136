/* SPDX-License-Identifier: Apache-2.0 */
#include "api/page.h"

#include <string.h>

#include "api/admin_access.h"
#include "api/routes.h"
#include "api/stream.h"

#define PAGE_FIELDS                                                                                \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "                    \
    "frame-ancestors 'none'\r\n"                                                                   \
    "X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n" \
    "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n"
const struct slice page_fields = {PAGE_FIELDS, sizeof(PAGE_FIELDS) - 1};

static size_t file_piece(struct server *server, struct stream *stream, char *out) {
    (void)server;
    const struct page_file *file = &page_files[stream->part];
    size_t n = size_min(file->n - stream->next, STREAM_PIECE_BYTES);
    memcpy(out, file->bytes + stream->next, n);
    stream->next += (uint32_t)n;
    return n;
}

static bool send_file(struct exchange *exchange, struct slice name) {
    for (size_t i = 0; i < page_files_count; i++) {
        if (!slice_eq(page_files[i].name, name)) continue;
        stream_start(exchange, page_files[i].type,
                     &(struct stream){.piece = file_piece,
                                      .part = (uint32_t)i,
                                      .fields = SLICE("Cache-Control: no-store\r\n")});
        return true;
    }
    return false;
}

void page_handle(struct exchange *exchange) {
    bool is_known = admin_session(exchange) != NULL;
    ASSERT(send_file(exchange, is_known ? SLICE("console.html") : SLICE("login.html")));
}

void page_handle_file(struct exchange *exchange) {
    if (!send_file(exchange, exchange->parameters[0])) route_refuse(exchange, 0);
}
