/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/options_show.h"

#include <stdio.h>
#include <string.h>

#include "lib/options_value.h"

enum { VALUE_COLUMNS_MAX = 40, ORIGIN_BYTES = 512, NAME_BYTES = 64 };

static const char *const source_names[] = {[OPTION_DEFAULT] = "default",
                                           [OPTION_FILE] = "file",
                                           [OPTION_ENVIRONMENT] = "environment",
                                           [OPTION_FLAG] = "flag"};

static const char *const type_names[] = {
    [OPTION_HEADING] = "heading", [OPTION_TEXT] = "text",    [OPTION_SWITCH] = "switch",
    [OPTION_NUMBER] = "number",   [OPTION_BYTES] = "bytes",  [OPTION_DURATION] = "duration",
    [OPTION_DECIMAL] = "decimal", [OPTION_CHOICE] = "choice"};

/* "idle-timeout" to "COUPOND_IDLE_TIMEOUT". */
static void put_variable(const char *prefix, const char *name, char out[NAME_BYTES * 2]) {
    int bytes = snprintf(out, (size_t)NAME_BYTES * 2, "%s%s", prefix, name);
    ASSERT(bytes > 0 && bytes < NAME_BYTES * 2);
    for (char *at = out + strlen(prefix); *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z') *at = (char)(*at - 'a' + 'A');
        if (*at == '-') *at = '_';
    }
}

/* Where the value of a row came from, in the words of that place; "" for a default. */
static void put_origin(const struct options *options, size_t i, char out[ORIGIN_BYTES]) {
    const struct option_value *value = &options->values[i];
    const char *name = options->table[i].name;
    char variable[NAME_BYTES * 2];
    out[0] = '\0';
    switch (value->source) {
    case OPTION_DEFAULT:
        break;
    case OPTION_FILE:
        snprintf(out, ORIGIN_BYTES, "%.480s:%d", options_get(options, "config")->text, value->line);
        break;
    case OPTION_ENVIRONMENT:
        put_variable(options->prefix, name, variable);
        snprintf(out, ORIGIN_BYTES, "%s", variable);
        break;
    case OPTION_FLAG:
        snprintf(out, ORIGIN_BYTES, "--%s", name);
        break;
    }
}

static size_t columns_of(const struct options *options, uint32_t command, size_t *value_columns) {
    size_t name_columns = 0;
    *value_columns = 0;
    for (size_t i = 0; i < options->count; i++) {
        if ((options->table[i].commands & command) == 0) continue;
        char scratch[OPTION_NUMBER_BYTES];
        const char *value = option_value_format(&options->table[i], &options->values[i], scratch);
        size_t bytes = value == NULL ? 1 : strlen(value);
        name_columns = size_max(name_columns, strlen(options->table[i].name));
        if (bytes <= VALUE_COLUMNS_MAX) *value_columns = size_max(*value_columns, bytes);
    }
    return name_columns;
}

void options_show(struct buf *out, const struct options *options, uint32_t command) {
    size_t value_columns, name_columns = columns_of(options, command, &value_columns);
    const char *heading = NULL;
    for (size_t i = 0; i < options->count; i++) {
        const struct option *row = &options->table[i];
        if (row->type == OPTION_HEADING) heading = row->help;
        if ((row->commands & command) == 0) continue;
        if (heading != NULL) buf_printf(out, "%s# %s\n", out->n == 0 ? "" : "\n", heading);
        heading = NULL;
        char scratch[OPTION_NUMBER_BYTES], origin[ORIGIN_BYTES];
        const char *value = option_value_format(row, &options->values[i], scratch);
        const char *source = source_names[options->values[i].source];
        put_origin(options, i, origin);
        buf_printf(out, "%-*s  %-*s  %s%s%s\n", (int)name_columns, row->name, (int)value_columns,
                   value == NULL ? "-" : value, source, *origin == '\0' ? "" : " ", origin);
    }
}

/* ---- JSON ---- */

/* How many bytes the UTF-8 character at `text` has; 0 when it is none. */
static size_t character_bytes(const unsigned char *text) {
    size_t bytes = *text < 0x80 ? 1 : *text < 0xc2 ? 0 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
    if (*text > 0xf4) return 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0; /* also the end of the text */
    }
    bool is_overlong = (*text == 0xe0 && text[1] < 0xa0) || (*text == 0xf0 && text[1] < 0x90);
    bool is_outside = (*text == 0xed && text[1] > 0x9f) || (*text == 0xf4 && text[1] > 0x8f);
    return is_overlong || is_outside ? 0 : bytes;
}

