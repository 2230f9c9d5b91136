/* SPDX-License-Identifier: Apache-2.0
 *
 * http://host[:port][/path] into its parts, for the client.
 */
#include "lib/http/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int refuse(struct err *err, const char *text, const char *why) {
    return err_set(err, -EINVAL, "%.200s is not a URL like http://127.0.0.1:8081: %s", text, why);
}

static bool copy(char *out, size_t out_bytes, struct slice text) {
    if (text.n >= out_bytes) return false;
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
    return true;
}

/* The host at `*p`, without brackets; steps behind it. */
static struct slice take_host(const char **p) {
    const char *start = *p;
    if (*start == '[') {
        const char *end = strchr(start, ']');
        if (end == NULL) return slice_of(start, 0);
        *p = end + 1;
        return slice_of(start + 1, (size_t)(end - start) - 1);
    }
    *p += strcspn(start, ":/?#@");
    return slice_of(start, (size_t)(*p - start));
}

static bool take_port(const char **p, char port[6]) {
    const char *start = *p;
    while (isdigit((unsigned char)**p)) (*p)++;
    const size_t digits = (size_t)(*p - start);
    if (digits == 0 || digits > 5) return false;
    memcpy(port, start, digits);
    port[digits] = '\0';
    const long number = strtol(port, NULL, 10);
    return number > 0 && number <= 65535;
}

int http_url_parse(struct http_url *url, const char *text, struct err *err) {
    if (strncasecmp(text, "http://", 7) != 0)
        return refuse(err, text, "it must begin with http://");
    const char *p = text + 7;
    const struct slice host = take_host(&p);
    for (size_t i = 0; i < host.n; i++)
        if (!isgraph((unsigned char)host.p[i])) return refuse(err, text, "the host is malformed");
    if (host.n == 0 || !copy(url->host, sizeof url->host, host))
        return refuse(err, text, "the host is missing or too long");
    memcpy(url->port, "80", sizeof "80");
    if (*p == ':') {
        p++;
        if (!take_port(&p, url->port)) return refuse(err, text, "the port must be 1 to 65535");
    }
    if (*p != '\0' && *p != '/') return refuse(err, text, "behind the host comes a port or a path");
    struct slice path = slice_str(p);
    while (path.n > 0 && path.p[path.n - 1] == '/') path.n--;
    for (size_t i = 0; i < path.n; i++)
        if (!isgraph((unsigned char)path.p[i]) || path.p[i] == '?' || path.p[i] == '#')
            return refuse(err, text, "the path has a byte that is not allowed there");
    if (!copy(url->path, sizeof url->path, path)) return refuse(err, text, "the path is too long");
    return 0;
}
