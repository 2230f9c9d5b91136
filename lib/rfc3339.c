/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates of the proleptic Gregorian calendar, counted without the C library's time functions: no
 * locale, no time zone, no lock. Called by replies, log lines, the admin routes and the commands.
 */
#include "lib/rfc3339.h"

#include "lib/base.h"

enum {
    DAY_SECONDS = 86400,
    DAYS_TO_1970 = 719162, /* from 0001-01-01 */
};

struct date {
    int year, month, day; /* 1 to 12, 1 to 31 */
};

static bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0001-01-01 to the first of January of `year`. */
static int64_t days_before_year(int year) {
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400;
}

static int64_t days_since_1970(struct date date) {
    int64_t days = days_before_year(date.year) - DAYS_TO_1970 + date.day - 1;
    for (int month = 1; month < date.month; month++) days += days_of_month(date.year, month);
    return days;
}

static struct date date_of_day(int64_t since_1970) {
    int64_t days = since_1970 + DAYS_TO_1970;
    /* 400 years have 146,097 days; no year begins two days from where this average puts it, so the
     * guess is the year or up to two too many. */
    struct date date = {.year = (int)(days * 400 / 146097) + 2, .month = 1};
    while (days_before_year(date.year) > days) date.year--;
    days -= days_before_year(date.year);
    for (; days >= days_of_month(date.year, date.month); date.month++) {
        days -= days_of_month(date.year, date.month);
    }
    date.day = (int)days + 1;
    return date;
}

static char *put_digits(char *out, int number, int count) {
    for (int i = count - 1; i >= 0; i--, number /= 10) out[i] = (char)('0' + number % 10);
    return out + count;
}

static char *put_text(char *out, const char *text, size_t bytes) {
    memcpy(out, text, bytes);
    return out + bytes;
}

static char *put_time(char *out, int second_of_day) {
    out = put_digits(out, second_of_day / 3600, 2);
    *out++ = ':';
    out = put_digits(out, second_of_day / 60 % 60, 2);
    *out++ = ':';
    return put_digits(out, second_of_day % 60, 2);
}

static const int64_t ms_end = INT64_C(253402300800000); /* 10000-01-01T00:00:00Z */

void rfc3339_format(int64_t ms, char out[RFC3339_BYTES]) {
    ASSERT(ms >= 0 && ms < ms_end);
    struct date date = date_of_day(ms / 1000 / DAY_SECONDS);
    char *at = put_digits(out, date.year, 4);
    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_time(at, (int)(ms / 1000 % DAY_SECONDS));
    *at++ = '.';
    at = put_digits(at, (int)(ms % 1000), 3);
    *at++ = 'Z';
    ASSERT(at == out + RFC3339_BYTES);
}

void http_date_format(int64_t ms, char out[HTTP_DATE_BYTES]) {
    ASSERT(ms >= 0 && ms < ms_end);
    int64_t day = ms / 1000 / DAY_SECONDS;
    struct date date = date_of_day(day);
    /* 1 January 1970 was a Thursday. */
    char *at = put_text(out, &"ThuFriSatSunMonTueWed"[day % 7 * 3], 3);
    at = put_text(at, ", ", 2);
    at = put_digits(at, date.day, 2);
    *at++ = ' ';
    at = put_text(at, &"JanFebMarAprMayJunJulAugSepOctNovDec"[(date.month - 1) * 3], 3);
    *at++ = ' ';
    at = put_digits(at, date.year, 4);
    *at++ = ' ';
    at = put_time(at, (int)(ms / 1000 % DAY_SECONDS));
    at = put_text(at, " GMT", 4);
    ASSERT(at == out + HTTP_DATE_BYTES);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Takes exactly `count` digits off the front. */
static bool take_digits(struct slice *text, int count, int *number) {
    if (text->n < (size_t)count) return false;
    *number = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit(text->p[i])) return false;
        *number = *number * 10 + (text->p[i] - '0');
    }
    *text = slice_of(text->p + count, text->n - (size_t)count);
    return true;
}

/* Takes `c`, a small letter in either case, off the front. */
static bool take_char(struct slice *text, char c) {
    if (text->n == 0) return false;
    char first = text->p[0];
    if (first != c && !(c >= 'a' && c <= 'z' && first == c - 'a' + 'A')) return false;
    *text = slice_of(text->p + 1, text->n - 1);
    return true;
}

static bool take_date(struct slice *text, struct date *date) {
    return take_digits(text, 4, &date->year) && take_char(text, '-') &&
           take_digits(text, 2, &date->month) && take_char(text, '-') &&
           take_digits(text, 2, &date->day) && date->year >= 1 && date->month >= 1 &&
           date->month <= 12 && date->day >= 1 &&
           date->day <= days_of_month(date->year, date->month);
}

struct time_of_day {
    int hour, minute, second, ms; /* second is 60 in a leap second */
};

/* A point, and any number of digits of which three count. */
static bool take_fraction(struct slice *text, int *ms) {
    *ms = 0;
    if (!take_char(text, '.')) return true;
    size_t digits = 0;
    for (int worth = 100; digits < text->n && is_digit(text->p[digits]); digits++, worth /= 10) {
        *ms += (text->p[digits] - '0') * worth;
    }
    *text = slice_of(text->p + digits, text->n - digits);
    return digits > 0;
}

static bool take_time(struct slice *text, struct time_of_day *time) {
    return take_digits(text, 2, &time->hour) && take_char(text, ':') &&
           take_digits(text, 2, &time->minute) && take_char(text, ':') &&
           take_digits(text, 2, &time->second) && take_fraction(text, &time->ms) &&
           time->hour <= 23 && time->minute <= 59 && time->second <= 60;
}

/* Seconds east of Greenwich. */
static bool take_offset(struct slice *text, int *seconds) {
    *seconds = 0;
    if (take_char(text, 'z')) return true;
    bool is_west = take_char(text, '-');
    int hours, minutes;
    if (!is_west && !take_char(text, '+')) return false;
    if (!take_digits(text, 2, &hours) || !take_char(text, ':') || !take_digits(text, 2, &minutes) ||
        hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = (hours * 3600 + minutes * 60) * (is_west ? -1 : 1);
    return true;
}

bool rfc3339_parse(struct slice text, int64_t *ms) {
    struct date date;
    struct time_of_day time;
    int offset_seconds;
    if (!take_date(&text, &date) || !take_char(&text, 't') || !take_time(&text, &time) ||
        !take_offset(&text, &offset_seconds) || text.n > 0) {
        return false;
    }
    bool is_leap_second = time.second == 60;
    if (is_leap_second) {
        time.second = 59;
        time.ms = 999;
    }
    int64_t seconds = days_since_1970(date) * DAY_SECONDS + time.hour * 3600 + time.minute * 60 +
                      time.second - offset_seconds;
    /* Leap seconds are put at the end of a day of UTC; 60 elsewhere is a mistake. */
    if (is_leap_second && seconds % DAY_SECONDS != DAY_SECONDS - 1) return false;
    int64_t result = seconds * 1000 + time.ms;
    if (seconds < 0 || result >= ms_end) return false;
    *ms = result;
    return true;
}
