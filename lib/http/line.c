/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/line.h"

enum http_line http_line_next(struct http_reader *reader, bool allows_tabs, struct slice *line,
                              const struct http_refusal **refusal) {
    const size_t used = (size_t)(reader->p - reader->section);
    if (used > reader->bytes_max) return LINE_BAD;
    const size_t left = reader->bytes_max - used;
    const bool is_limited = (size_t)(reader->end - reader->p) > left;
    const char *limit = is_limited ? reader->p + left + 1 : reader->end;
    const char *p = scan_control(reader->p, limit);
    while (p < limit && *p == '\t' && allows_tabs) p = scan_control(p + 1, limit);
    if (p == limit) return is_limited ? LINE_BAD : LINE_MORE;
    if (*p != '\r' || (p + 1 < reader->end && p[1] != '\n')) {
        *refusal = *p == '\r' || *p == '\n' ? HTTP_REFUSE(BAD_LINE_END) : HTTP_REFUSE(CONTROL_BYTE);
        return LINE_BAD;
    }
    if (p + 1 == reader->end) return LINE_MORE;
    *line = slice_of(reader->p, (size_t)(p - reader->p));
    reader->p = p + 2;
    return LINE_WHOLE;
}
