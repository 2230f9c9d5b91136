/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/texts.h"

#include <stdlib.h>
#include <string.h>

enum { AREA_BYTES = 64 * 1024 };

struct text_area {
    struct text_area *next;
    char bytes[];
};

void texts_init(struct texts *texts, const struct hash_key *key) {
    *texts = (struct texts){.key = *key};
}

void texts_deinit(struct texts *texts) {
    while (texts->areas != NULL) {
        struct text_area *area = texts->areas;
        texts->areas = area->next;
        free(area);
    }
    free(texts->all);
    free(texts->slots);
    *texts = (struct texts){.key = texts->key};
}

static size_t slot_of(const struct texts *texts, struct slice text) {
    size_t mask = (size_t)texts->capacity * 2 - 1;
    size_t at = hash_slice(&texts->key, text) & mask;
    while (texts->slots[at] != TEXT_UNKNOWN && !slice_eq(texts->all[texts->slots[at]], text))
        at = (at + 1) & mask;
    return at;
}

uint32_t texts_find(const struct texts *texts, struct slice text) {
    if (text.n == 0) return 0;
    return texts->capacity == 0 ? TEXT_UNKNOWN : texts->slots[slot_of(texts, text)];
}

struct slice texts_at(const struct texts *texts, uint32_t number) {
    return number < texts->count ? texts->all[number] : slice_of("", 0);
}

static bool grow(struct texts *texts) {
    uint32_t capacity = texts->capacity == 0 ? 1024 : texts->capacity * 2;
    if (capacity > UINT32_MAX / 4) return false;
    struct slice *all = reallocarray(texts->all, capacity, sizeof *all);
    if (all == NULL) return false;
    texts->all = all;
    uint32_t *slots = reallocarray(NULL, (size_t)capacity * 2, sizeof *slots);
    if (slots == NULL) return false;
    memset(slots, 0xff, (size_t)capacity * 2 * sizeof *slots);
    free(texts->slots);
    texts->slots = slots;
    texts->capacity = capacity;
    if (texts->count == 0) texts->all[texts->count++] = slice_of("", 0);
    for (uint32_t i = 1; i < texts->count; i++) slots[slot_of(texts, texts->all[i])] = i;
    return true;
}

static const char *keep(struct texts *texts, struct slice text) {
    if (texts->room < text.n) {
        size_t bytes = text.n > AREA_BYTES ? text.n : AREA_BYTES;
        struct text_area *area = malloc(sizeof *area + bytes);
        if (area == NULL) return NULL;
        area->next = texts->areas;
        texts->areas = area;
        texts->end = area->bytes;
        texts->room = bytes;
    }
    char *kept = texts->end;
    memcpy(kept, text.p, text.n);
    texts->end += text.n;
    texts->room -= text.n;
    return kept;
}

uint32_t texts_number(struct texts *texts, struct slice text) {
    if (text.n == 0) return 0;
    bool has_room = texts->count < texts->capacity || grow(texts);
    if (has_room) {
        size_t slot = slot_of(texts, text);
        if (texts->slots[slot] != TEXT_UNKNOWN) return texts->slots[slot];
        const char *kept = keep(texts, text);
        if (kept != NULL) {
            texts->all[texts->count] = slice_of(kept, text.n);
            return texts->slots[slot] = texts->count++;
        }
    }
    texts->failed = true;
    return 0;
}
