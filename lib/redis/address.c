/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/redis/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

bool redis_address_make(struct redis_address *address, struct slice host, long long port) {
    char text[REDIS_HOST_BYTES];
    unsigned char binary[sizeof(struct in6_addr)];
    if (host.n == 0 || host.n >= sizeof text || port < 1 || port > UINT16_MAX) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    int family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
    if (strlen(text) != host.n || inet_pton(family, text, binary) != 1) return false;
    if (inet_ntop(family, binary, address->host, sizeof address->host) == NULL) return false;
    address->port = (uint16_t)port;
    return true;
}

static bool read_port(struct slice text, long long *port) {
    *port = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || *port > UINT16_MAX) return false;
        *port = *port * 10 + text.p[i] - '0';
    }
    return text.n > 0;
}

bool redis_address_read(struct redis_address *address, struct slice text,
                        const struct redis_address *asked) {
    const char *colon = text.n == 0 ? NULL : memrchr(text.p, ':', text.n);
    if (colon == NULL) return false;
    struct slice host = slice_of(text.p, (size_t)(colon - text.p));
    long long port;
    if (!read_port(slice_of(colon + 1, text.n - host.n - 1), &port)) return false;
    if (host.n == 0 && asked != NULL) host = slice_str(asked->host);
    return redis_address_make(address, host, port);
}

bool redis_address_eq(const struct redis_address *a, const struct redis_address *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

void redis_address_format(const struct redis_address *address, char out[REDIS_ADDRESS_TEXT_BYTES]) {
    snprintf(out, REDIS_ADDRESS_TEXT_BYTES, "%s:%u", address->host, (unsigned)address->port);
}

socklen_t redis_address_socket(const struct redis_address *address, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)out;
    if (inet_pton(AF_INET, address->host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(address->port);
        return sizeof *four;
    }
    inet_pton(AF_INET6, address->host, &six->sin6_addr);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(address->port);
    return sizeof *six;
}
