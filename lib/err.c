/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling a struct err. Called wherever a cold path fails; keeps the one-line promise of the text.
 */
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, int code, const char *format, ...) {
    ASSERT(code < 0);
    err->code = code;
    err->retriable = false;
    err->fatal = false;
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (bytes < 0) err->text[0] = '\0';
    /* File names and messages of libraries may carry line ends; a log line may not. */
    for (char *c = err->text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    }
    return code;
}
