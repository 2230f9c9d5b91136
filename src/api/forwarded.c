/* SPDX-License-Identifier: Apache-2.0 */
#include "api/forwarded.h"

bool proxies_parse(struct slice text, struct proxies *proxies, struct slice *bad) {
    proxies->count = 0;
    if (slice_eq(text, SLICE("none"))) return true;
    do {
        *bad = slice_trim(slice_cut(&text, ','));
        if (proxies->count == PROXIES_MAX ||
            !ip_range_parse(*bad, &proxies->ranges[proxies->count]))
            return false;
        proxies->count++;
    } while (text.n != 0);
    return true;
}

bool proxies_have(const struct proxies *proxies, const struct ip *ip) {
    for (uint32_t i = 0; i < proxies->count; i++)
        if (ip_range_has(&proxies->ranges[i], ip)) return true;
    return false;
}

static bool is_port(struct slice text) {
    if (text.n == 0 || text.n > 5) return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9') return false;
    return true;
}

/* An address with or without a port. */
static bool parse_node(struct slice text, struct ip *ip) {
    if (text.p[0] == '[') {
        struct slice inside = slice_cut(&text, ']');
        bool is_closed = inside.p + inside.n < text.p;
        bool has_good_end =
            text.n == 0 || (text.p[0] == ':' && is_port(slice_of(text.p + 1, text.n - 1)));
        inside = slice_of(inside.p + 1, inside.n - 1);
        return is_closed && has_good_end && memchr(inside.p, ':', inside.n) != NULL &&
               ip_parse(inside, ip);
    }
    struct slice rest = text, host = slice_cut(&rest, ':');
    bool has_port = host.n != text.n && memchr(host.p, '.', host.n) != NULL;
    if (has_port) return is_port(rest) && ip_parse(host, ip);
    return ip_parse(text, ip);
}

struct client forwarded_client(const struct proxies *proxies, const struct ip *peer,
                               const struct slice lines[HTTP_FORWARDED_LINES_MAX]) {
    const struct client unknown = {.ip = *peer, .is_forwarded = true};
    struct client client = {.ip = *peer};
    if (lines[0].p == NULL || !proxies_have(proxies, peer)) return client;
    client.is_forwarded = true;
    unsigned hops = 0;
    for (size_t i = 0; i < HTTP_FORWARDED_LINES_MAX; i++) {
        struct slice rest = lines[i];
        while (rest.n != 0) {
            struct slice item = slice_trim(slice_cut_last(&rest, ','));
            if (++hops > FORWARDED_HOPS_MAX) return unknown;
            if (item.n == 0) continue;
            if (!parse_node(item, &client.ip)) return unknown;
            if (!proxies_have(proxies, &client.ip)) return client;
        }
    }
    return client;
}
