/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts by number: each different one is kept once, so that a million records that name users,
 * codes and events cost four bytes for each name, and names are compared as numbers. Text 0 is "".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hash.h"
#include "lib/slice.h"

enum { TEXT_UNKNOWN = UINT32_MAX };

struct text_area;

struct texts {
    struct hash_key key;
    struct slice *all;
    uint32_t count, capacity;
    uint32_t *slots; /* number, or TEXT_UNKNOWN while empty; twice the capacity */
    struct text_area *areas;
    char *end;   /* of the newest area's bytes in use */
    size_t room; /* … and how many are left behind it */
    bool failed; /* memory was short: some text has number 0 for want of a place */
};

/* Empty. `key` has no influence on any number. */
void texts_init(struct texts *texts, const struct hash_key *key);
void texts_deinit(struct texts *texts);

/* The number of `text`, which is kept when it is new. */
uint32_t texts_number(struct texts *texts, struct slice text);
/* … or TEXT_UNKNOWN when it is not there. */
uint32_t texts_find(const struct texts *texts, struct slice text);
/* Lives as long as `texts`. */
struct slice texts_at(const struct texts *texts, uint32_t number);
