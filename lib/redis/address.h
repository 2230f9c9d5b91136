/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a node of a cluster listens: a numeric IP address and a port, as nodes tell each other's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base.h"
#include "lib/slice.h"

enum { REDIS_HOST_BYTES = 46, REDIS_ADDRESS_TEXT_BYTES = REDIS_HOST_BYTES + 8 };

struct redis_address {
    char host[REDIS_HOST_BYTES]; /* numeric, NUL-terminated, spelled as inet_ntop does */
    uint16_t port;
};

/* False when `host` is no numeric IPv4 or IPv6 address, or `port` none. */
bool redis_address_make(struct redis_address *address, struct slice host, long long port);

/* Reads "host:port", with the last colon as the divider; an empty host is that of `asked`, which is
 * how a node speaks of itself before it knows its address. */
bool redis_address_read(struct redis_address *address, struct slice text,
                        const struct redis_address *asked);

bool redis_address_eq(const struct redis_address *a, const struct redis_address *b);

/* "127.0.0.1:7000", for people. */
void redis_address_format(const struct redis_address *address, char out[REDIS_ADDRESS_TEXT_BYTES]);

/* For connect(2); returns the bytes of `out` in use. */
socklen_t redis_address_socket(const struct redis_address *address, struct sockaddr_storage *out);
