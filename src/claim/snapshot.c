/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/snapshot.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "claim/redis_scripts.h"
#include "lib/clock.h"
#include "lib/random.h"
#include "lib/sockets.h"

enum {
    COMMANDS_MAX = 16,
    COMMAND_BYTES_MAX = 128 * 1024 * 1024,
    PAUSE_MS = 20,
    PAUSE_MS_MAX = 500,
    REFRESH_MS = 5000,
    TURN_MS = 100,
    SOCKET_EVENTS = 16,
    PARTS = 6,
    NODE_WORDS = 3,
};

static_assert((int)RESERVE_KEYS == (int)SCRIPT_KEYS, "of each key");

static uint64_t now_ms(void) {
    return clock_monotonic_ns(&clock_system) / 1000000;
}

/* ---- The client ---- */

int snapshots_open(struct snapshots *from, const struct snapshots_options *options,
                   struct err *err) {
    *from = (struct snapshots){.options = *options, .sockets = sockets_system_new()};
    if (from->sockets == NULL)
        return err_set(err, -EMFILE, "no memory or no file descriptor for sockets");
    if (options->holders_max != 0)
        snprintf(from->holders_max, sizeof from->holders_max, "%" PRIu32, options->holders_max);
    return redis_cluster_new(&from->redis,
                             &(struct redis_cluster_options){
                                 .seeds = options->seeds,
                                 .user = options->user,
                                 .password = options->password,
                                 .tls = options->tls,
                                 .sockets = from->sockets,
                                 .random = &random_system,
                                 .commands_max = COMMANDS_MAX,
                                 .command_bytes_max = COMMAND_BYTES_MAX,
                                 .connect_ms = options->timeout_ms,
                                 .try_ms = options->timeout_ms,
                                 .pause_ms = PAUSE_MS,
                                 .pause_ms_max = PAUSE_MS_MAX,
                                 .refresh_ms = REFRESH_MS,
                             },
                             err);
}

void snapshots_close(struct snapshots *from) {
    if (from->redis != NULL) redis_cluster_free(from->redis);
    if (from->sockets != NULL) from->sockets->ops->free(from->sockets);
    from->redis = NULL;
    from->sockets = NULL;
}

struct asking {
    struct snapshots *from;
    int (*on_reply)(void *ctx, const struct redisReply *reply, struct err *err);
    void *ctx;
    struct err *err;
    int code;
    bool is_done;
};

static void on_done(void *ctx, const struct redis_result *result) {
    struct asking *asking = ctx;
    asking->is_done = true;
    asking->code = result->end == REDIS_REPLIED
                       ? asking->on_reply(asking->ctx, result->reply, asking->err)
                       : err_set(asking->err, -EAGAIN, "--redis %s: %s",
                                 asking->from->options.seeds, result->error);
}

static void turn(struct snapshots *from) {
    struct socket_event events[SOCKET_EVENTS];
    uint64_t due_ms = redis_cluster_turn(from->redis, now_ms()), now = now_ms();
    int wait_ms = due_ms > now ? (int)size_min((size_t)(due_ms - now), TURN_MS) : 0;
    int count = from->sockets->ops->wait(from->sockets, wait_ms, events, SOCKET_EVENTS);
    for (int i = 0; i < count; i++) redis_cluster_on_event(from->redis, &events[i], now_ms());
}

int snapshots_ask(struct snapshots *from, const struct redis_request *request,
                  int (*on_reply)(void *ctx, const struct redisReply *reply, struct err *err),
                  void *ctx, struct err *err) {
    struct asking asking = {.from = from, .on_reply = on_reply, .ctx = ctx, .err = err};
    struct redis_request whole = *request;
    whole.deadline_ms = now_ms() + from->options.timeout_ms;
    whole.on_done = on_done;
    whole.ctx = &asking;
    int code = redis_cluster_send(from->redis, &whole, now_ms());
    if (code != 0)
        return err_set(err, code, "--redis %s: %s", from->options.seeds, strerror(-code));
    while (!asking.is_done) turn(from);
    return asking.code;
}

/* ---- A reply ---- */

static bool is_list(const struct redisReply *reply, size_t count) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == count;
}

static bool are_texts(const struct redisReply *list) {
    if (list->type != REDIS_REPLY_ARRAY) return false;
    for (size_t i = 0; i < list->elements; i++)
        if (list->element[i]->type != REDIS_REPLY_STRING) return false;
    return true;
}

static struct slice text_at(const struct redisReply *list, size_t i) {
    return slice_of(list->element[i]->str, list->element[i]->len);
}

