/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines that end in CR LF, one after the other, from bytes that may be cut short: request line,
 * header lines, chunk sizes, trailers. A line is given out when its CR LF has come; a control byte
 * and a limit are refused at once. For the parsers of lib/http only.
 */
#pragma once

#include "lib/http/refusal.h"
#include "lib/http/scan.h"
#include "lib/slice.h"

/* The bytes being read, and how far the lines of one section (request line, fields, chunk size,
 * trailers) may reach. */
struct http_reader {
    const char *p;       /* next line */
    const char *end;     /* of the bytes there are */
    const char *section; /* where the section began */
    size_t bytes_max;    /* a line that ends further from there is too long */
    const char *limit;   /* a CR before this place is near enough and has a byte behind it */
};

enum http_line { LINE_WHOLE, LINE_MORE, LINE_BAD };

/* Begins a section at reader->p: no line of it may end more than `bytes_max` bytes from here. */
static inline void http_reader_begin(struct http_reader *reader, size_t bytes_max) {
    const size_t bytes = (size_t)(reader->end - reader->p);
    reader->section = reader->p;
    reader->bytes_max = bytes_max;
    reader->limit = reader->p + (bytes > bytes_max + 1 ? bytes_max + 1 : bytes - (bytes > 0));
}

static inline bool http_is_line_end(const char *p) {
    return p[0] == '\r' && p[1] == '\n';
}

/* The next line, without its CR LF; steps behind it. `*refusal` holds the refusal for a line that
 * is too long, and is replaced when the line is bad in another way. */
enum http_line http_line_next(struct http_reader *reader, bool allows_tabs, struct slice *line,
                              const struct http_refusal **refusal);
