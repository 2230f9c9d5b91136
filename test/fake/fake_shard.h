/* SPDX-License-Identifier: Apache-2.0
 *
 * lib/redis/cluster.h without Redis: one node that runs the scripts of src/claim as they are written
 * there, in C, and any number of clients, in the place of the real ones. What a test does to it:
 * commands run late, twice or not at all, replies are lost, the node falls back to what it was
 * before, or forgets everything. Included by one .c.
 */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/redis_scripts.h"
#include "fake/redis_reply.h"

enum { SHARD_USERS = 128, SHARD_EVENTS = 2, SHARD_COMMANDS = 512, SHARD_WORDS = 300 };

struct shard_user {
    char id[16], claim[16];
    uint32_t gen, serial;
    int64_t ms;
    uint64_t seq;
};

/* The keys of an event. */
struct shard_event {
    char key[SCRIPT_KEY_BYTES_MAX + 1];
    bool is_there, has_end;
    int status;
    uint32_t gen, ver, stock, next;
    int64_t starts_ms, ends_ms, latest_ms;
    uint64_t token, seq;
    struct shard_user users[SHARD_USERS];
    size_t users_count;
    uint32_t free[SHARD_USERS]; /* the next one last */
    size_t free_count;
    struct shard_user outbox[SHARD_USERS];
    size_t outbox_count;
    struct shard_user aside[SHARD_USERS]; /* of an install in parts */
    uint32_t aside_gen;
    size_t aside_count;
};

struct shard_command {
    struct redis_cluster *client;
    const struct redis_script *script;
    char *words[SHARD_WORDS];
    size_t words_count;
    uint64_t deadline_ms;
    void (*on_done)(void *ctx, const struct redis_result *result);
    void *ctx;
    bool may_have_run;
    char *reply; /* once it has run */
    bool has_run_twice;
};

struct redis_cluster {
    bool is_used;
    struct redis_counts counts;
};

/* One for all clients. */
static struct {
    struct shard_event events[SHARD_EVENTS];
    uint64_t token;
    const int64_t *time_ms;
    struct redis_cluster clients[8];
    struct shard_command commands[SHARD_COMMANDS]; /* under way, in order */
    size_t commands_count;
    uint64_t sent; /* commands, ever */
} shard = {.token = 1};

/* ---- the scripts ---- */

static inline struct shard_event *shard_event_of(const char *key) {
    struct shard_event *event = shard.events;
    while (event->key[0] != '\0' && strcmp(event->key, key) != 0) event++;
    ASSERT(event < shard.events + SHARD_EVENTS);
    strcpy(event->key, key);
    return event;
}

static inline struct shard_user *shard_user_of(struct shard_event *event, const char *id) {
    for (size_t i = 0; i < event->users_count; i++)
        if (strcmp(event->users[i].id, id) == 0) return &event->users[i];
    return NULL;
}

static inline bool shard_is_full(const struct shard_event *event) {
    return event->free_count == 0 && event->next > event->stock;
}

static inline int shard_print_user(char *out, size_t bytes, const struct shard_user *user) {
    char text[128];
    int n = snprintf(text, sizeof text, "%" PRIu32 " %" PRIu32 " %" PRId64 " %" PRIu64 " %s",
                     user->gen, user->serial, user->ms, user->seq, user->claim);
    return snprintf(out, bytes, "$%d\r\n%s\r\n", n, text);
}

static inline char *shard_numbers(int count, const long long *numbers, const struct shard_user *user) {
    static char out[512];
    int n = snprintf(out, sizeof out, "*%d\r\n", count + (user != NULL));
    for (int i = 0; i < count; i++)
        n += snprintf(out + n, sizeof out - (size_t)n, ":%lld\r\n", numbers[i]);
    if (user != NULL) shard_print_user(out + n, sizeof out - (size_t)n, user);
    return out;
}

