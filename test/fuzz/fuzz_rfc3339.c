/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as an instant, against the C library's calendar; and any number as an instant, written
 * and read again.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <time.h>

#include "lib/rfc3339.h"

static const int64_t ms_end = INT64_C(253402300800000); /* 10000-01-01T00:00:00Z */

static int number_at(const char *text, int count) {
    int number = 0;
    for (int i = 0; i < count; i++) {
        ASSERT(text[i] >= '0' && text[i] <= '9');
        number = number * 10 + text[i] - '0';
    }
    return number;
}

/* Seconds that the text, known to be good, means: by fixed places and timegm(3). */
static int64_t seconds_of(struct slice text) {
    struct tm tm = {.tm_year = number_at(text.p, 4) - 1900,
                    .tm_mon = number_at(text.p + 5, 2) - 1,
                    .tm_mday = number_at(text.p + 8, 2),
                    .tm_hour = number_at(text.p + 11, 2),
                    .tm_min = number_at(text.p + 14, 2),
                    .tm_sec = number_at(text.p + 17, 2)};
    if (tm.tm_sec == 60) tm.tm_sec = 59;
    int64_t seconds = timegm(&tm);
    const char last = text.p[text.n - 1];
    if (last == 'Z' || last == 'z') return seconds;
    const char *zone = text.p + text.n - 6;
    ASSERT((*zone == '+' || *zone == '-') && zone[3] == ':');
    const int offset_s = number_at(zone + 1, 2) * 3600 + number_at(zone + 4, 2) * 60;
    return *zone == '-' ? seconds + offset_s : seconds - offset_s;
}

/* A day that there is not would come back as another one. */
static void check_date(struct slice text, int64_t ms) {
    char again[RFC3339_BYTES];
    const bool is_utc = text.p[text.n - 1] == 'Z' || text.p[text.n - 1] == 'z';
    rfc3339_format(ms, again);
    if (is_utc) ASSERT(memcmp(again, text.p, sizeof "2026-11-23" - 1) == 0);
}

static void check_read(struct slice text) {
    int64_t ms = -1;
    if (!rfc3339_parse(text, &ms)) {
        ASSERT(ms == -1); /* left alone */
        return;
    }
    ASSERT(ms >= 0 && ms < ms_end && text.n >= sizeof "2026-11-23T08:43:00Z" - 1);
    ASSERT(ms / 1000 == seconds_of(text));
    check_date(text, ms);
}

/* What is written is what the C library would write, and is read back as it was. */
static void check_written(int64_t ms) {
    char text[RFC3339_BYTES], date[HTTP_DATE_BYTES], expected[64];
    struct tm tm;
    const time_t seconds = (time_t)(ms / 1000);
    int64_t again;
    ASSERT(gmtime_r(&seconds, &tm) == &tm);
    rfc3339_format(ms, text);
    ASSERT(rfc3339_parse(slice_of(text, sizeof text), &again) && again == ms);
    ASSERT(number_at(text, 4) == tm.tm_year + 1900 && number_at(text + 5, 2) == tm.tm_mon + 1);
    ASSERT(number_at(text + 20, 3) == (int)(ms % 1000) && text[23] == 'Z');
    http_date_format(ms, date);
    const size_t n = strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    ASSERT(n == sizeof date && memcmp(date, expected, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_copy(data, size);
    check_read(slice_of(text, size));
    free(text);
    if (size < sizeof(uint64_t)) return 0;
    uint64_t number;
    memcpy(&number, data, sizeof number);
    check_written((int64_t)(number % (uint64_t)ms_end));
    return 0;
}
