/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_winner.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct winner_table *table, uint32_t user) {
    /* Fibonacci hashing: user numbers are ours, nobody chooses them to collide. */
    return (size_t)((user * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (table->slots_count - 1);
}

static void put_slot(struct winner_table *table, uint32_t user, size_t index) {
    size_t slot = slot_of(table, user);
    while (table->slots[slot] != 0) slot = (slot + 1) & (table->slots_count - 1);
    table->slots[slot] = (uint32_t)index + 1;
}

struct winner *winner_find(const struct winner_table *table, uint32_t user) {
    if (table->slots_count == 0) return NULL;
    for (size_t slot = slot_of(table, user); table->slots[slot] != 0;
         slot = (slot + 1) & (table->slots_count - 1)) {
        struct winner *winner = &table->items[table->slots[slot] - 1];
        if (winner->user == user) return winner;
    }
    return NULL;
}

static bool grow_slots(struct winner_table *table) {
    if ((table->count + 1) * 2 <= table->slots_count) return true;
    size_t slots_count = size_max(1024, table->slots_count * 2);
    uint32_t *slots = calloc(slots_count, sizeof *slots);
    if (slots == NULL) return false;
    free(table->slots);
    table->slots = slots;
    table->slots_count = slots_count;
    for (size_t i = 0; i < table->count; i++) put_slot(table, table->items[i].user, i);
    return true;
}

static bool grow_items(struct winner_table *table) {
    if (table->count < table->capacity) return true;
    size_t capacity = size_max(512, table->capacity * 2);
    struct winner *items = reallocarray(table->items, capacity, sizeof *items);
    if (items == NULL) return false;
    table->items = items;
    table->capacity = capacity;
    return true;
}

static bool grow_text(struct winner_table *table, size_t bytes) {
    if (table->text_capacity - table->text_bytes >= bytes) return true;
    size_t capacity = size_max(16384, table->text_capacity * 2);
    char *text = realloc(table->text, capacity);
    if (text == NULL) return false;
    table->text = text;
    table->text_capacity = capacity;
    return true;
}

struct winner *winner_add(struct winner_table *table, uint32_t user, int64_t serial,
                          struct slice coupon_id) {
    ASSERT(coupon_id.n <= UINT8_MAX);
    if (!grow_slots(table) || !grow_items(table) || !grow_text(table, coupon_id.n)) return NULL;
    struct winner *winner = &table->items[table->count];
    *winner = (struct winner){.user = user,
                              .serial = serial,
                              .coupon_at = table->text_bytes,
                              .coupon_bytes = (uint8_t)coupon_id.n};
    memcpy(table->text + table->text_bytes, coupon_id.p, coupon_id.n);
    table->text_bytes += coupon_id.n;
    put_slot(table, user, table->count++);
    return winner;
}

struct slice winner_coupon_id(const struct winner_table *table, const struct winner *winner) {
    return slice_of(table->text + winner->coupon_at, winner->coupon_bytes);
}

void winner_table_deinit(struct winner_table *table) {
    free(table->items);
    free(table->slots);
    free(table->text);
    *table = (struct winner_table){0};
}
