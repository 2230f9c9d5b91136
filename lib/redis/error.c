/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/redis/error.h"

#include <string.h>

#include "lib/redis/slot.h"

/* An error in the middle of a script keeps the writes before it, so what is not known may have run.
 * What is said here to have not run is refused at its first write at the latest. */
static const struct redis_error_class classes[] = {
    {"MOVED", REDIS_ERROR_MOVED, REDIS_FOLLOW, false, true},
    {"ASK", REDIS_ERROR_ASK, REDIS_ASK, false, false},
    {"TRYAGAIN", REDIS_ERROR_TRYAGAIN, REDIS_LATER, false, false},
    {"CLUSTERDOWN", REDIS_ERROR_CLUSTERDOWN, REDIS_LATER, false, true},
    {"LOADING", REDIS_ERROR_LOADING, REDIS_LATER, false, true},
    {"READONLY", REDIS_ERROR_READONLY, REDIS_LATER, false, true},
    {"MASTERDOWN", REDIS_ERROR_MASTERDOWN, REDIS_LATER, false, true},
    {"MISCONF", REDIS_ERROR_MISCONF, REDIS_LATER, false, true},
    {"NOSCRIPT", REDIS_ERROR_NOSCRIPT, REDIS_LOAD, false, false},
    {"BUSY", REDIS_ERROR_BUSY, REDIS_LATER, false, false},
    {"NOREPLICAS", REDIS_ERROR_NOREPLICAS, REDIS_LATER, false, false},
    {"OOM", REDIS_ERROR_OOM, REDIS_LATER, false, false},
    {"UNBLOCKED", REDIS_ERROR_UNBLOCKED, REDIS_LATER, true, true},
    {"CROSSSLOT", REDIS_ERROR_CROSSSLOT, REDIS_END, false, false},
    {"NOAUTH", REDIS_ERROR_NOAUTH, REDIS_END, false, false},
    {"NOPERM", REDIS_ERROR_NOPERM, REDIS_END, true, false},
    {"WRONGPASS", REDIS_ERROR_WRONGPASS, REDIS_END, false, false},
    {"", REDIS_ERROR_OTHER, REDIS_END, true, false},
};
static_assert(ARRAY_LEN(classes) == REDIS_ERRORS_COUNT, "one row for each kind");

static struct slice first_word(struct slice text) {
    const char *space = text.n == 0 ? NULL : memchr(text.p, ' ', text.n);
    return space == NULL ? text : slice_of(text.p, (size_t)(space - text.p));
}

const struct redis_error_class *redis_error_class(struct slice text) {
    struct slice word = first_word(text);
    size_t i = 0;
    while (i < ARRAY_LEN(classes) - 1 && !slice_eq(word, slice_str(classes[i].word))) i++;
    return &classes[i];
}

static struct slice behind(struct slice text, size_t bytes) {
    return bytes >= text.n ? SLICE("") : slice_of(text.p + bytes, text.n - bytes);
}

bool redis_redirect_read(struct slice text, const struct redis_address *from,
                         struct redis_redirect *redirect) {
    struct slice word = first_word(text);
    if (!slice_eq(word, SLICE("MOVED")) && !slice_eq(word, SLICE("ASK"))) return false;
    text = behind(text, word.n + 1);
    struct slice number = first_word(text);
    if (number.n == 0 || number.n > 5) return false;
    unsigned slot = 0;
    for (size_t i = 0; i < number.n; i++) {
        if (number.p[i] < '0' || number.p[i] > '9') return false;
        slot = slot * 10 + (unsigned)(number.p[i] - '0');
    }
    if (slot >= REDIS_SLOTS) return false;
    redirect->slot = (uint16_t)slot;
    return redis_address_read(&redirect->to, first_word(behind(text, number.n + 1)), from);
}
