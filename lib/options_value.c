/* SPDX-License-Identifier: Apache-2.0
 *
 * Values read strictly: no blanks, no plus sign, no exponent, nothing left over. A configuration
 * that is nearly right is refused in one line that says what would be right.
 */
#include "lib/options_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *suffix;
    int64_t worth;
};

/* Smallest first, as limits are printed in the largest that divides them. */
static const struct unit byte_units[] = {
    {"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0}};
static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* A whole number and where it ends; false when there is none or it does not fit. */
static bool read_whole(const char *text, int64_t *number, const char **end) {
    bool is_negative = *text == '-';
    const char *at = text + is_negative;
    if (!is_digit(*at)) return false;
    int64_t result = 0;
    for (; is_digit(*at); at++) {
        int digit = is_negative ? '0' - *at : *at - '0';
        if (__builtin_mul_overflow(result, 10, &result) ||
            __builtin_add_overflow(result, digit, &result)) {
            return false;
        }
    }
    *number = result;
    *end = at;
    return true;
}

static bool read_with_unit(const char *text, const struct unit *units, const char *bare_suffix,
                           int64_t *number) {
    const char *suffix;
    if (!read_whole(text, number, &suffix)) return false;
    if (*suffix == '\0') suffix = bare_suffix;
    for (; units->suffix != NULL; units++) {
        if (strcmp(units->suffix, suffix) == 0) {
            return !__builtin_mul_overflow(*number, units->worth, number);
        }
    }
    return false;
}

static bool read_decimal(const char *text, double *decimal) {
    const char *at = text + (*text == '-');
    if (!is_digit(*at)) return false;
    while (is_digit(*at)) at++;
    if (*at == '.') {
        at++;
        if (!is_digit(*at)) return false;
        while (is_digit(*at)) at++;
    }
    *decimal = strtod(text, NULL);
    return *at == '\0';
}

static bool read_switch(const char *text, int64_t *number) {
    *number = strcmp(text, "true") == 0;
    return *number == 1 || strcmp(text, "false") == 0;
}

static bool is_choice(const char *choices, const char *text) {
    size_t bytes = strlen(text);
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strcspn(at, "|") == bytes && memcmp(at, text, bytes) == 0) return true;
    }
    return false;
}

static bool is_within(const struct option *row, int64_t number) {
    return number >= row->min && number <= row->max;
}

static bool read_as_type(const struct option *row, const char *text, struct option_value *value) {
    const char *end;
    switch (row->type) {
    case OPTION_HEADING:
        return false;
    case OPTION_TEXT:
        return (int64_t)strlen(text) >= row->min;
    case OPTION_SWITCH:
        return read_switch(text, &value->number);
    case OPTION_NUMBER:
        return read_whole(text, &value->number, &end) && *end == '\0' &&
               is_within(row, value->number);
    case OPTION_BYTES:
        return read_with_unit(text, byte_units, "", &value->number) &&
               is_within(row, value->number);
    case OPTION_DURATION:
        return read_with_unit(text, duration_units, "s", &value->number) &&
               is_within(row, value->number);
    case OPTION_DECIMAL:
        return read_decimal(text, &value->decimal) && value->decimal >= (double)row->min &&
               value->decimal <= (double)row->max;
    case OPTION_CHOICE:
        return is_choice(row->choices, text);
    }
    return false;
}

struct phrase {
    char text[160];
};

/* A limit in the largest unit that keeps it whole. */
static struct phrase say_limit(int64_t limit, const struct unit *units) {
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->suffix != NULL; unit++) {
        if (limit != 0 && limit % unit->worth == 0) best = unit;
    }
    struct phrase said;
    snprintf(said.text, sizeof said.text, "%" PRId64 "%s", limit / best->worth, best->suffix);
    return said;
}

static const struct unit *units_of(const struct option *row) {
    static const struct unit plain[] = {{"", 1}, {NULL, 0}};
    return row->type == OPTION_BYTES      ? byte_units
           : row->type == OPTION_DURATION ? duration_units
                                          : plain;
}

static struct phrase say_range(const struct option *row, const char *what, const char *how) {
    const struct unit *units = units_of(row);
    struct phrase min = say_limit(row->min, units), max = say_limit(row->max, units), said;
    if (row->max == INT64_MAX) {
        snprintf(said.text, sizeof said.text, "%s of at least %.30s%s", what, min.text, how);
    } else {
        snprintf(said.text, sizeof said.text, "%s from %.30s to %.30s%s", what, min.text, max.text,
                 how);
    }
    return said;
}

static struct phrase say_choices(const char *choices) {
    struct phrase said = {"one of "};
    size_t n = strlen(said.text);
    for (const char *at = choices; *at != '\0' && n + 3 < sizeof said.text; at++) {
        if (*at == '|') said.text[n++] = ',';
        said.text[n++] = *at == '|' ? ' ' : *at;
    }
    said.text[n] = '\0';
    return said;
}

/* What the value should have been. */
static struct phrase say_wanted(const struct option *row) {
    switch (row->type) {
    case OPTION_NUMBER:
        return say_range(row, "a number", "");
    case OPTION_DECIMAL:
        return say_range(row, "a decimal number", "");
    case OPTION_BYTES:
        return say_range(row, "a size", " (a number of bytes, or with KiB, MiB, GiB)");
    case OPTION_DURATION:
        return say_range(row, "a duration", " (a number with ms, s, m or h)");
    case OPTION_CHOICE:
        return say_choices(row->choices);
    case OPTION_TEXT:
        return (struct phrase){"a text of at least one character"};
    case OPTION_SWITCH:
    case OPTION_HEADING:
        break;
    }
    return (struct phrase){"true or false"};
}

int option_value_read(const struct option *row, const char *label, const char *text,
                      struct option_value *value, struct err *err) {
    struct option_value read = {.text = text, .source = value->source};
    if (read_as_type(row, text, &read)) {
        *value = read;
        return 0;
    }
    struct phrase wanted = say_wanted(row);
    const char *shown = (row->marks & OPTION_SECRET) != 0 ? "the value"
                        : *text == '\0'                   ? "\"\""
                                                          : text;
    return err_set(err, -EINVAL, "%s: %.80s is not %s", label, shown, wanted.text);
}

void option_number_format(const struct option *row, int64_t number, char out[OPTION_NUMBER_BYTES]) {
    struct phrase said = say_limit(number, units_of(row));
    snprintf(out, OPTION_NUMBER_BYTES, "%.31s", number == 0 ? "0" : said.text);
}

const char *option_value_format(const struct option *row, const struct option_value *value,
                                char scratch[OPTION_NUMBER_BYTES]) {
    if (value->text == NULL) return NULL;
    if ((row->marks & OPTION_SECRET) != 0) return "***";
    switch (row->type) {
    case OPTION_NUMBER:
    case OPTION_BYTES:
    case OPTION_DURATION:
        option_number_format(row, value->number, scratch);
        return scratch;
    case OPTION_HEADING:
    case OPTION_TEXT:
    case OPTION_SWITCH:
    case OPTION_DECIMAL:
    case OPTION_CHOICE:
        break;
    }
    return value->text;
}