/* The environment and a file may hold any bytes. */
static void add_text(struct buf *out, const char *text) {
    if (text == NULL) {
        buf_add_text(out, "null");
        return;
    }
    struct buf clean;
    buf_init(&clean, strlen(text) + 1);
    while (*text != '\0') {
        size_t bytes = character_bytes((const unsigned char *)text);
        buf_add(&clean, bytes == 0 ? "?" : text, size_max(bytes, 1));
        text += size_max(bytes, 1);
    }
    out->failed |= clean.failed;
    buf_add_json_string(out, buf_slice(&clean));
    buf_deinit(&clean);
}

static void add_member(struct buf *out, const char *name, const char *text) {
    buf_printf(out, ",\"%s\":", name);
    add_text(out, text);
}

static void add_flag(struct buf *out, const char *name, bool is_set) {
    buf_printf(out, ",\"%s\":%s", name, is_set ? "true" : "false");
}

static bool is_counted(const struct option *row) {
    return row->type == OPTION_NUMBER || row->type == OPTION_BYTES || row->type == OPTION_DURATION;
}

void options_show_json(struct buf *out, const struct options *options, uint32_t command) {
    const char *between = "[\n";
    for (size_t i = 0; i < options->count; i++) {
        const struct option *row = &options->table[i];
        const struct option_value *value = &options->values[i];
        if ((row->commands & command) == 0) continue;
        char scratch[OPTION_NUMBER_BYTES], origin[ORIGIN_BYTES];
        put_origin(options, i, origin);
        buf_printf(out, "%s{\"name\":", between);
        add_text(out, row->name);
        add_member(out, "value", option_value_format(row, value, scratch));
        if (is_counted(row) && value->text != NULL && (row->marks & OPTION_SECRET) == 0) {
            buf_printf(out, ",\"number\":%lld", (long long)value->number);
        }
        add_member(out, "source", source_names[value->source]);
        add_member(out, "origin", *origin == '\0' ? NULL : origin);
        buf_add_text(out, "}");
        between = ",\n";
    }
    buf_add_text(out, "\n]\n");
}

/* ---- The table ---- */

static void add_commands(struct buf *out, const struct option *row, const char *const names[],
                         size_t count) {
    const char *between = ",\"commands\":[";
    for (size_t i = 0; i < count; i++) {
        if ((row->commands & 1u << i) == 0) continue;
        buf_add_text(out, between);
        add_text(out, names[i]);
        between = ",";
    }
    buf_add_text(out, "]");
}

static void add_limits(struct buf *out, const struct option *row) {
    char least[OPTION_NUMBER_BYTES], most[OPTION_NUMBER_BYTES];
    option_number_format(row, row->min, least);
    option_number_format(row, row->max, most);
    buf_printf(out, ",\"min\":%lld,\"max\":%lld", (long long)row->min, (long long)row->max);
    add_member(out, "least", least);
    add_member(out, "most", most);
}

static void add_row(struct buf *out, const struct option *row, const char *const command_names[],
                    size_t commands_count) {
    if (row->type == OPTION_HEADING) {
        buf_add_text(out, "{\"heading\":");
        add_text(out, row->help);
        buf_add_text(out, "}");
        return;
    }
    ASSERT(row->commands != 0);
    buf_add_text(out, "{\"name\":");
    add_text(out, row->name);
    add_member(out, "type", type_names[row->type]);
    add_commands(out, row, command_names, commands_count);
    add_member(out, "default", (row->marks & OPTION_SECRET) != 0 ? NULL : row->fallback);
    add_limits(out, row);
    add_member(out, "choices", row->choices);
    add_member(out, "argument", row->argument);
    add_member(out, "help", row->help);
    add_flag(out, "secret", (row->marks & OPTION_SECRET) != 0);
    add_flag(out, "reloadable", (row->marks & OPTION_RELOADABLE) != 0);
    add_flag(out, "flag_only", (row->marks & OPTION_FLAG_ONLY) != 0);
    buf_add_text(out, "}");
}

void options_show_table(struct buf *out, const struct option *table, size_t count,
                        const char *const command_names[], size_t commands_count) {
    for (size_t i = 0; i < count; i++) {
        buf_add_text(out, i == 0 ? "[\n" : ",\n");
        add_row(out, &table[i], command_names, commands_count);
    }
    buf_add_text(out, "\n]");
}
