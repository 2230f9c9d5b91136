/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/redis_scripts.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- calls ---- */

void script_keys_make(struct script_keys *keys, struct slice event_id) {
    ASSERT(event_id.n <= EVENT_ID_BYTES_MAX);
    keys->bytes = event_id.n + sizeof "coupon:{}:m" - 1;
    for (int i = 0; i < INSTALL_KEYS; i++) {
        char *p = keys->text[i];
        memcpy(p, "coupon:{", 8);
        if (event_id.n > 0) memcpy(p + 8, event_id.p, event_id.n);
        p += 8 + event_id.n;
        memcpy(p, "}:", 2);
        p[2] = "mufosb"[i];
    }
}

static void put_keys(struct slice *words, const struct script_keys *keys, int count) {
    words[0] = count == SCRIPT_KEYS ? SLICE("4") : SLICE("6");
    for (int i = 0; i < count; i++) words[1 + i] = slice_of(keys->text[i], keys->bytes);
}
static_assert(SCRIPT_KEYS == 4 && INSTALL_KEYS == 6, "as put_keys says");

void claim_call_make(struct claim_call *call, const struct script_keys *keys, struct slice user_id,
                     struct slice claim_id, uint32_t gen_seen) {
    struct slice *words = call->words;
    int n = snprintf(call->gen_seen, sizeof call->gen_seen, "%" PRIu32, gen_seen);
    put_keys(words, keys, SCRIPT_KEYS);
    words[1 + SCRIPT_KEYS] = user_id;
    words[2 + SCRIPT_KEYS] = claim_id;
    words[3 + SCRIPT_KEYS] = slice_of(call->gen_seen, (size_t)n);
}

void snapshot_call_make(struct slice words[SNAPSHOT_CALL_WORDS], const struct script_keys *keys,
                        struct slice holders_max) {
    put_keys(words, keys, SCRIPT_KEYS);
    words[1 + SCRIPT_KEYS] = holders_max;
}

enum { NUMBER_BYTES = 21, HEAD_NUMBERS = 8 };

static void add_number(struct install_call *call, int64_t number) {
    char *p = call->bytes + call->bytes_used;
    int n = snprintf(p, NUMBER_BYTES, "%" PRId64, number);
    call->bytes_used += (size_t)n + 1;
    call->words[call->words_count++] = slice_of(p, (size_t)n);
}

int install_call_init(struct install_call *call, const struct script_keys *keys,
                      const struct install_state *state, uint32_t before, size_t holders_max) {
    *call = (struct install_call){.words_max = INSTALL_CALL_WORDS + 2 * holders_max};
    call->words = calloc(call->words_max, sizeof *call->words);
    call->bytes =
        malloc(HEAD_NUMBERS * NUMBER_BYTES + holders_max * (SCRIPT_RESERVATION_BYTES_MAX + 1));
    if (call->words == NULL || call->bytes == NULL) {
        install_call_deinit(call);
        return -ENOMEM;
    }
    put_keys(call->words, keys, INSTALL_KEYS);
    call->words_count = 1 + INSTALL_KEYS;
    add_number(call, state->gen);
    add_number(call, state->ver);
    add_number(call, state->stock);
    add_number(call, state->starts_ms);
    add_number(call, state->ends_ms);
    add_number(call, state->status);
    add_number(call, state->holders);
    add_number(call, before);
    return 0;
}

void install_call_add(struct install_call *call, struct slice user_id,
                      const struct script_reservation *reservation) {
    ASSERT(call->words_count + 2 <= call->words_max);
    ASSERT(reservation->claim_id.n <= CLAIM_ID_BYTES_MAX);
    char *p = call->bytes + call->bytes_used;
    int n = snprintf(p, SCRIPT_RESERVATION_BYTES_MAX + 1,
                     "%" PRIu32 " %" PRIu32 " %" PRId64 " %" PRIu64 " %.*s", reservation->gen,
                     reservation->serial, reservation->ms, reservation->seq,
                     (int)reservation->claim_id.n, reservation->claim_id.p);
    call->bytes_used += (size_t)n + 1;
    call->words[call->words_count++] = user_id;
    call->words[call->words_count++] = slice_of(p, (size_t)n);
}

void install_call_deinit(struct install_call *call) {
    free(call->words);
    free(call->bytes);
    *call = (struct install_call){0};
}

/* ---- replies ---- */

/* Takes a number and the space behind it from the beginning of `text`. */
static bool take_number(struct slice *text, uint64_t max, uint64_t *number) {
    size_t i = 0;
    *number = 0;
    for (; i < text->n && text->p[i] >= '0' && text->p[i] <= '9'; i++) {
        const uint64_t digit = (uint64_t)(text->p[i] - '0');
        if (*number > (max - digit) / 10) return false;
        *number = *number * 10 + digit;
    }
    if (i == 0 || i == text->n || text->p[i] != ' ') return false;
    *text = slice_of(text->p + i + 1, text->n - i - 1);
    return true;
}

