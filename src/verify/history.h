/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients were told: a file of lines of JSON, one for each request that was sent, written by
 * `coupond load --history FILE` and read by `coupond verify --history FILE`.
 *
 *     {"coupond_history":1,"event":"E","prefix":"r1-","boot":"…","ns":…,"ms":…}
 *     {"u":"r1-17","k":"c","i":123,"r":456,"a":"issued","s":17,"c":"…","t":1790000000000}
 *     {"u":"r1-18","k":"c","i":124,"r":460,"a":"sold_out_final"}
 *     {"u":"r1-18","k":"q","i":700,"a":"lost"}
 *     {"end":2,"ns":…,"ms":…}
 *
 * The first line says the version, the event, what every user id of the file begins with, which
 * boot of the machine the clock belongs to, and one instant on both clocks: `ns` is
 * CLOCK_MONOTONIC, `ms` is milliseconds since 1970. A request has its user, its kind (c: a claim,
 * q: "did I get it?"), when it was sent (i, ns, taken before) and answered (r, ns, taken behind),
 * and what it was told (told_name; "lost": no answer came, so nobody knows). With a coupon: its
 * serial (s), code (c) and issued_at (t, ms). A request that was sent again is a line of its own.
 * Lines come in no order. The last line counts the requests; without it the writer was cut off, and
 * users may have asked unheard.
 *
 * Members stand in this order and have no spaces, so that a line is written and read at once; jq
 * reads it too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "verify/load_told.h"
#include "verify/texts.h"

enum {
    HISTORY_VERSION = 1,
    HISTORY_LINE_BYTES_MAX = 512,
    HISTORY_BOOT_BYTES = 36,
    HISTORY_LOST = TOLD_COUNT, /* beside enum told */
    HISTORY_FILES_MAX = 64,
};

#define HISTORY_NEVER INT64_MAX

/* One request. Texts are numbers of the texts that the history was read with. */
struct history_op {
    int64_t invoke_ns, return_ns; /* HISTORY_NEVER when lost */
    int64_t issued_ms;            /* with a coupon */
    uint32_t event, user;
    uint32_t serial, coupon; /* 0: none */
    uint32_t line;
    uint8_t file;
    uint8_t told; /* enum told, or HISTORY_LOST */
    bool is_query;
};

struct history_file {
    const char *path;
    uint32_t event;
    struct slice prefix; /* of `texts` */
    char boot[HISTORY_BOOT_BYTES + 1];
    int64_t first_ns, first_ms, last_ms;
    bool has_end;
};

struct history {
    struct texts *texts; /* the caller's, shared with what it is compared with */
    struct history_op *ops;
    size_t count, capacity;
    struct history_file files[HISTORY_FILES_MAX];
    size_t files_count;
};

/* Reads one more file. 0, or a negative errno with the line that is wrong. Files of different boots
 * have no common clock and are refused. */
int history_read(struct history *history, const char *path, struct err *err) MUST_CHECK;
/* … from memory; `path` only names it. */
int history_read_bytes(struct history *history, const char *path, struct slice bytes,
                       struct err *err) MUST_CHECK;
void history_deinit(struct history *history);

/* True when the op told a coupon. */
static inline bool history_is_pass(const struct history_op *op) {
    return op->told == TOLD_ISSUED || op->told == TOLD_ALREADY_ISSUED;
}

const char *history_told_name(unsigned told);
