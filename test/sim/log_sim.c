/* SPDX-License-Identifier: Apache-2.0
 *
 * The log lines of the code under test: what goes wrong in a simulated world goes wrong all the
 * time, so nobody is told. Linked with --wrap.
 */
#include "lib/logger.h"

void __wrap_logger_line(enum log_level level, const char *unit, const char *format, ...)
    PRINTF_LIKE(3, 4);
void __wrap_logger_line_limited(struct logger_limit *limit, enum log_level level, const char *unit,
                                const char *format, ...) PRINTF_LIKE(4, 5);

void __wrap_logger_line(enum log_level level, const char *unit, const char *format, ...) {
    (void)level, (void)unit, (void)format;
}

void __wrap_logger_line_limited(struct logger_limit *limit, enum log_level level, const char *unit,
                                const char *format, ...) {
    (void)limit, (void)level, (void)unit, (void)format;
}