static inline char *shard_claim(struct shard_event *event, char **argv) {
    if (!event->is_there) return shard_numbers(1, (long long[]){8}, NULL);
    long long said[4] = {0, event->gen, event->ver, 0};
    if (event->gen < strtoul(argv[2], NULL, 10)) return said[0] = 6, shard_numbers(3, said, NULL);
    struct shard_user *user = shard_user_of(event, argv[0]);
    if (user != NULL) return said[0] = 1, shard_numbers(3, said, user);
    if (event->status != 1)
        return said[0] = event->status == 3 ? 4 : 5, shard_numbers(3, said, NULL);
    int64_t now_ms = *shard.time_ms < event->latest_ms ? event->latest_ms : *shard.time_ms;
    if (now_ms < event->starts_ms)
        return said[0] = 3, said[3] = event->starts_ms - now_ms, shard_numbers(4, said, NULL);
    if (now_ms >= event->ends_ms) return said[0] = 4, shard_numbers(3, said, NULL);
    if (shard_is_full(event)) return said[0] = 2, shard_numbers(3, said, NULL);
    if (event->token != shard.token)
        return said[0] = 7, shard_numbers(3, said, NULL);
    ASSERT(event->users_count < SHARD_USERS && event->outbox_count < SHARD_USERS);
    user = &event->users[event->users_count++];
    *user = (struct shard_user){.gen = event->gen, .ms = now_ms, .seq = ++event->seq};
    user->serial = event->free_count > 0 ? event->free[--event->free_count] : event->next++;
    event->latest_ms = now_ms;
    snprintf(user->id, sizeof user->id, "%s", argv[0]);
    snprintf(user->claim, sizeof user->claim, "%s", argv[1]);
    event->outbox[event->outbox_count++] = *user;
    return shard_numbers(3, said, user);
}

/* The holders of one part of an install are laid aside. */
static inline void shard_lay_aside(struct shard_event *event, char **argv, size_t argc) {
    for (size_t k = 8; k + 1 < argc; k += 2) {
        ASSERT(event->aside_count < SHARD_USERS);
        struct shard_user *user = &event->aside[event->aside_count++];
        *user = (struct shard_user){.gen = 0};
        snprintf(user->id, sizeof user->id, "%s", argv[k]);
        sscanf(argv[k + 1], "%" SCNu32 " %" SCNu32 " %" SCNd64 " %" SCNu64, &user->gen,
               &user->serial, &user->ms, &user->seq);
    }
}

/* … and all of them are put in the place of what is there. */
static inline void shard_put_in_place(struct shard_event *event) {
    struct shard_event put = {.is_there = true,
                              .gen = event->aside_gen,
                              .token = shard.token,
                              .latest_ms = event->latest_ms,
                              .users_count = event->aside_count};
    bool used[SHARD_USERS + 1] = {false};
    uint32_t last = 0;
    strcpy(put.key, event->key);
    for (size_t i = 0; i < event->aside_count; i++) {
        uint32_t serial = event->aside[i].serial;
        put.users[i] = event->aside[i];
        ASSERT(serial <= SHARD_USERS && (serial == 0 || !used[serial]));
        used[serial] = true;
        if (serial > last) last = serial;
    }
    for (uint32_t serial = last; serial >= 1; serial--)
        if (!used[serial]) put.free[put.free_count++] = serial;
    put.next = last + 1;
    *event = put;
}

