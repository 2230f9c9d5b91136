/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base.h"

enum { V4_PREFIX_BYTES = 12, V4_PREFIX_BITS = 96, ALL_BITS = 128, SUBSCRIBER_BYTES = 8 };

static const unsigned char v4_prefix[V4_PREFIX_BYTES] = {[10] = 0xff, [11] = 0xff};

static struct ip ip_of_v4(const void *four_bytes) {
    struct ip ip;
    memcpy(ip.bytes, v4_prefix, V4_PREFIX_BYTES);
    memcpy(ip.bytes + V4_PREFIX_BYTES, four_bytes, sizeof ip.bytes - V4_PREFIX_BYTES);
    return ip;
}

bool ip_parse(struct slice text, struct ip *ip) {
    char copy[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n) != NULL) return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (memchr(text.p, ':', text.n) != NULL) return inet_pton(AF_INET6, copy, ip->bytes) == 1;
    struct in_addr v4;
    if (inet_pton(AF_INET, copy, &v4) != 1) return false;
    *ip = ip_of_v4(&v4);
    return true;
}

struct ip ip_of_socket(const struct sockaddr *address) {
    struct ip ip = {{0}};
    if (address->sa_family == AF_INET)
        return ip_of_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
    if (address->sa_family == AF_INET6)
        memcpy(ip.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
               sizeof ip.bytes);
    return ip;
}

void ip_format(const struct ip *ip, char text[IP_TEXT_BYTES]) {
    static_assert(IP_TEXT_BYTES == INET6_ADDRSTRLEN, "the longest text");
    bool is_v4 = ip_is_v4(ip);
    const unsigned char *bytes = is_v4 ? ip->bytes + V4_PREFIX_BYTES : ip->bytes;
    ASSERT(inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes, text, IP_TEXT_BYTES) != NULL);
}

bool ip_is_v4(const struct ip *ip) {
    return memcmp(ip->bytes, v4_prefix, V4_PREFIX_BYTES) == 0;
}

bool ip_is_loopback(const struct ip *ip) {
    static const struct ip v6_loopback = {{[15] = 1}};
    return ip_is_v4(ip) ? ip->bytes[V4_PREFIX_BYTES] == 127 : ip_eq(ip, &v6_loopback);
}

struct slice ip_subscriber(const struct ip *ip) {
    return slice_of(ip->bytes, ip_is_v4(ip) ? sizeof ip->bytes : SUBSCRIBER_BYTES);
}

/* `text` is a decimal number of at most `max`, without leading zeros. */
static bool parse_bits(struct slice text, unsigned max, unsigned *bits) {
    if (text.n == 0 || text.n > 3 || (text.p[0] == '0' && text.n > 1)) return false;
    *bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        *bits = *bits * 10 + (unsigned)(text.p[i] - '0');
    }
    return *bits <= max;
}

/* The bits of byte `at` that a prefix of `bits` covers. */
static unsigned char mask_of(unsigned bits, size_t at) {
    if (bits >= 8 * (at + 1)) return 0xff;
    return bits <= 8 * at ? 0 : (unsigned char)(0xff00u >> (bits - 8 * at));
}

bool ip_range_parse(struct slice text, struct ip_range *range) {
    const char *slash = text.n == 0 ? NULL : memchr(text.p, '/', text.n);
    size_t n = slash == NULL ? text.n : (size_t)(slash - text.p);
    if (!ip_parse(slice_of(text.p, n), &range->base)) return false;
    bool is_dotted = memchr(text.p, ':', n) == NULL;
    unsigned bits = is_dotted ? ALL_BITS - V4_PREFIX_BITS : ALL_BITS;
    if (slash != NULL && !parse_bits(slice_of(slash + 1, text.n - n - 1), bits, &bits))
        return false;
    range->bits = (uint8_t)(is_dotted ? bits + V4_PREFIX_BITS : bits);
    for (size_t i = 0; i < sizeof range->base.bytes; i++)
        if ((range->base.bytes[i] & ~mask_of(range->bits, i)) != 0) return false;
    return true;
}

bool ip_range_has(const struct ip_range *range, const struct ip *ip) {
    if (range->bits < V4_PREFIX_BITS && ip_is_v4(ip)) return false;
    for (size_t i = 0; i < sizeof ip->bytes; i++)
        if (((range->base.bytes[i] ^ ip->bytes[i]) & mask_of(range->bits, i)) != 0) return false;
    return true;
}
