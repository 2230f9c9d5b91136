/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/checks.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"

static const char *const ids[] = {
#define X(constant, id, text) id,
    CHECKS(X)
#undef X
};

static const char *const texts[] = {
#define X(constant, id, text) text,
    CHECKS(X)
#undef X
};

const char *check_id(enum check check) {
    return ids[check];
}

const char *check_text(enum check check) {
    return texts[check];
}

void checks_deinit(struct checks *checks) {
    for (size_t i = 0; i < checks->count; i++) free(checks->all[i].evidence);
    free(checks->all);
    *checks = (struct checks){0};
}

static void make_printable(char *text) {
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~') *text = '.';
}

static bool reserve_one(struct checks *checks) {
    if (checks->count < checks->capacity) return true;
    size_t capacity = size_max(64, checks->capacity * 2);
    struct check_finding *all = reallocarray(checks->all, capacity, sizeof *all);
    if (all == NULL) return false;
    checks->all = all;
    checks->capacity = capacity;
    return true;
}

void checks_add(struct checks *checks, enum check check, uint64_t item, const char *format, ...) {
    bool has_words = checks->counts[check]++ < CHECK_EVIDENCE_MAX;
    if (!reserve_one(checks)) {
        checks->failed = true;
        return;
    }
    struct check_finding *finding = &checks->all[checks->count++];
    *finding = (struct check_finding){.check = check, .event = checks->event, .item = item};
    if (!has_words) return;
    char text[CHECK_EVIDENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);
    finding->evidence = strdup(text);
    checks->failed |= finding->evidence == NULL;
}

uint64_t checks_sum(const struct checks *checks) {
    uint64_t sum = 0;
    for (size_t i = 0; i < CHECKS_COUNT; i++) sum += checks->counts[i];
    return sum;
}

static int compare_findings(const void *a, const void *b) {
    const struct check_finding *x = a, *y = b;
    if (x->check != y->check) return x->check < y->check ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

void checks_keep_common(struct checks *checks, const struct checks *before) {
    struct check_finding *sorted = reallocarray(NULL, before->count + 1, sizeof *sorted);
    if (sorted == NULL) {
        checks->failed = true; /* all are kept: rather one too many */
        return;
    }
    if (before->count != 0) memcpy(sorted, before->all, before->count * sizeof *sorted);
    qsort(sorted, before->count, sizeof *sorted, compare_findings);
    size_t kept = 0;
    memset(checks->counts, 0, sizeof checks->counts);
    checks->skipped |= before->skipped;
    checks->absent |= before->absent;
    for (size_t i = 0; i < checks->count; i++) {
        struct check_finding *finding = &checks->all[i];
        if (bsearch(finding, sorted, before->count, sizeof *sorted, compare_findings) == NULL) {
            free(finding->evidence);
            continue;
        }
        checks->counts[finding->check]++;
        checks->all[kept++] = *finding;
    }
    checks->count = kept;
    free(sorted);
}

bool checks_is_skipped(const struct checks *checks, enum check check) {
    return checks->counts[check] == 0 && (checks->skipped & UINT32_C(1) << check) != 0;
}

uint64_t check_item(const char *what, struct slice event_id, uint64_t which) {
    static const struct hash_key unkeyed = {{0, 0}};
    uint64_t item = hash_slice(&unkeyed, slice_str(what));
    return hash_mix(hash_mix(item, hash_slice(&unkeyed, event_id)), which);
}

void checks_json(const struct checks *checks, struct buf *out) {
    bool is_first = true;
    buf_add_text(out, "[");
    for (unsigned check = 0; check < CHECKS_COUNT; check++) {
        if (checks->counts[check] == 0) continue;
        buf_printf(out, "%s\n{\"check\":\"%s\",\"means\":", is_first ? "" : ",", ids[check]);
        buf_add_json_string(out, slice_str(texts[check]));
        buf_printf(out, ",\"count\":%" PRIu64 ",\"evidence\":[", checks->counts[check]);
        const char *comma = "";
        for (size_t i = 0; i < checks->count; i++) {
            if (checks->all[i].check != check || checks->all[i].evidence == NULL) continue;
            buf_add_text(out, comma);
            buf_add_json_string(out, slice_str(checks->all[i].evidence));
            comma = ",";
        }
        buf_add_text(out, "]}");
        is_first = false;
    }
    buf_add_text(out, "]");
}

void checks_json_skipped(const struct checks *checks, struct buf *out) {
    const char *comma = "";
    buf_add_text(out, "[");
    for (unsigned check = 0; check < CHECKS_COUNT; check++) {
        if (!checks_is_skipped(checks, (enum check)check)) continue;
        buf_printf(out, "%s\"%s\"", comma, ids[check]);
        comma = ",";
    }
    buf_add_text(out, "]");
}

static const char *word_for(const struct checks *checks, enum check check) {
    if (checks_is_skipped(checks, check)) return "not checked";
    return checks->counts[check] == 0 ? "ok" : "FINDING";
}

void checks_table(const struct checks *checks, enum check first, enum check last, struct buf *out) {
    for (unsigned check = first; check <= (unsigned)last; check++) {
        uint64_t count = checks->counts[check], told = 0;
        if (count == 0 && (checks->absent & UINT32_C(1) << check) != 0) continue;
        buf_printf(out, "%-4s %-11s %s\n", ids[check], word_for(checks, (enum check)check),
                   texts[check]);
        for (size_t i = 0; i < checks->count; i++) {
            if (checks->all[i].check != check || checks->all[i].evidence == NULL) continue;
            buf_printf(out, "       %s\n", checks->all[i].evidence);
            told++;
        }
        if (count > told) buf_printf(out, "       … and %" PRIu64 " more\n", count - told);
    }
}
