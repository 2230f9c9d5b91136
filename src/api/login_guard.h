/* SPDX-License-Identifier: Apache-2.0
 *
 * Slows down whoever guesses the admin token. Failures are remembered by address (IPv6 by /64) in a
 * fixed table. The answer to each is held back, longer with every failure that the address has had
 * lately: the first for a quarter of a second, the sixth and all behind it for eight. How many
 * answers may be held for an address is bounded; while that many are, the address is refused
 * without a look at its token, so that asking on many connections at once is no way around.
 *
 * Who has the right token is never held back for the failures of others. Pure; time comes in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/ip.h"

enum {
    GUARD_ADDRESSES_MAX = 256,
    GUARD_HELD_MAX = 4,       /* answers held for one address */
    GUARD_FORGET_S = 30,      /* for one failure to be forgotten */
    GUARD_FAILURES_MAX = 64,  /* counted of an address */
    GUARD_ADDRESS_BYTES = 16, /* an IPv4 address is mapped into IPv6 */
};

struct guard_address {
    unsigned char bytes[GUARD_ADDRESS_BYTES];
};

struct guard_entry {
    struct guard_address address;
    uint64_t at_ns;    /* of the failure counted last, moved on by what was forgotten since */
    uint32_t failures; /* 0: a free place */
    uint32_t held;     /* answers held back now: such an entry keeps its place */
};

struct login_guard { /* zeroed: nobody failed */
    struct guard_entry entries[GUARD_ADDRESSES_MAX];
};

/* May the token that `address` shows be looked at now? */
bool guard_admits(const struct login_guard *guard, const struct guard_address *address);

/* A token of `address` was wrong: for how long to hold the answer, and in `*held` what
 * guard_release takes once it is sent. NULL there: the table is full of addresses whose answers are
 * held; the answer is then not to be held but to be a refusal for the time being. */
uint64_t guard_failed(struct login_guard *guard, const struct guard_address *address,
                      uint64_t now_ns, struct guard_entry **held);
void guard_release(struct guard_entry *held);

/* A client's address as the table knows it. */
struct guard_address guard_address_of(const struct ip *ip);
