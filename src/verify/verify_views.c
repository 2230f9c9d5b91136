/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/verify_views.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"

enum { ANSWER_BYTES_MAX = 64 * 1024, DIGEST_DIGITS = 16 };

static bool read_point(const json_t *view, struct view_point *point) {
    const char *name = json_string_value(json_object_get(view, "name"));
    const char *digest = json_string_value(json_object_get(view, "digest"));
    const json_t *seq = json_object_get(view, "seq");
    if (name == NULL || digest == NULL || !json_is_integer(seq) || json_integer_value(seq) < 0 ||
        strlen(digest) != DIGEST_DIGITS || strspn(digest, "0123456789abcdef") != DIGEST_DIGITS)
        return false;
    snprintf(point->name, sizeof point->name, "%s", name);
    point->seq = (uint64_t)json_integer_value(seq);
    point->digest = strtoull(digest, NULL, 16);
    return true;
}

int verify_views_read(struct slice body, struct view_point *points, size_t max, size_t *count) {
    json_t *root = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *views = json_object_get(root, "views");
    size_t n = json_array_size(views);
    bool is_good = json_is_array(views) && n <= max;
    for (size_t i = 0; is_good && i < n; i++)
        is_good = read_point(json_array_get(views, i), &points[i]);
    json_decref(root);
    *count = is_good ? n : 0;
    return is_good ? 0 : -EBADMSG;
}

int verify_views_points(void *ctx, struct view_point *points, size_t max, size_t *count,
                        struct err *err) {
    const struct verify_views *views = ctx;
    const struct http_call call = {.method = "GET",
                                   .path = "/admin/v1/views",
                                   .bearer = views->token,
                                   .timeout_ms = views->timeout_ms};
    struct buf answer;
    buf_init(&answer, ANSWER_BYTES_MAX);
    int status = 0;
    int code = http_client_call(&views->url, &call, &status, &answer, err);
    if (code == 0 && status != 200)
        code = err_set(err, -EACCES, "the admin listener answered with %d", status);
    if (code == 0 && verify_views_read(buf_slice(&answer), points, max, count) != 0)
        code = err_set(err, -EBADMSG, "the admin listener gave no list of views");
    buf_deinit(&answer);
    return code;
}
