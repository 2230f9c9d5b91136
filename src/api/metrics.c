/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include "api/metrics_write.h"
#include "api/stream.h"

#define METRIC(writer, name, type, unit, labels, help, help_ko, alert)                             \
    {name, METRIC_##type, labels, help},
static const struct metric metrics[] = {
#include "src/metrics.def"
};
#undef METRIC

#define METRIC(writer, ...) metrics_write_##writer,
static void (*const writers[])(struct scrape *scrape) = {
#include "src/metrics.def"
};
#undef METRIC

/* As many metrics, or of one that is long as many events, as fit. */
static size_t metrics_piece(struct server *server, struct stream *stream, char *out) {
    struct scrape scrape = {.server = server,
                            .text = {.p = out, .room = STREAM_PIECE_BYTES},
                            .events_count = stream->count,
                            .next = stream->next};
    while (stream->part < ARRAY_LEN(metrics) &&
           scrape.text.room - scrape.text.n >= METRICS_ROOM_BYTES) {
        scrape.metric = &metrics[stream->part];
        size_t before = scrape.text.n;
        if (scrape.next == 0) metrics_add_head(&scrape.text, scrape.metric);
        size_t head_end = scrape.text.n;
        writers[stream->part](&scrape);
        /* What another mode has to say is not told. */
        if (scrape.text.n == head_end) scrape.text.n = before;
        if (scrape.next == 0) stream->part++;
    }
    stream->next = scrape.next;
    return scrape.text.n;
}

void metrics_handle(struct exchange *exchange) {
    stream_start(exchange, SLICE("text/plain; version=0.0.4; charset=utf-8"),
                 &(struct stream){.piece = metrics_piece,
                                  .count = view_events_count(exchange->server->view)});
}
