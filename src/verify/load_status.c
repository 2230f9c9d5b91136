/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_status.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/http/client.h"

enum { STATUS_BYTES_MAX = 65536 };

static int read_fields(const json_t *root, struct load_status *status, struct err *err) {
    const json_t *stock = json_object_get(root, "total_stock");
    const json_t *remaining = json_object_get(root, "remaining_stock");
    const json_t *holders = json_object_get(root, "total_participants");
    const char *state = json_string_value(json_object_get(root, "status"));
    if (!json_is_integer(stock) || !json_is_integer(remaining) || !json_is_integer(holders) ||
        state == NULL || strlen(state) >= sizeof status->state)
        return err_set(err, -EPROTO, "the status of the event lacks a field");
    status->stock = json_integer_value(stock);
    status->remaining = json_integer_value(remaining);
    status->holders = json_integer_value(holders);
    if (status->stock < 0 || status->stock > LOAD_STOCK_MAX || status->remaining < 0 ||
        status->remaining > status->stock || status->holders < 0 || status->holders > status->stock)
        return err_set(err, -EPROTO,
                       "the status of the event is absurd: total_stock %lld, remaining_stock %lld, "
                       "total_participants %lld",
                       (long long)status->stock, (long long)status->remaining,
                       (long long)status->holders);
    snprintf(status->state, sizeof status->state, "%s", state);
    return 0;
}

static int read_answer(const struct load_config *config, int http_status, const struct buf *body,
                       struct load_status *status, struct err *err) {
    if (http_status == 404)
        return err_set(err, -ENOENT, "the server knows no event %s", config->event);
    if (http_status != 200)
        return err_set(err, -EPROTO, "the status of the event was answered with %d", http_status);
    json_error_t error;
    json_t *root = json_loadb(body->p, body->n, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return err_set(err, -EPROTO, "the status of the event is not JSON: %s", error.text);
    int failed = read_fields(root, status, err);
    json_decref(root);
    return failed;
}

int load_status_read(const struct load_config *config, struct load_status *status,
                     struct err *err) {
    char path[128];
    snprintf(path, sizeof path, "/api/v1/coupons/status/%s", config->event);
    struct http_call call = {
        .method = "GET", .path = path, .timeout_ms = (int)(config->timeout_ns / 1000000)};
    struct buf body;
    buf_init(&body, STATUS_BYTES_MAX);
    int http_status = 0;
    int failed = http_client_call(&config->url, &call, &http_status, &body, err);
    if (failed == 0) failed = read_answer(config, http_status, &body, status, err);
    buf_deinit(&body);
    return failed;
}
