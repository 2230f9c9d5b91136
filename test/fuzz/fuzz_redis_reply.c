/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes of a node as replies: what the scripts' typed layer and the slot map make of them. Each
 * reply has one meaning or none, and what is read is within its bounds.
 */
#include "fuzz/fuzz.h"

#include "claim/redis_scripts.h"
#include "claim/snapshot.h"
#include "fake/redis_reply.h"
#include "lib/redis/error.h"
#include "lib/redis/slot_map.h"

static const struct redis_address asked = {"127.0.0.1", 7000};

static void check_claim(const struct redisReply *reply) {
    struct claim_script_reply read;
    claim_script_read(reply, &read);
    const bool has_reservation = read.code == SCRIPT_WIN || read.code == SCRIPT_HAVE;
    ASSERT(read.code <= SCRIPT_NONSENSE);
    if (read.code == SCRIPT_NONSENSE) {
        ASSERT(read.gen == 0 && read.ver == 0 && read.reservation.serial == 0);
        return;
    }
    ASSERT(reply->type == REDIS_REPLY_ARRAY && reply->elements >= 1 && reply->elements <= 4);
    ASSERT(has_reservation == (read.reservation.serial != 0));
    ASSERT(read.reservation.ms >= 0 && read.reservation.claim_id.n <= CLAIM_ID_BYTES_MAX);
    ASSERT(read.opens_in_ms >= 0);
}

/* What was read, written as an install would, is read as the same. */
static void check_reservation(struct slice text) {
    struct script_reservation read, again;
    if (!script_reservation_read(text, &read)) return;
    struct script_keys keys;
    struct install_call call;
    const struct install_state state = {.gen = 1, .status = INSTALL_OPEN};
    script_keys_make(&keys, SLICE("e"));
    ASSERT(install_call_init(&call, &keys, &state, 0, 1) == 0);
    if (memchr(read.claim_id.p, 0, read.claim_id.n) == NULL) {
        install_call_add(&call, SLICE("u"), &read);
        ASSERT(script_reservation_read(call.words[call.words_count - 1], &again));
        ASSERT(again.gen == read.gen && again.serial == read.serial && again.ms == read.ms);
        ASSERT(again.seq == read.seq && slice_eq(again.claim_id, read.claim_id));
    }
    install_call_deinit(&call);
}

/* ---- a snapshot ---- */

static void on_state(void *ctx, const struct reserve_state *state) {
    unsigned *states = ctx;
    ++*states;
    ASSERT(!state->is_readable || (state->is_there && state->gen >= 0 && state->ver >= 0));
    ASSERT(!state->is_readable || (state->next >= 1 && state->status >= 1 && state->status <= 3));
    ASSERT(state->is_there || !state->is_token_now);
}

static void on_holder(void *ctx, const struct reserve_holder *holder) {
    const unsigned *states = ctx;
    ASSERT(*states == 1 && (holder->is_readable || holder->serial == 0));
    ASSERT(holder->gen >= 0 && holder->serial >= 0 && holder->ms >= 0);
}

static void on_free(void *ctx, int64_t serial) {
    const unsigned *states = ctx;
    (void)serial;
    ASSERT(*states == 1);
}

static void check_snapshot(const struct redisReply *reply) {
    unsigned states = 0;
    const struct reserve_sink sink = {&states, on_state, on_holder, on_free};
    bool is_good = snapshot_read(reply, &sink);
    ASSERT(states == is_good);
}

static void check_map(const struct redisReply *reply) {
    static struct redis_slot_map map;
    if (!redis_slot_map_read(&map, reply, &asked)) return;
    uint32_t covered = 0;
    for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++) {
        if (map.node_of[slot] == REDIS_NO_NODE) continue;
        covered++;
        ASSERT(map.node_of[slot] < map.nodes_count && map.is_master[map.node_of[slot]]);
    }
    ASSERT(covered == map.covered && covered > 0 && map.nodes_count <= REDIS_NODES_MAX);
    for (uint32_t i = 0; i < map.nodes_count; i++) {
        char text[REDIS_ADDRESS_TEXT_BYTES];
        struct redis_address again;
        redis_address_format(&map.nodes[i], text);
        ASSERT(redis_address_read(&again, slice_str(text), NULL));
        ASSERT(redis_address_eq(&again, &map.nodes[i]));
    }
}

static void check_error(struct slice text) {
    struct redis_redirect redirect;
    ASSERT(redis_error_class(text) != NULL);
    if (redis_redirect_read(text, &asked, &redirect)) ASSERT(redirect.slot < REDIS_SLOTS);
}

/* Does it announce a list of more than a thousand elements? hiredis makes room for all of them at
 * once, which the fuzzer would take for a leak. */
static bool has_long_list(struct slice bytes) {
    for (size_t i = 0, digits = 0; i < bytes.n; i++) {
        const bool is_digit = bytes.p[i] >= '0' && bytes.p[i] <= '9';
        digits = bytes.p[i] == '*' ? 1 : is_digit && digits > 0 ? digits + 1 : 0;
        if (digits > 4) return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = fuzz_copy(data, size);
    const struct slice bytes = slice_of(copy, size);
    check_reservation(bytes);
    check_error(bytes);
    struct redisReply *reply = size > 4096 || has_long_list(bytes) ? NULL : redis_reply_of(bytes);
    if (reply != NULL) {
        struct install_script_reply installed;
        check_claim(reply);
        install_script_read(reply, &installed);
        ASSERT(installed.code <= INSTALL_NONSENSE);
        ASSERT(installed.code != INSTALL_NONSENSE || installed.value == 0);
        check_map(reply);
        check_snapshot(reply);
        freeReplyObject(reply);
    }
    free(copy);
    return 0;
}
