/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines made on the stack and written by one write(2), so that lines of several threads never
 * mix. No allocation and no lock: the journal may say why it stops when nothing else works any
 * more. Leaves errno alone. Called from everywhere, on cold paths.
 */
#include "lib/logger.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/rfc3339.h"

enum { LINE_BYTES_MAX = 1024, LIMIT_NS = 1000000000 };

/* The one exception to "no mutable globals": every line of the process asks for it. */
static atomic_int level_min = LOG_INFO;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

void logger_set_level(enum log_level level) {
    atomic_store_explicit(&level_min, (int)level, memory_order_relaxed);
}

static bool is_dropped(enum log_level level) {
    return (int)level < atomic_load_explicit(&level_min, memory_order_relaxed);
}

/* The length without a UTF-8 character whose tail has been cut off. */
static size_t without_partial_character(const char *text, size_t n) {
    size_t lead = n;
    while (lead > 0 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80) lead--;
    if (lead == 0) return n;
    lead--;
    unsigned char c = (unsigned char)text[lead];
    size_t bytes = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return lead + bytes > n ? lead : n;
}

/* A value from outside must not begin a line of its own or move the cursor of a terminal. */
static void blank_controls(char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) text[i] = '?';
    }
}

/* `time level unit ` at `line`; its length. */
static size_t put_head(char line[LINE_BYTES_MAX], enum log_level level, const char *unit) {
    rfc3339_format(clock_wall_ms(&clock_system), line);
    int bytes =
        snprintf(line + RFC3339_BYTES, LINE_BYTES_MAX / 8, " %s %s ", level_names[level], unit);
    ASSERT(bytes > 0 && bytes < LINE_BYTES_MAX / 8); /* A unit is one short word. */
    return RFC3339_BYTES + (size_t)bytes;
}

/* One line; says how many before it were not written when `dropped` is not 0. */
static void PRINTF_LIKE(4, 0) write_line(enum log_level level, const char *unit, uint32_t dropped,
                                         const char *format, va_list args) {
    int errno_before = errno;
    char line[LINE_BYTES_MAX], tail[32] = "";
    int tail_bytes = dropped == 0 ? 0 : snprintf(tail, sizeof tail, " dropped=%u", dropped);
    ASSERT(tail_bytes >= 0 && (size_t)tail_bytes < sizeof tail);
    size_t n = put_head(line, level, unit);
    size_t room = sizeof line - n - (size_t)tail_bytes - 1; /* 1 for the line end */

    int bytes = vsnprintf(line + n, room + 1, format, args);
    if (bytes > 0) n += size_min((size_t)bytes, room);
    if (bytes > 0 && (size_t)bytes > room) n = without_partial_character(line, n);
    memcpy(line + n, tail, (size_t)tail_bytes);
    n += (size_t)tail_bytes;
    blank_controls(line, n);
    line[n++] = '\n';
    while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR) continue;
    errno = errno_before;
}

void logger_line(enum log_level level, const char *unit, const char *format, ...) {
    if (is_dropped(level)) return;
    va_list args;
    va_start(args, format);
    write_line(level, unit, 0, format, args);
    va_end(args);
}

/* Of the threads that find the second over, the one that moves `next_ns` writes. */
void logger_line_limited(struct logger_limit *limit, enum log_level level, const char *unit,
                         const char *format, ...) {
    if (is_dropped(level)) return;
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    uint_least64_t next_ns = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    if (now_ns < next_ns ||
        !atomic_compare_exchange_strong(&limit->next_ns, &next_ns, now_ns + LIMIT_NS)) {
        atomic_fetch_add_explicit(&limit->dropped, 1, memory_order_relaxed);
        return;
    }
    va_list args;
    va_start(args, format);
    write_line(level, unit, atomic_exchange(&limit->dropped, 0), format, args);
    va_end(args);
}
