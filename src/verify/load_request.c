/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A request that the contract refuses without closing the connection, so that it can stand in the
 * middle of a pipeline. %P is the user's id, %E the event's. */
struct bad_request {
    uint16_t status;
    const char *what;
    const char *method;
    const char *type;
    const char *body;
};

static const struct bad_request bad_requests[REQUEST_BAD_KINDS] = {
    {400, "a body that is not JSON", "POST", "application/json", "{\"user_id\":%P"},
    {422, "a body without event_id", "POST", "application/json", "{\"user_id\":\"%P\"}"},
    {422, "a user_id with a space", "POST", "application/json",
     "{\"user_id\":\"a %P\",\"event_id\":\"%E\"}"},
    {422, "a user_id that is a number", "POST", "application/json",
     "{\"user_id\":17,\"event_id\":\"%E\"}"},
    {400, "a repeated key", "POST", "application/json",
     "{\"user_id\":\"%P\",\"user_id\":\"%P\",\"event_id\":\"%E\"}"},
    {404, "an unknown event", "POST", "application/json",
     "{\"user_id\":\"%P\",\"event_id\":\"no-such-event-of-any-load-run\"}"},
    {415, "a body that is not declared as JSON", "POST", "text/plain",
     "{\"user_id\":\"%P\",\"event_id\":\"%E\"}"},
    {405, "a wrong method", "PUT", "application/json", "{\"user_id\":\"%P\",\"event_id\":\"%E\"}"},
};

static bool is_id(const char *text, const char *more, bool more_at_start) {
    size_t n = strlen(text);
    if (n == 0) return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!alphanumeric && !((i > 0 || more_at_start) && strchr(more, c) != NULL)) return false;
    }
    return true;
}

static uint8_t digits_of(uint32_t n) {
    uint8_t digits = 1;
    for (; n >= 10; n /= 10) digits++;
    return digits;
}

/* Two decimal digits at a time. */
static void write_number(char *out, unsigned digits, uint32_t number) {
    while (digits >= 2) {
        uint32_t two = number % 100;
        number /= 100;
        digits -= 2;
        out[digits] = (char)('0' + two / 10);
        out[digits + 1] = (char)('0' + two % 10);
    }
    if (digits == 1) out[0] = (char)('0' + number % 10);
}

/* Copies `pattern` to `out` with %P and %E filled in; *number_at is where the last user's digits
 * begin, 0 for none. The digits are zeros until a user is patched in. */
static size_t fill(const struct request_kit *kit, const char *pattern, char *out, size_t room,
                   size_t *number_at) {
    size_t n = 0;
    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'P') {
            n += (size_t)snprintf(out + n, room - n, "%s", kit->prefix);
            *number_at = n;
            memset(out + n, '0', kit->digits);
            n += kit->digits;
            pattern++;
        } else if (pattern[0] == '%' && pattern[1] == 'E') {
            n += (size_t)snprintf(out + n, room - n, "%s", kit->event);
            pattern++;
        } else {
            out[n++] = *pattern;
        }
        ASSERT(n + REQUEST_USER_ID_BYTES_MAX < room);
    }
    return n;
}

/* "Authorization: Bearer …" of a token of nobody; where the token begins is in *token_at. Nothing
 * when there are no tokens. */
static size_t add_token_field(const struct request_kit *kit, char *out, size_t *token_at) {
    static const char name[] = "Authorization: Bearer ";
    char user_id[REQUEST_USER_ID_BYTES_MAX + 1];
    *token_at = 0;
    if (kit->signer == NULL) return 0;
    memcpy(out, name, sizeof name - 1);
    *token_at = sizeof name - 1;
    size_t n = *token_at +
               load_signer_write(kit->signer, request_user_id(kit, 0, user_id), out + *token_at);
    memcpy(out + n, "\r\n", 2);
    return n + 2;
}

