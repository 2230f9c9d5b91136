/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose request it is that a proxy passes on: X-Forwarded-For, believed only as far as it was
 * written by proxies that the operator trusts.
 *
 *     X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2        peer 10.0.0.1
 *                      ^ anybody    ^ the client  ^ trusted            ^ trusted
 *
 * Each proxy adds, on the right, the address that it was spoken to from. So what stands left of the
 * first address from the right that is no trusted proxy may have been made up by that client, and
 * is not looked at. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/http/request.h"
#include "lib/ip.h"
#include "lib/slice.h"

enum { PROXIES_MAX = 64, FORWARDED_HOPS_MAX = 32 };

struct proxies {
    uint32_t count;
    struct ip_range ranges[PROXIES_MAX];
};

/* "10.0.0.0/8, 2001:db8::1", or "none". False with the item that is no address or range, or one too
 * many. */
bool proxies_parse(struct slice text, struct proxies *proxies, struct slice *bad);
bool proxies_have(const struct proxies *proxies, const struct ip *ip);

struct client {
    struct ip ip;
    bool is_forwarded; /* a trusted proxy spoke for somebody */
};

/* The client behind `peer`, from the lines of X-Forwarded-For as in struct http_request. It is
 *   - `peer` itself, when that is no trusted proxy, or there is no line;
 *   - else the first address from the right that is no trusted proxy;
 *   - when all are, the leftmost;
 *   - `peer`, when something that is no address, or the 33rd address, comes before that.
 * An address may have a port ("192.0.2.1:80", "[2001:db8::1]:80"). Empty items are skipped. */
struct client forwarded_client(const struct proxies *proxies, const struct ip *peer,
                               const struct slice lines[HTTP_FORWARDED_LINES_MAX]);