static inline char *shard_install(struct shard_event *event, char **argv, size_t argc) {
    uint32_t gen = (uint32_t)strtoul(argv[0], NULL, 10);
    size_t all = strtoul(argv[6], NULL, 10), before = strtoul(argv[7], NULL, 10);
    if (event->is_there && event->gen >= gen)
        return shard_numbers(2, (long long[]){0, event->gen}, NULL);
    size_t aside = event->aside_gen == gen ? event->aside_count : 0;
    if (before != 0 && aside != before)
        return shard_numbers(2, (long long[]){2, (long long)aside}, NULL);
    event->aside_gen = gen;
    event->aside_count = before;
    shard_lay_aside(event, argv, argc);
    if (event->aside_count < all)
        return shard_numbers(2, (long long[]){2, (long long)event->aside_count}, NULL);
    shard_put_in_place(event);
    event->ver = (uint32_t)strtoul(argv[1], NULL, 10);
    event->stock = (uint32_t)strtoul(argv[2], NULL, 10);
    event->starts_ms = strtoll(argv[3], NULL, 10);
    event->ends_ms = strtoll(argv[4], NULL, 10);
    event->status = atoi(argv[5]);
    return shard_numbers(2, (long long[]){1, gen}, NULL);
}

static inline char *shard_archive(struct shard_event *event, char **argv) {
    if (!event->is_there) return shard_numbers(2, (long long[]){0, 0}, NULL);
    bool is_of_gen = event->gen == strtoul(argv[0], NULL, 10);
    event->has_end |= is_of_gen;
    return shard_numbers(2, (long long[]){is_of_gen, event->gen}, NULL);
}

static inline char *shard_query(struct shard_event *event, char **argv) {
    static char out[256];
    const struct shard_user *user = event->is_there ? shard_user_of(event, argv[0]) : NULL;
    int n = snprintf(out, sizeof out, "*2\r\n:%" PRIu32 "\r\n", event->is_there ? event->gen : 0);
    if (user != NULL)
        shard_print_user(out + n, sizeof out - (size_t)n, user);
    else
        snprintf(out + n, sizeof out - (size_t)n, "$0\r\n\r\n");
    return out;
}

static inline char *shard_range(const struct shard_event *event) {
    static char out[SHARD_USERS * 256];
    int n = snprintf(out, sizeof out, "*%zu\r\n", event->outbox_count);
    for (size_t i = 0; i < event->outbox_count; i++) {
        const struct shard_user *user = &event->outbox[i];
        char id[48];
        int bytes = snprintf(id, sizeof id, "%" PRIu32 "-%" PRIu64, user->gen, user->seq);
        n += snprintf(out + n, sizeof out - (size_t)n,
                      "*2\r\n$%d\r\n%s\r\n*4\r\n$1\r\nu\r\n$%zu\r\n%s\r\n$1\r\nr\r\n", bytes, id,
                      strlen(user->id), user->id);
        n += shard_print_user(out + n, sizeof out - (size_t)n, user);
    }
    return out;
}

static inline char *shard_trim(struct shard_event *event, const char *behind) {
    uint32_t gen;
    uint64_t seq;
    size_t cut = 0;
    ASSERT(sscanf(behind, "%" SCNu32 "-%" SCNu64, &gen, &seq) == 2);
    while (cut < event->outbox_count &&
           (event->outbox[cut].gen < gen ||
            (event->outbox[cut].gen == gen && event->outbox[cut].seq < seq)))
        cut++;
    event->outbox_count -= cut;
    memmove(event->outbox, event->outbox + cut, event->outbox_count * sizeof event->outbox[0]);
    return shard_numbers(0, NULL, NULL);
}

/* ---- what a test does ---- */

/* The node runs the command; its reply is on the way. */
static inline void shard_run(struct shard_command *command) {
    char **words = command->words;
    char *said;
    if (command->script == NULL) { /* XRANGE or XTRIM, on the outbox */
        words[1][strlen(words[1]) - 1] = 'm';
        struct shard_event *event = shard_event_of(words[1]);
        said = strcmp(words[0], "XRANGE") == 0 ? shard_range(event) : shard_trim(event, words[3]);
    } else {
        struct shard_event *event = shard_event_of(words[1]);
        char **argv = words + 1 + atoi(words[0]);
        if (command->script == &claim_script)
            said = shard_claim(event, argv);
        else if (command->script == &install_script)
            said = shard_install(event, argv, command->words_count - (size_t)(argv - words));
        else if (command->script == &archive_script)
            said = shard_archive(event, argv);
        else
            said = shard_query(event, argv);
    }
    command->has_run_twice = command->reply != NULL;
    free(command->reply);
    command->reply = strdup(said);
    command->may_have_run = true;
}

