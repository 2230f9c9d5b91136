/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *finding_name(enum finding_kind kind) {
    static const char *const names[] = {
#define X(constant, name, text) name,
        FINDING_KINDS(X)
#undef X
    };
    return names[kind];
}

const char *finding_text(enum finding_kind kind) {
    static const char *const texts[] = {
#define X(constant, name, text) text,
        FINDING_KINDS(X)
#undef X
    };
    return texts[kind];
}

static void make_printable(char *text) {
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~') *text = '.';
}

void findings_add(struct findings *findings, enum finding_kind kind, const char *format, ...) {
    uint64_t already = findings->kinds[kind].count++;
    if (already >= EVIDENCE_MAX) return;
    char text[EVIDENCE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);
    findings->kinds[kind].evidence[already] = strdup(text); /* NULL: counted without its words */
}

static size_t evidence_count(const struct findings *findings, size_t kind) {
    size_t n = 0;
    while (n < EVIDENCE_MAX && findings->kinds[kind].evidence[n] != NULL) n++;
    return n;
}

void findings_merge(struct findings *into, struct findings *from) {
    for (size_t kind = 0; kind < FINDING_KINDS_COUNT; kind++) {
        size_t n = evidence_count(into, kind);
        for (size_t i = 0; i < EVIDENCE_MAX && n < EVIDENCE_MAX; i++) {
            char *text = from->kinds[kind].evidence[i];
            if (text == NULL) continue;
            into->kinds[kind].evidence[n++] = text;
            from->kinds[kind].evidence[i] = NULL;
        }
        into->kinds[kind].count += from->kinds[kind].count;
    }
    findings_deinit(from);
}

uint64_t findings_count(const struct findings *findings) {
    uint64_t sum = 0;
    for (size_t kind = 0; kind < FINDING_KINDS_COUNT; kind++) sum += findings->kinds[kind].count;
    return sum;
}

void findings_deinit(struct findings *findings) {
    for (size_t kind = 0; kind < FINDING_KINDS_COUNT; kind++)
        for (size_t i = 0; i < EVIDENCE_MAX; i++) free(findings->kinds[kind].evidence[i]);
    *findings = (struct findings){0};
}
