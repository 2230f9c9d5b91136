/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin_table.h"

#include <stdio.h>
#include <string.h>

enum { CELL_BYTES_MAX = 80 };

struct column {
    const char *heading; /* of a list */
    const char *label;   /* of one event */
    const char *key;     /* in the JSON */
    bool is_number;
};

static const struct column columns[] = {
    {"EVENT", "event", "event_id", false},
    {"STATUS", "status", "status", false},
    {"STOCK", "stock", "total_stock", true},
    {"LEFT", "left", "remaining_stock", true},
    {"HOLDERS", "holders", "total_participants", true},
    {"STARTS", "starts", "starts_at", false},
    {"ENDS", "ends", "ends_at", false},
    {"CREATED", "created", "created_at", false},
};

/* Text for the terminal: what the server sends must not be able to move its cursor. */
static struct slice cell(const json_t *value, char out[CELL_BYTES_MAX]) {
    size_t n = 0;
    if (json_is_integer(value)) {
        n = (size_t)snprintf(out, CELL_BYTES_MAX, "%lld", (long long)json_integer_value(value));
    } else if (json_is_string(value)) {
        n = size_min(json_string_length(value), CELL_BYTES_MAX);
        memcpy(out, json_string_value(value), n);
    }
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f) out[i] = '?';
    if (n == 0) out[n++] = '-';
    return slice_of(out, n);
}

static void add_spaces(struct buf *out, size_t count) {
    while (count-- > 0) buf_add(out, " ", 1);
}

/* ---- one event ---- */

static void add_code(struct buf *out, const json_t *code) {
    char prefix[CELL_BYTES_MAX], alphabet[CELL_BYTES_MAX], length[CELL_BYTES_MAX];
    if (!json_is_object(code)) return;
    buf_add_text(out, "codes    ");
    if (json_string_length(json_object_get(code, "prefix")) > 0) {
        buf_add_slice(out, cell(json_object_get(code, "prefix"), prefix));
        buf_add_text(out, " and ");
    }
    buf_add_slice(out, cell(json_object_get(code, "length"), length));
    buf_add_text(out, " of ");
    buf_add_slice(out, cell(json_object_get(code, "alphabet"), alphabet));
    buf_add_text(out, " and a check character\n");
}

bool admin_table_event(struct buf *out, const json_t *event) {
    enum { LABEL_WIDTH = 9 };
    if (!json_is_string(json_object_get(event, "event_id"))) return false;
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        char text[CELL_BYTES_MAX];
        buf_add_text(out, columns[i].label);
        add_spaces(out, LABEL_WIDTH - strlen(columns[i].label));
        buf_add_slice(out, cell(json_object_get(event, columns[i].key), text));
        buf_add_text(out, "\n");
    }
    add_code(out, json_object_get(event, "code"));
    return true;
}

/* ---- many ---- */

static size_t column_width(const struct column *column, const json_t *events) {
    size_t width = strlen(column->heading), i;
    const json_t *event;
    char text[CELL_BYTES_MAX];
    json_array_foreach(events, i, event) width =
        size_max(width, cell(json_object_get(event, column->key), text).n);
    return width;
}

/* Numbers stand at the right of their column, the rest at its left; nothing trails a line. */
static void add_cell(struct buf *out, size_t column, size_t width, struct slice text) {
    const bool is_last = column + 1 == ARRAY_LEN(columns);
    if (columns[column].is_number) add_spaces(out, width - text.n);
    buf_add_slice(out, text);
    if (!columns[column].is_number && !is_last) add_spaces(out, width - text.n);
    buf_add_text(out, is_last ? "\n" : "  ");
}

bool admin_table_events(struct buf *out, const json_t *events) {
    const json_t *list = json_object_get(events, "events"), *event;
    size_t widths[ARRAY_LEN(columns)], i;
    if (!json_is_array(list)) return false;
    for (size_t c = 0; c < ARRAY_LEN(columns); c++) {
        widths[c] = column_width(&columns[c], list);
        add_cell(out, c, widths[c], slice_str(columns[c].heading));
    }
    json_array_foreach(list, i, event) {
        for (size_t c = 0; c < ARRAY_LEN(columns); c++) {
            char text[CELL_BYTES_MAX];
            add_cell(out, c, widths[c], cell(json_object_get(event, columns[c].key), text));
        }
    }
    return true;
}
