/* SPDX-License-Identifier: Apache-2.0
 *
 * What a load run found wrong, by kind, with the first pieces of evidence. Each worker keeps its
 * own and they are merged when all have ended. A finding means that the server broke its contract:
 * any single one makes the exit status 1.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"

enum { EVIDENCE_MAX = 20, EVIDENCE_BYTES_MAX = 320 };

/* X(constant, name, what it means) */
#define FINDING_KINDS(X)                                                                           \
    X(FINDING_PROTOCOL, "protocol", "an answer that is not HTTP/1.1 as agreed")                    \
    X(FINDING_STATUS, "status", "a status that the request must not get")                          \
    X(FINDING_HEADER, "header", "a header that must be there is missing or wrong")                 \
    X(FINDING_BODY, "body", "a body that is not what its status promises")                         \
    X(FINDING_FIELD, "field", "a field is missing or malformed")                                   \
    X(FINDING_DISAGREE, "disagree", "success, result, status or headers contradict each other")    \
    X(FINDING_WRONG_USER, "wrong_user", "an answer for another user than the one who asked")       \
    X(FINDING_SERIAL_RANGE, "serial_range", "a serial outside 1..stock")                           \
    X(FINDING_SERIAL_TWICE, "serial_twice", "one serial told to two users")                        \
    X(FINDING_COUPON_TWICE, "coupon_twice", "one coupon_id told to two users")                     \
    X(FINDING_COUPON_CHANGED, "coupon_changed", "a user was told two different coupons")           \
    X(FINDING_ISSUED_TWICE, "issued_twice", "a user was told \"issued\" twice")                    \
    X(FINDING_TAKEN_BACK, "taken_back", "a user who had been told yes was told no")                \
    X(FINDING_OVERSOLD, "oversold", "more coupons were told than there are")                       \
    X(FINDING_ALREADY_NEW, "already_issued_new", "already_issued for a user never issued before")  \
    X(FINDING_SOLD_OUT_EARLY, "sold_out_early", "sold out before that many claims were sent")      \
    X(FINDING_FINAL_REOPENED, "final_reopened", "issued to a claim sent after a final sold out")   \
    X(FINDING_UNDERSOLD, "undersold", "final sold out was told and yet coupons are left")          \
    X(FINDING_EXPORT_MISSING, "export_missing", "told a coupon that the export does not have")     \
    X(FINDING_EXPORT_DIFFERS, "export_differs", "the export has another coupon than was told")     \
    X(FINDING_EXPORT_STRANGER, "export_stranger", "the export has a holder who never asked")       \
    X(FINDING_EXPORT_DENIED, "export_denied", "the export has a holder who was told no")           \
    X(FINDING_EXPORT_SERIAL, "export_serial", "a serial in the export twice or outside 1..stock")  \
    X(FINDING_EXPORT_COUPON, "export_coupon", "a coupon_id in the export twice")                   \
    X(FINDING_EXPORT_LINE, "export_line", "a line of the export that cannot be understood")        \
    X(FINDING_EXPORT_UNREADABLE, "export_unreadable", "the export was asked for and not given")    \
    X(FINDING_UNANSWERED, "unanswered", "a request that never got an answer")

enum finding_kind {
#define X(constant, name, text) constant,
    FINDING_KINDS(X)
#undef X
        FINDING_KINDS_COUNT
};

struct findings {
    struct {
        uint64_t count;
        char *evidence[EVIDENCE_MAX]; /* owned; the first ones, NULL from the end on */
    } kinds[FINDING_KINDS_COUNT];
};

const char *finding_name(enum finding_kind kind);
const char *finding_text(enum finding_kind kind);

/* Counts one more of `kind`; the text is kept while there is room, cut at EVIDENCE_BYTES_MAX and
 * with everything that is not printable ASCII replaced by '.': it quotes what a server sent. */
void findings_add(struct findings *findings, enum finding_kind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Adds what `from` has to `into`; `from` is left empty. */
void findings_merge(struct findings *into, struct findings *from);
/* How many there are of all kinds. */
uint64_t findings_count(const struct findings *findings);
void findings_deinit(struct findings *findings);