/* The number that all of `text` is. */
static bool read_number(struct slice text, int64_t *number) {
    bool is_negative = text.n > 0 && text.p[0] == '-';
    uint64_t value = 0, max = (uint64_t)INT64_MAX + is_negative;
    if (text.n == (size_t)is_negative) return false;
    for (size_t i = is_negative; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        uint64_t digit = (uint64_t)(text.p[i] - '0');
        if (value > (max - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *number = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool read_keys(const struct redisReply *types, const struct redisReply *ttls,
                      struct reserve_state *state) {
    static const char *const wanted[] = {"hash", "hash", "list", "stream"};
    if (!is_list(types, SCRIPT_KEYS) || !is_list(ttls, SCRIPT_KEYS)) return false;
    for (size_t k = 0; k < SCRIPT_KEYS; k++) {
        /* What TYPE says is a status inside a script, and a text once it is in a list. */
        const struct redisReply *type = types->element[k];
        if ((type->type != REDIS_REPLY_STRING && type->type != REDIS_REPLY_STATUS) ||
            ttls->element[k]->type != REDIS_REPLY_INTEGER)
            return false;
        bool is_there = strcmp(type->str, "none") != 0;
        state->is_wrong[k] = is_there && strcmp(type->str, wanted[k]) != 0;
        state->ttl_ms[k] = ttls->element[k]->integer;
        if (k == 0) state->is_there = is_there;
    }
    return true;
}

static bool read_node(const struct redisReply *node, struct reserve_state *state,
                      struct slice *token) {
    if (!is_list(node, NODE_WORDS) || node->element[0]->type != REDIS_REPLY_INTEGER ||
        node->element[1]->type != REDIS_REPLY_STRING ||
        node->element[2]->type != REDIS_REPLY_STRING)
        return false;
    state->now_ms = node->element[0]->integer;
    *token = text_at(node, 1);
    state->policy = text_at(node, 2);
    return true;
}

/* What claim.lua needs and nobody compares. */
struct others {
    int64_t latest_ms, seq;
};

static bool read_field(struct slice name, struct slice value, struct reserve_state *state,
                       struct others *others) {
    struct {
        const char *name;
        int64_t *number;
    } const fields[] = {
        {"gen", &state->gen},   {"ver", &state->ver},       {"n", &state->stock},
        {"next", &state->next}, {"t0", &state->starts_ms},  {"t1", &state->ends_ms},
        {"st", &state->status}, {"tl", &others->latest_ms}, {"seq", &others->seq},
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (slice_eq(name, slice_str(fields[i].name))) return read_number(value, fields[i].number);
    return true;
}

/* Whatever the fields of m are; those that are no numbers or missing make it unreadable. */
static void read_fields(const struct redisReply *m, struct slice token_now,
                        struct reserve_state *state) {
    struct others others = {-1, -1};
    bool is_good = true;
    state->gen = state->ver = state->stock = state->next = state->status = -1;
    state->starts_ms = state->ends_ms = -1;
    for (size_t i = 0; i + 1 < m->elements; i += 2) {
        is_good &= read_field(text_at(m, i), text_at(m, i + 1), state, &others);
        if (slice_eq(text_at(m, i), SLICE("tok")))
            state->is_token_now = slice_eq(text_at(m, i + 1), token_now);
    }
    state->is_readable = is_good && state->gen >= 0 && state->ver >= 0 && state->stock >= 0 &&
                         state->next >= 1 && state->status >= 1 && state->status <= 3 &&
                         state->starts_ms >= 0 && state->ends_ms >= 0 && others.latest_ms >= 0 &&
                         others.seq >= 0;
    if (state->starts_ms == TIME_MS_MIN) state->starts_ms = DECISION_NO_TIME;
    if (state->ends_ms == TIME_MS_MAX) state->ends_ms = DECISION_NO_TIME;
}

static void hand_over_holders(const struct redisReply *u, const struct reserve_sink *sink) {
    for (size_t i = 0; i + 1 < u->elements; i += 2) {
        struct script_reservation reservation = {0};
        struct reserve_holder holder = {.user_id = text_at(u, i)};
        holder.is_readable = script_reservation_read(text_at(u, i + 1), &reservation);
        holder.gen = reservation.gen;
        holder.serial = reservation.serial;
        holder.ms = reservation.ms;
        sink->on_holder(sink->ctx, &holder);
    }
}

static void hand_over_free(const struct redisReply *f, const struct reserve_sink *sink) {
    for (size_t i = 0; i < f->elements; i++) {
        int64_t serial = -1;
        if (!read_number(text_at(f, i), &serial)) serial = -1;
        sink->on_free(sink->ctx, serial);
    }
}

bool snapshot_read(const struct redisReply *reply, const struct reserve_sink *sink) {
    struct reserve_state state = {0};
    struct slice token = {"", 0};
    if (!is_list(reply, PARTS)) return false;
    struct redisReply *const *part = reply->element;
    if (!read_keys(part[0], part[1], &state) || !read_node(part[2], &state, &token)) return false;
    state.is_brief = part[4]->type == REDIS_REPLY_INTEGER && part[5]->type == REDIS_REPLY_INTEGER;
    for (size_t i = 3; i < (state.is_brief ? 4 : PARTS); i++)
        if (!are_texts(part[i])) return false;
    if (state.is_there) read_fields(part[3], token, &state);
    sink->on_state(sink->ctx, &state);
    if (state.is_brief) return true;
    if (sink->on_holder != NULL) hand_over_holders(part[4], sink);
    if (sink->on_free != NULL) hand_over_free(part[5], sink);
    return true;
}

/* ---- As a source ---- */

static int on_snapshot(void *ctx, const struct redisReply *reply, struct err *err) {
    if (snapshot_read(reply, ctx)) return 0;
    return err_set(err, -EBADMSG, "redis: a reply that is no snapshot");
}

int snapshots_read(void *ctx, struct slice event_id, const struct reserve_sink *sink,
                   struct err *err) {
    struct snapshots *from = ctx;
    struct script_keys keys;
    struct slice words[SNAPSHOT_CALL_WORDS];
    struct reserve_sink handed = *sink;
    script_keys_make(&keys, event_id);
    snapshot_call_make(words, &keys, slice_str(from->holders_max));
    const struct redis_request request = {
        .key = script_key(&keys),
        .script = &snapshot_script,
        .words = words,
        .words_count = ARRAY_LEN(words),
        .is_repeatable = true,
    };
    return snapshots_ask(from, &request, on_snapshot, &handed, err);
}
