/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as X-Forwarded-For: the lines of the input, the first of which lists the trusted
 * proxies. Whom the header names is what a reader that joins all lines finds, and what a client
 * writes in front of that changes nothing.
 */
#include "fuzz/fuzz.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "api/forwarded.h"
#include "lib/base.h"

struct input {
    struct proxies proxies;
    size_t count;
    struct slice lines[HTTP_FORWARDED_LINES_MAX]; /* the last first; each in memory of its size */
};

static const struct ip peer = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}};

static struct slice copy_of(struct slice prefix, struct slice text) {
    char *copy = malloc(prefix.n + text.n + 1);
    ASSERT(copy != NULL);
    if (prefix.n != 0) memcpy(copy, prefix.p, prefix.n);
    if (text.n != 0) memcpy(copy + prefix.n, text.p, text.n);
    return slice_of(copy, prefix.n + text.n);
}

static void read_input(struct input *input, struct slice rest) {
    static const struct ip_range usual = {.base = {{[10] = 0xff, [11] = 0xff, 10}}, .bits = 96 + 8};
    struct slice bad;
    if (!proxies_parse(slice_cut(&rest, '\n'), &input->proxies, &bad))
        input->proxies = (struct proxies){.count = 1, .ranges = {usual}};
    while (rest.n != 0 && input->count < HTTP_FORWARDED_LINES_MAX)
        input->lines[input->count++] = copy_of(SLICE(""), slice_cut_last(&rest, '\n'));
}

static void check_text(const struct ip *ip) {
    char text[INET6_ADDRSTRLEN];
    struct ip again;
    ASSERT(inet_ntop(AF_INET6, ip->bytes, text, sizeof text) != NULL);
    ASSERT(ip_parse(slice_str(text), &again) && ip_eq(&again, ip));
}

/* The same once more with an item in front of the leftmost line. */
static struct client with_prefix(const struct input *input, struct slice prefix) {
    struct slice lines[HTTP_FORWARDED_LINES_MAX];
    memcpy(lines, input->lines, sizeof lines);
    struct slice *leftmost = &lines[input->count - 1];
    *leftmost = copy_of(prefix, *leftmost);
    const struct client client = forwarded_client(&input->proxies, &peer, lines);
    free((void *)(uintptr_t)leftmost->p);
    return client;
}

static bool is_same(const struct client *a, const struct client *b) {
    return ip_eq(&a->ip, &b->ip) && a->is_forwarded == b->is_forwarded;
}

/* All lines as one. */
static struct client joined(const struct input *input) {
    struct slice lines[HTTP_FORWARDED_LINES_MAX] = {{NULL, 0}};
    for (size_t i = input->count; i-- > 0;) {
        const struct slice before = lines[0];
        if (before.p != NULL) {
            const struct slice comma = copy_of(before, SLICE(","));
            lines[0] = copy_of(comma, input->lines[i]);
            free((void *)(uintptr_t)comma.p);
        } else {
            lines[0] = copy_of(SLICE(""), input->lines[i]);
        }
        free((void *)(uintptr_t)before.p);
    }
    const struct client client = forwarded_client(&input->proxies, &peer, lines);
    free((void *)(uintptr_t)lines[0].p);
    return client;
}

/* Empty lines count as a hop when they are joined: so few items that it does not matter. */
static bool has_few_items(const struct input *input) {
    size_t commas = HTTP_FORWARDED_LINES_MAX + 1;
    for (size_t i = 0; i < input->count; i++)
        for (size_t at = 0; at < input->lines[i].n; at++) commas += input->lines[i].p[at] == ',';
    return commas < FORWARDED_HOPS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {0};
    read_input(&input, slice_of(data, size));
    const struct client client = forwarded_client(&input.proxies, &peer, input.lines);
    check_text(&client.ip);
    bool is_believed = input.count != 0 && proxies_have(&input.proxies, &peer);
    ASSERT(client.is_forwarded == is_believed);
    ASSERT(is_believed || ip_eq(&client.ip, &peer));
    if (input.count != 0 && has_few_items(&input)) {
        const struct client one_line = joined(&input);
        ASSERT(is_same(&client, &one_line));
        const struct client spoofed = with_prefix(&input, SLICE("127.0.0.1,x,"));
        if (!proxies_have(&input.proxies, &client.ip)) ASSERT(is_same(&client, &spoofed));
    }
    for (size_t i = 0; i < input.count; i++) free((void *)(uintptr_t)input.lines[i].p);
    return 0;
}
