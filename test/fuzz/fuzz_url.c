/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a URL of the command line. What is accepted has all parts, and put together again
 * means the same.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>

#include "lib/http/client.h"

static void check_parts(const struct http_url *url) {
    const long port = strtol(url->port, NULL, 10);
    ASSERT(url->host[0] != '\0' && port >= 1 && port <= 65535);
    ASSERT(strspn(url->port, "0123456789") == strlen(url->port));
    ASSERT(url->path[0] == '\0' || url->path[0] == '/');
    ASSERT(url->path[0] == '\0' || url->path[strlen(url->path) - 1] != '/');
    for (const char *c = url->host; *c != '\0'; c++) ASSERT(*c > ' ' && *c < 0x7f);
    for (const char *c = url->path; *c != '\0'; c++) ASSERT(*c > ' ' && *c < 0x7f);
}

static void check_again(const struct http_url *url) {
    char text[sizeof *url + 16];
    struct http_url again;
    struct err err;
    const bool is_bracketed = strchr(url->host, ']') == NULL;
    snprintf(text, sizeof text, "http://%s%s%s:%s%s", is_bracketed ? "[" : "", url->host,
             is_bracketed ? "]" : "", url->port, url->path);
    ASSERT(http_url_parse(&again, text, &err) == 0);
    ASSERT(strcmp(again.host, url->host) == 0 && strcmp(again.port, url->port) == 0);
    ASSERT(strcmp(again.path, url->path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct http_url url;
    struct err err = {0};
    char *text = malloc(size + 1);
    ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (http_url_parse(&url, text, &err) == 0) {
        check_parts(&url);
        check_again(&url);
    } else {
        ASSERT(err.code < 0 && err.text[0] != '\0');
    }
    free(text);
    return 0;
}