bool script_reservation_read(struct slice text, struct script_reservation *reservation) {
    uint64_t gen, serial, ms, seq;
    if (!take_number(&text, UINT32_MAX, &gen) || !take_number(&text, UINT32_MAX, &serial) ||
        !take_number(&text, INT64_MAX, &ms) || !take_number(&text, UINT64_MAX, &seq) ||
        text.n > CLAIM_ID_BYTES_MAX)
        return false;
    *reservation = (struct script_reservation){
        .gen = (uint32_t)gen,
        .serial = (uint32_t)serial,
        .ms = (int64_t)ms,
        .seq = seq,
        .claim_id = text,
    };
    return true;
}

/* The integer at `index` of a list, when it is between 0 and `max`. */
static bool integer_at(const struct redisReply *list, size_t index, long long max,
                       long long *number) {
    if (list->type != REDIS_REPLY_ARRAY || index >= list->elements) return false;
    const struct redisReply *element = list->element[index];
    if (element->type != REDIS_REPLY_INTEGER || element->integer < 0 || element->integer > max)
        return false;
    *number = element->integer;
    return true;
}

/* What stands behind code, gen and ver. */
static bool read_rest(const struct redisReply *reply, struct claim_script_reply *read) {
    const bool has_reservation = read->code == SCRIPT_WIN || read->code == SCRIPT_HAVE;
    if (read->code == SCRIPT_NOT_STARTED) {
        long long ms;
        if (reply->elements != 4 || !integer_at(reply, 3, INT64_MAX, &ms)) return false;
        read->opens_in_ms = ms;
        return true;
    }
    if (!has_reservation) return reply->elements == 3;
    if (reply->elements != 4 || reply->element[3]->type != REDIS_REPLY_STRING) return false;
    struct slice text = slice_of(reply->element[3]->str, reply->element[3]->len);
    if (!script_reservation_read(text, &read->reservation)) return false;
    if (read->reservation.serial != 0) return true;
    if (read->code == SCRIPT_WIN) return false;
    read->code = SCRIPT_RETURNED;
    return true;
}

void claim_script_read(const struct redisReply *reply, struct claim_script_reply *read) {
    long long code, gen, ver;
    *read = (struct claim_script_reply){.code = SCRIPT_NONSENSE};
    if (!integer_at(reply, 0, SCRIPT_NO_STATE, &code)) return;
    if (code == SCRIPT_NO_STATE) {
        if (reply->elements == 1) read->code = SCRIPT_NO_STATE;
        return;
    }
    if (!integer_at(reply, 1, UINT32_MAX, &gen) || !integer_at(reply, 2, UINT32_MAX, &ver)) return;
    read->code = (enum script_code)code;
    read->gen = (uint32_t)gen;
    read->ver = (uint32_t)ver;
    if (!read_rest(reply, read)) *read = (struct claim_script_reply){.code = SCRIPT_NONSENSE};
}

void install_script_read(const struct redisReply *reply, struct install_script_reply *read) {
    long long said, value = 0;
    *read = (struct install_script_reply){.code = INSTALL_NONSENSE};
    if (!integer_at(reply, 0, 10, &said)) return;
    if (said == 7) {
        if (reply->elements == 1) read->code = INSTALL_NOT_MASTER;
        return;
    }
    static const enum install_code codes[] = {
        [0] = INSTALL_NEWER,       [1] = INSTALL_DONE,
        [2] = INSTALL_PART,        [3] = INSTALL_NONSENSE,
        [4] = INSTALL_NONSENSE,    [5] = INSTALL_NONSENSE,
        [6] = INSTALL_NONSENSE,    [7] = INSTALL_NONSENSE,
        [8] = INSTALL_NONSENSE,    [9] = INSTALL_DUPLICATE_SERIAL,
        [10] = INSTALL_WRONG_TYPE,
    };
    if (codes[said] == INSTALL_NONSENSE || reply->elements != 2) return;
    if (!integer_at(reply, 1, UINT32_MAX, &value)) return;
    *read = (struct install_script_reply){.code = codes[said], .value = (uint32_t)value};
}

void query_script_read(const struct redisReply *reply, struct query_script_reply *read) {
    long long gen;
    *read = (struct query_script_reply){0};
    if (!integer_at(reply, 0, UINT32_MAX, &gen) || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return;
    read->gen = (uint32_t)gen;
    read->is_reserved =
        script_reservation_read(slice_of(reply->element[1]->str, reply->element[1]->len),
                                &read->reservation) &&
        read->reservation.serial > 0;
}
