/* SPDX-License-Identifier: Apache-2.0
 *
 * IP addresses and ranges of them, IPv4 and IPv6 in one shape. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/slice.h"

struct sockaddr;

enum { IP_TEXT_BYTES = 46 }; /* of the longest, with its NUL */

/* In network order; IPv4 as ::ffff:a.b.c.d, so that an address is the same in both writings. */
struct ip {
    unsigned char bytes[16];
};

/* "192.0.2.1" or "2001:db8::1", nothing else around it: no port, no zone, no leading zeros in a
 * decimal part. */
bool ip_parse(struct slice text, struct ip *ip);
/* Of a socket; :: when it is neither of IPv4 nor of IPv6. */
struct ip ip_of_socket(const struct sockaddr *address);
/* As text with a NUL, IPv4 with its dots alone. */
void ip_format(const struct ip *ip, char text[IP_TEXT_BYTES]);

bool ip_is_v4(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip); /* 127.0.0.0/8 or ::1 */
static inline bool ip_eq(const struct ip *a, const struct ip *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* What tells one subscriber from another, borrowed from `ip`: all of an IPv4 address, of IPv6 the
 * first 64 bits, because the rest is the subscriber's own to choose (RFC 6177). The two are of
 * different lengths, so no key of one is one of the other. */
struct slice ip_subscriber(const struct ip *ip);

/* The addresses that share the first `bits` bits of `base`. A range of IPv6 holds no IPv4. */
struct ip_range {
    struct ip base;
    uint8_t bits; /* of the 16 bytes */
};

/* An address, or an address and the number of its leading bits: "10.0.0.0/8", "2001:db8::/32". All
 * bits behind them must be zero. */
bool ip_range_parse(struct slice text, struct ip_range *range);
bool ip_range_has(const struct ip_range *range, const struct ip *ip);