static void prepare_post(struct request_kit *kit, struct request_template *template,
                         const struct bad_request *shape, const char *host) {
    char body[REQUEST_BYTES_MAX], token[SIGNER_TOKEN_BYTES_MAX + 32];
    size_t number_at = 0, token_at;
    size_t token_bytes = add_token_field(kit, token, &token_at);
    size_t body_bytes = fill(kit, shape->body, body, sizeof body, &number_at);
    int first = snprintf(template->bytes, sizeof template->bytes,
                         "%s /api/v1/coupons/issue HTTP/1.1\r\nHost: %s\r\n", shape->method, host);
    int head = first + snprintf(template->bytes + first, sizeof template->bytes - (size_t)first,
                                "%.*sContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                                (int)token_bytes, token, shape->type, body_bytes);
    ASSERT(head > 0 && (size_t)head + body_bytes <= sizeof template->bytes);
    memcpy(template->bytes + head, body, body_bytes);
    template->n = (uint16_t)((size_t)head + body_bytes);
    template->number_at = number_at == 0 ? 0 : (uint16_t)((size_t)head + number_at);
    template->token_at = token_at == 0 ? 0 : (uint16_t)((size_t)first + token_at);
    template->expected_status = shape->status;
    template->what = shape->what;
}

static void prepare_query(struct request_kit *kit, const char *host) {
    struct request_template *template = &kit->templates[REQUEST_QUERY];
    char token[SIGNER_TOKEN_BYTES_MAX + 32];
    size_t number_at = 0, token_at;
    size_t token_bytes = add_token_field(kit, token, &token_at);
    size_t n = fill(kit, "GET /api/v1/coupons/user/%P/event/%E HTTP/1.1\r\nHost: ", template->bytes,
                    sizeof template->bytes - 132, &number_at);
    n += (size_t)snprintf(template->bytes + n, sizeof template->bytes - n, "%s\r\n", host);
    template->token_at = token_at == 0 ? 0 : (uint16_t)(n + token_at);
    n += (size_t)snprintf(template->bytes + n, sizeof template->bytes - n, "%.*s\r\n",
                          (int)token_bytes, token);
    ASSERT(n < sizeof template->bytes);
    template->n = (uint16_t)n;
    template->number_at = (uint16_t)number_at;
}

int request_kit_init(struct request_kit *kit, const char *host, const char *event,
                     const char *prefix, uint32_t users, const struct load_signer *signer,
                     struct err *err) {
    *kit = (struct request_kit){.digits = digits_of(users - 1), .signer = signer};
    if (!is_id(event, "-", true) || strlen(event) > REQUEST_USER_ID_BYTES_MAX)
        return err_set(err, -EINVAL, "--event %s: 1 to 64 of A-Z a-z 0-9 _ -", event);
    if (!is_id(prefix, ".~:@+-", false) || strlen(prefix) + kit->digits > REQUEST_USER_ID_BYTES_MAX)
        return err_set(err, -EINVAL,
                       "--user-prefix %s: 1 to %d of A-Z a-z 0-9 _ . ~ : @ + -, the first one "
                       "none of . ~ : @ + -",
                       prefix, REQUEST_USER_ID_BYTES_MAX - kit->digits);
    if (strlen(host) > 128) return err_set(err, -EINVAL, "--url: the host name is too long");
    kit->prefix_bytes = (uint8_t)snprintf(kit->prefix, sizeof kit->prefix, "%s", prefix);
    kit->event_bytes = (uint8_t)snprintf(kit->event, sizeof kit->event, "%s", event);

    static const struct bad_request claim = {0, NULL, "POST", "application/json",
                                             "{\"user_id\":\"%P\",\"event_id\":\"%E\"}"};
    prepare_post(kit, &kit->templates[REQUEST_CLAIM], &claim, host);
    prepare_query(kit, host);
    for (size_t i = 0; i < REQUEST_BAD_KINDS; i++)
        prepare_post(kit, &kit->templates[REQUEST_BAD + i], &bad_requests[i], host);
    return 0;
}

size_t request_write(const struct request_kit *kit, unsigned kind, uint32_t user, char *out) {
    const struct request_template *template = &kit->templates[kind];
    memcpy(out, template->bytes, template->n);
    if (template->number_at != 0) write_number(out + template->number_at, kit->digits, user);
    if (template->token_at != 0) {
        char user_id[REQUEST_USER_ID_BYTES_MAX + 1];
        load_signer_write(kit->signer, request_user_id(kit, user, user_id),
                          out + template->token_at);
    }
    return template->n;
}

struct slice request_user_id(const struct request_kit *kit, uint32_t user,
                             char out[REQUEST_USER_ID_BYTES_MAX + 1]) {
    memcpy(out, kit->prefix, kit->prefix_bytes);
    write_number(out + kit->prefix_bytes, kit->digits, user);
    size_t n = (size_t)kit->prefix_bytes + kit->digits;
    out[n] = '\0';
    return slice_of(out, n);
}

bool request_user_number(const struct request_kit *kit, struct slice user_id, uint32_t *user) {
    if (user_id.n != (size_t)kit->prefix_bytes + kit->digits) return false;
    if (memcmp(user_id.p, kit->prefix, kit->prefix_bytes) != 0) return false;
    uint64_t number = 0;
    for (size_t i = kit->prefix_bytes; i < user_id.n; i++) {
        if (user_id.p[i] < '0' || user_id.p[i] > '9') return false;
        number = number * 10 + (uint64_t)(user_id.p[i] - '0');
    }
    if (number > UINT32_MAX) return false;
    *user = (uint32_t)number;
    return true;
}