/* Takes it off the list; its client is told, when there is one. */
static inline void shard_end(size_t index, enum redis_end end) {
    struct shard_command command = shard.commands[index];
    shard.commands_count--;
    memmove(shard.commands + index, shard.commands + index + 1,
            (shard.commands_count - index) * sizeof command);
    struct redis_result result = {.end = end,
                                  .error = "an end that the test wants",
                                  .may_have_run = command.may_have_run,
                                  .may_retry = true};
    struct redisReply *reply = NULL;
    if (end == REDIS_REPLIED) {
        reply = redis_reply_of(slice_str(command.reply));
        ASSERT(reply != NULL);
        result = (struct redis_result){
            .end = end, .reply = reply, .may_have_run_before = command.has_run_twice};
    }
    if (command.client != NULL) command.on_done(command.ctx, &result);
    if (reply != NULL) freeReplyObject(reply);
    for (size_t i = 0; i < command.words_count; i++) free(command.words[i]);
    free(command.reply);
}

/* A node that has some of the history, whole up to a moment, and is another process. */
static inline void shard_fall_back(const struct shard_event *before, size_t index) {
    shard.events[index] = *before;
    shard.token++;
}

/* ---- lib/redis/cluster.h ---- */

int redis_cluster_new(struct redis_cluster **cluster, const struct redis_cluster_options *options,
                      struct err *err) {
    (void)options, (void)err;
    struct redis_cluster *made = shard.clients;
    while (made->is_used) made++;
    made->is_used = true;
    *cluster = made;
    return 0;
}

/* The node may still run what was sent. */
void redis_cluster_free(struct redis_cluster *cluster) {
    for (size_t i = 0; i < shard.commands_count; i++)
        if (shard.commands[i].client == cluster) shard.commands[i].client = NULL;
    cluster->is_used = false;
}

/* Of its own; what a slice points at need not end in NUL. */
static inline char *shard_text(struct slice slice) {
    char *text = malloc(slice.n + 1);
    ASSERT(text != NULL);
    if (slice.n > 0) memcpy(text, slice.p, slice.n);
    text[slice.n] = '\0';
    return text;
}

int redis_cluster_send(struct redis_cluster *cluster, const struct redis_request *request,
                       uint64_t now_ms) {
    (void)now_ms;
    ASSERT(request->words_count <= SHARD_WORDS);
    if (shard.commands_count == SHARD_COMMANDS) return -EAGAIN;
    struct shard_command *command = &shard.commands[shard.commands_count++];
    shard.sent++;
    *command = (struct shard_command){.client = cluster,
                                      .script = request->script,
                                      .words_count = request->words_count,
                                      .deadline_ms = request->deadline_ms,
                                      .on_done = request->on_done,
                                      .ctx = request->ctx};
    for (size_t i = 0; i < request->words_count; i++)
        command->words[i] = shard_text(request->words[i]);
    return 0;
}

void redis_cluster_on_event(struct redis_cluster *cluster, const struct socket_event *event,
                            uint64_t now_ms) {
    (void)cluster, (void)event, (void)now_ms;
}

uint64_t redis_cluster_turn(struct redis_cluster *cluster, uint64_t now_ms) {
    (void)cluster;
    return now_ms + 1000;
}

const struct redis_counts *redis_cluster_counts(const struct redis_cluster *cluster) {
    return &cluster->counts;
}

void redis_cluster_state(struct redis_cluster *cluster, struct redis_state *state) {
    (void)cluster;
    *state = (struct redis_state){
        .slots_covered = 16384, .masters = 1, .masters_ready = 1, .problem = ""};
}
