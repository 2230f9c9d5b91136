/* SPDX-License-Identifier: Apache-2.0 */
#include "api/login_guard.h"

#include <string.h>

#include "lib/base.h"

#define FORGET_NS (GUARD_FORGET_S * UINT64_C(1000000000))
#define FIRST_DELAY_NS UINT64_C(250000000)

enum { DOUBLINGS_MAX = 5 };

static bool is_of(const struct guard_entry *entry, const struct guard_address *address) {
    return entry->failures != 0 && memcmp(&entry->address, address, sizeof *address) == 0;
}

static const struct guard_entry *find(const struct login_guard *guard,
                                      const struct guard_address *address) {
    for (size_t i = 0; i < GUARD_ADDRESSES_MAX; i++)
        if (is_of(&guard->entries[i], address)) return &guard->entries[i];
    return NULL;
}

bool guard_admits(const struct login_guard *guard, const struct guard_address *address) {
    const struct guard_entry *entry = find(guard, address);
    return entry == NULL || entry->held < GUARD_HELD_MAX;
}

/* The place of `address`: its own, a free one, or that of whoever failed longest ago and has no
 * answer held. NULL when all have. */
static struct guard_entry *place_of(struct login_guard *guard,
                                    const struct guard_address *address) {
    struct guard_entry *oldest = NULL;
    for (size_t i = 0; i < GUARD_ADDRESSES_MAX; i++) {
        struct guard_entry *entry = &guard->entries[i];
        if (is_of(entry, address)) return entry;
        if (entry->held != 0) continue;
        if (oldest == NULL || (entry->failures == 0 && oldest->failures != 0) ||
            (entry->failures != 0 && oldest->failures != 0 && entry->at_ns < oldest->at_ns))
            oldest = entry;
    }
    if (oldest != NULL) *oldest = (struct guard_entry){.address = *address};
    return oldest;
}

/* One failure is forgotten for every FORGET_NS that passed. */
static void forget(struct guard_entry *entry, uint64_t now_ns) {
    if (entry->failures == 0) entry->at_ns = now_ns;
    uint64_t steps = (now_ns - entry->at_ns) / FORGET_NS;
    entry->failures -= (uint32_t)(steps < entry->failures ? steps : entry->failures);
    entry->at_ns += steps * FORGET_NS;
}

uint64_t guard_failed(struct login_guard *guard, const struct guard_address *address,
                      uint64_t now_ns, struct guard_entry **held) {
    struct guard_entry *entry = place_of(guard, address);
    *held = entry;
    if (entry == NULL) return 0;
    forget(entry, now_ns);
    uint32_t doublings = entry->failures < DOUBLINGS_MAX ? entry->failures : DOUBLINGS_MAX;
    if (entry->failures < GUARD_FAILURES_MAX) entry->failures++;
    entry->held++;
    return FIRST_DELAY_NS << doublings;
}

void guard_release(struct guard_entry *held) {
    ASSERT(held->held != 0);
    held->held--;
}

struct guard_address guard_address_of(const struct ip *ip) {
    struct guard_address address = {{0}};
    struct slice subscriber = ip_subscriber(ip);
    memcpy(address.bytes, subscriber.p, subscriber.n);
    return address;
}
