/* SPDX-License-Identifier: Apache-2.0
 *
 * Who was told a coupon, and which: a table by user number. Losers take no room here, so it is as
 * small as the stock even for millions of users.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"

struct winner {
    uint64_t sent_ns;   /* when the claim that was answered first had been sent */
    int64_t serial;     /* as told; may be out of range */
    uint64_t coupon_at; /* of its coupon_id in the table's text */
    uint32_t user;
    uint8_t coupon_bytes;
    bool told_issued; /* by "issued", not only by "already_issued" or a query */
    bool is_exported; /* seen in the export */
};

struct winner_table {
    struct winner *items; /* in the order in which they were told */
    size_t count, capacity;
    uint32_t *slots;    /* open addressing: index + 1 of an item, 0 for none */
    size_t slots_count; /* a power of two, at least twice `count` */
    char *text;
    size_t text_bytes, text_capacity;
};

/* The winner, or NULL. The pointer is good until the next winner_add. */
struct winner *winner_find(const struct winner_table *table, uint32_t user);
/* Adds a user who is not in the table. NULL when there is no memory. */
struct winner *winner_add(struct winner_table *table, uint32_t user, int64_t serial,
                          struct slice coupon_id);
struct slice winner_coupon_id(const struct winner_table *table, const struct winner *winner);
void winner_table_deinit(struct winner_table *table);
