/* SPDX-License-Identifier: Apache-2.0
 *
 * The table is open addressing with linear probing, at most a quarter full. Nothing is ever taken
 * out: who returned a coupon stays known. Called by the judge.
 */
#include "claim/holders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/record.h"

struct id_area {
    struct id_area *older;
    char bytes[];
};

void holders_init(struct holders *holders, const struct hash_key *key) {
    *holders = (struct holders){.key = *key};
}

void holders_deinit(struct holders *holders) {
    for (struct id_area *area = holders->areas, *older; area != NULL; area = older) {
        older = area->older;
        free(area);
    }
    free(holders->serials);
    free(holders->all);
    free(holders->slots);
}

/* The slot bits of the hash that are compared before the id is. */
static uint32_t tag_of(const struct holders *holders, uint64_t hash) {
    return (uint32_t)(hash >> 32) & ~holders->index_mask;
}

static void put_in_slot(struct holders *holders, uint32_t index) {
    uint64_t hash = hash_slice(&holders->key, holder_user_id(&holders->all[index]));
    size_t at = hash & holders->slots_mask;
    while (holders->slots[at] != 0) at = (at + 1) & holders->slots_mask;
    holders->slots[at] = tag_of(holders, hash) | (index + 1);
}

const struct holder *holders_find(const struct holders *holders, struct slice user_id) {
    if (holders->count == 0) return NULL;
    uint64_t hash = hash_slice(&holders->key, user_id);
    uint32_t tag = tag_of(holders, hash);
    size_t at = hash & holders->slots_mask;
    for (uint32_t slot; (slot = holders->slots[at]) != 0; at = (at + 1) & holders->slots_mask) {
        if ((slot & ~holders->index_mask) != tag) continue;
        const struct holder *holder = &holders->all[(slot & holders->index_mask) - 1];
        if (slice_eq(holder_user_id(holder), user_id)) return holder;
    }
    return NULL;
}

const struct holder *holders_at(const struct holders *holders, uint32_t serial) {
    if (serial < 1 || serial > holders->serials_max) return NULL;
    uint32_t index_and_1 = holders->serials[serial].holder;
    return index_and_1 == 0 ? NULL : &holders->all[index_and_1 - 1];
}

void holders_add(struct holders *holders, struct slice user_id, uint32_t serial,
                 int64_t issued_ms) {
    ASSERT(holders->count < holders->max && serial <= holders->serials_max);
    ASSERT(user_id.n >= 1 && user_id.n <= USER_ID_BYTES_MAX);
    uint32_t index = holders->count++;
    holders->all[index] = (struct holder){.user_id = holders->ids_end,
                                          .issued_ms = issued_ms,
                                          .serial = serial,
                                          .user_id_bytes = (uint8_t)user_id.n};
    memcpy(holders->ids_end, user_id.p, user_id.n);
    holders->ids_end += user_id.n;
    holders->serials[serial].holder = index + 1;
    put_in_slot(holders, index);
}

void holders_give_back(struct holders *holders, uint32_t serial) {
    struct serial *entry = &holders->serials[serial];
    holders->all[entry->holder - 1].serial = 0;
    entry->holder = 0;
    entry->round++;
}

static int grow_serials(struct holders *holders, uint32_t serials) {
    /* calloc and not realloc: pages that stay zero are never touched. */
    struct serial *larger = calloc((size_t)serials + 1, sizeof(*larger));
    if (larger == NULL) return -ENOMEM;
    if (holders->serials != NULL)
        memcpy(larger, holders->serials, (holders->serials_max + 1) * sizeof(*larger));
    free(holders->serials);
    holders->serials = larger;
    holders->serials_max = serials;
    return 0;
}

static size_t power_of_2_from(size_t least) {
    size_t power = 1;
    while (power < least) power *= 2;
    return power;
}

/* Fills the empty table `slots` with everyone, and makes it the table. */
static void change_table(struct holders *holders, uint32_t *slots, size_t slots_count,
                         uint32_t max) {
    free(holders->slots);
    holders->slots = slots;
    holders->slots_mask = slots_count - 1;
    holders->index_mask = (uint32_t)(power_of_2_from((size_t)max + 1) - 1);
    holders->max = max;
    for (uint32_t i = 0; i < holders->count; i++) put_in_slot(holders, i);
}

static int grow_users(struct holders *holders, uint32_t max) {
    struct holder *all = realloc(holders->all, max * sizeof(*all));
    if (all == NULL) return -ENOMEM;
    holders->all = all;

    /* Room for the longest ids of all who are still to come; what the area before had left is
     * given up, which costs addresses and no memory. */
    size_t ids_bytes = (size_t)(max - holders->count) * USER_ID_BYTES_MAX;
    struct id_area *area = malloc(sizeof(*area) + ids_bytes);
    size_t slots_count = power_of_2_from((size_t)max * 4);
    uint32_t *slots = calloc(slots_count, sizeof(*slots));
    if (area == NULL || slots == NULL) {
        free(area);
        free(slots);
        return -ENOMEM;
    }
    area->older = holders->areas;
    holders->areas = area;
    holders->ids_end = area->bytes;
    change_table(holders, slots, slots_count, max);
    return 0;
}

/* The ids of `from` back to back in the area of `to`, and its holders pointing there. */
static void copy_holders(struct holders *to, const struct holders *from) {
    char *end = to->areas->bytes;
    for (uint32_t i = 0; i < from->count; i++) {
        struct slice user_id = holder_user_id(&from->all[i]);
        to->all[i] = from->all[i];
        to->all[i].user_id = end;
        memcpy(end, user_id.p, user_id.n);
        end += user_id.n;
    }
    to->ids_end = end;
    to->count = from->count;
}

int holders_copy(struct holders *to, const struct holders *from) {
    holders_init(to, &from->key);
    if (holders_reserve(to, from->serials_max, from->max) != 0) {
        holders_deinit(to);
        holders_init(to, &from->key);
        return -ENOMEM;
    }
    if (from->max == 0) return 0;
    copy_holders(to, from);
    /* Same key, same table. */
    ASSERT(to->slots_mask == from->slots_mask && to->index_mask == from->index_mask);
    memcpy(to->slots, from->slots, (from->slots_mask + 1) * sizeof(*to->slots));
    memcpy(to->serials, from->serials, ((size_t)from->serials_max + 1) * sizeof(*to->serials));
    return 0;
}

int holders_reserve(struct holders *holders, uint32_t serials, uint64_t users) {
    if (serials > holders->serials_max && grow_serials(holders, serials) != 0) return -ENOMEM;
    if (users <= holders->max) return 0;
    uint64_t max = holders->max == 0 ? users : users + users / 4;
    return max > INT32_MAX ? -ENOMEM : grow_users(holders, (uint32_t)max);
}
