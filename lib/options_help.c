/* SPDX-License-Identifier: Apache-2.0
 *
 * The help of a command, made of the same table that is read: it cannot say anything else. Called
 * by the commands for --help.
 */
#include "lib/options.h"

#include <stdio.h>
#include <string.h>

enum { LINE_COLUMNS = 90, LEFT_COLUMNS_MAX = 30, LEFT_BYTES_MAX = 128, RIGHT_BYTES_MAX = 1024 };

/* "  --listen ADDR", "  --[no-]fsync", "  --auth none|jwt". */
static size_t put_left(const struct option *row, char out[LEFT_BYTES_MAX]) {
    const char *argument = row->argument != NULL ? row->argument : row->choices;
    int bytes;
    if (row->type == OPTION_SWITCH) {
        bytes = snprintf(out, LEFT_BYTES_MAX, "  --[no-]%s", row->name);
    } else {
        bytes = snprintf(out, LEFT_BYTES_MAX, "  --%s %s", row->name,
                         argument != NULL && *argument != '\0' ? argument : "VALUE");
    }
    ASSERT(bytes > 0 && bytes < LEFT_BYTES_MAX);
    return (size_t)bytes;
}

static void put_right(const struct option *row, char out[RIGHT_BYTES_MAX]) {
    bool has_default =
        row->fallback != NULL && *row->fallback != '\0' && (row->marks & OPTION_SECRET) == 0;
    int bytes = snprintf(out, RIGHT_BYTES_MAX, has_default ? "%s (default %s)" : "%s", row->help,
                         row->fallback);
    ASSERT(bytes >= 0 && bytes < RIGHT_BYTES_MAX);
}

/* Words of `text` from column `left` on; the cursor is there already. */
static void print_wrapped(const char *text, size_t left) {
    size_t column = left;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > left && column + 1 + word > LINE_COLUMNS) {
            printf("\n%*s", (int)left, "");
            column = left;
        } else if (column > left) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static size_t left_columns(const struct option *table, size_t count, uint32_t command) {
    size_t columns = 0;
    for (size_t i = 0; i < count; i++) {
        char left[LEFT_BYTES_MAX];
        if ((table[i].commands & command) == 0) continue;
        size_t bytes = put_left(&table[i], left);
        if (bytes <= LEFT_COLUMNS_MAX) columns = size_max(columns, bytes);
    }
    return columns + 2;
}

void options_print_help(const struct option *table, size_t count, uint32_t command) {
    size_t columns = left_columns(table, count, command);
    const char *heading = NULL;
    for (size_t i = 0; i < count; i++) {
        char left[LEFT_BYTES_MAX], right[RIGHT_BYTES_MAX];
        if (table[i].type == OPTION_HEADING) heading = table[i].help;
        if ((table[i].commands & command) == 0) continue;
        if (heading != NULL) printf("\n%s:\n", heading);
        heading = NULL;
        size_t bytes = put_left(&table[i], left);
        put_right(&table[i], right);
        /* A name too long for its column has a line to itself. */
        if (bytes + 2 > columns) {
            printf("%s\n%*s", left, (int)columns, "");
        } else {
            printf("%-*s", (int)columns, left);
        }
        print_wrapped(right, columns);
    }
}
