/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives lib/redis/cluster.h and the scripts from a pipe, against real servers. A line of standard
 * input is words with tabs between them, and every line gets one line of JSON, in the order in
 * which they end:
 *
 *     claim EVENT USER CLAIM GEN-SEEN
 *     install EVENT GEN VER STOCK STARTS ENDS STATUS ALL BEFORE [USER SERIAL]…
 *     call KEY WORD…           any command; repeatable
 *     once KEY WORD…           any command; not repeatable
 *     state                    what is known of the cluster, and what was counted
 *
 *     redis_drive SEEDS [deadline_ms=N] [try_ms=N] [refresh_ms=N] [commands_max=N] [user=U]
 *                       [password=P] [ca=FILE] [cert=FILE] [key=FILE]
 *
 * Ends at the end of its input, when all has ended; at once with status 1 when the options are bad.
 */
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim/redis_scripts.h"
#include "lib/buf.h"
#include "lib/clock.h"

enum { WORDS_MAX = 8192, LINE_BYTES_MAX = 1 << 20, EVENTS_AT_ONCE = 64 };

struct drive {
    struct redis_cluster *cluster;
    struct sockets *sockets;
    uint64_t deadline_ms;
    struct buf input;
    uint64_t lines, under_way;
    bool has_ended;
};

/* A line on its way. */
struct asked {
    struct drive *drive;
    uint64_t line;
    char what; /* the first letter of its first word */
};

static uint64_t now_ms(void) {
    return clock_monotonic_ns(&clock_system) / 1000000;
}

/* ---- answers ---- */

static void print_reply(struct buf *out, const struct redisReply *reply, int depth) {
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        buf_printf(out, "%lld", reply->integer);
        break;
    case REDIS_REPLY_ARRAY:
        buf_add_text(out, "[");
        for (size_t i = 0; i < reply->elements && depth < 8; i++) {
            if (i > 0) buf_add_text(out, ",");
            print_reply(out, reply->element[i], depth + 1);
        }
        buf_add_text(out, "]");
        break;
    case REDIS_REPLY_NIL:
        buf_add_text(out, "null");
        break;
    default:
        buf_add_json_string(out, slice_of(reply->str, reply->len));
    }
}

static void print_claim(struct buf *out, const struct redisReply *reply) {
    static const char *const codes[] = {"WIN",      "HAVE",     "SOLD_OUT", "NOT_STARTED",
                                        "ENDED",    "PAUSED",   "STALE",    "FENCED",
                                        "NO_STATE", "RETURNED", "NONSENSE"};
    static_assert(ARRAY_LEN(codes) == SCRIPT_NONSENSE + 1, "a name for each");
    struct claim_script_reply read;
    claim_script_read(reply, &read);
    buf_printf(out, ",\"code\":\"%s\",\"gen\":%u,\"ver\":%u,\"opens_in_ms\":%lld", codes[read.code],
               read.gen, read.ver, (long long)read.opens_in_ms);
    buf_printf(out, ",\"serial\":%u,\"ms\":%lld,\"seq\":%llu,\"claim\":", read.reservation.serial,
               (long long)read.reservation.ms, (unsigned long long)read.reservation.seq);
    buf_add_json_string(out, read.reservation.claim_id);
}

static void print_install(struct buf *out, const struct redisReply *reply) {
    static const char *const codes[] = {
        "DONE", "NEWER", "PART", "NOT_MASTER", "DUPLICATE_SERIAL", "WRONG_TYPE", "NONSENSE"};
    static_assert(ARRAY_LEN(codes) == INSTALL_NONSENSE + 1, "a name for each");
    struct install_script_reply read;
    install_script_read(reply, &read);
    buf_printf(out, ",\"code\":\"%s\",\"value\":%u", codes[read.code], read.value);
}

static void print_line(struct buf *out) {
    buf_add_text(out, "\n");
    ASSERT(!out->failed && fwrite(out->p, 1, out->n, stdout) == out->n);
    fflush(stdout);
    buf_deinit(out);
}

static void on_done(void *ctx, const struct redis_result *result) {
    static const char *const ends[] = {"REPLIED", "REFUSED", "LATE", "LOST", "SHUTDOWN"};
    static_assert(ARRAY_LEN(ends) == REDIS_SHUTDOWN + 1, "a name for each");
    struct asked *asked = ctx;
    struct buf out;
    buf_init(&out, LINE_BYTES_MAX);
    buf_printf(&out, "{\"line\":%" PRIu64 ",\"end\":\"%s\",\"may_have_run\":%s,\"may_retry\":%s",
               asked->line, ends[result->end], result->may_have_run ? "true" : "false",
               result->may_retry ? "true" : "false");
    if (result->reply == NULL) {
        buf_add_text(&out, ",\"error\":");
        buf_add_json_string(&out, slice_str(result->error));
    } else {
        buf_add_text(&out, ",\"reply\":");
        print_reply(&out, result->reply, 0);
        if (asked->what == 'c') print_claim(&out, result->reply);
        if (asked->what == 'i') print_install(&out, result->reply);
    }
    buf_add_text(&out, "}");
    print_line(&out);
    asked->drive->under_way--;
    free(asked);
}

static void print_state(struct drive *drive) {
    const struct redis_counts *counts = redis_cluster_counts(drive->cluster);
    struct redis_state state;
    struct buf out;
    redis_cluster_state(drive->cluster, &state);
    buf_init(&out, LINE_BYTES_MAX);
    buf_printf(
        &out, "{\"line\":%" PRIu64 ",\"covered\":%u,\"masters\":%u,\"ready\":%u,\"waiting\":%u",
        drive->lines, state.slots_covered, state.masters, state.masters_ready, state.waiting);
    buf_printf(&out, ",\"in_flight\":%u,\"problem\":", state.in_flight);
    buf_add_json_string(&out, slice_str(state.problem));
    const struct {
        const char *name;
        const struct counter *counter;
    } told[] = {
        {"replies", &counts->replies},
        {"writes", &counts->writes},
        {"connects", &counts->connects},
        {"lost", &counts->connections_lost},
        {"time_outs", &counts->time_outs},
        {"refreshes", &counts->refreshes},
        {"retries", &counts->retries},
        {"texts", &counts->texts},
        {"moved", &counts->errors[REDIS_ERROR_MOVED]},
        {"ask", &counts->errors[REDIS_ERROR_ASK]},
        {"tryagain", &counts->errors[REDIS_ERROR_TRYAGAIN]},
        {"clusterdown", &counts->errors[REDIS_ERROR_CLUSTERDOWN]},
        {"noscript", &counts->errors[REDIS_ERROR_NOSCRIPT]},
        {"misconf", &counts->errors[REDIS_ERROR_MISCONF]},
        {"readonly", &counts->errors[REDIS_ERROR_READONLY]},
        {"busy", &counts->errors[REDIS_ERROR_BUSY]},
        {"noreplicas", &counts->errors[REDIS_ERROR_NOREPLICAS]},
        {"oom", &counts->errors[REDIS_ERROR_OOM]},
    };
    for (size_t i = 0; i < ARRAY_LEN(told); i++)
        buf_printf(&out, ",\"%s\":%" PRIu64, told[i].name, counter_read(told[i].counter));
    buf_add_text(&out, "}");
    print_line(&out);
}

/* ---- questions ---- */

static void send_request(struct drive *drive, struct redis_request *request, char what) {
    struct asked *asked = malloc(sizeof *asked);
    ASSERT(asked != NULL);
    *asked = (struct asked){.drive = drive, .line = drive->lines, .what = what};
    request->deadline_ms = now_ms() + drive->deadline_ms;
    request->on_done = on_done;
    request->ctx = asked;
    int code = redis_cluster_send(drive->cluster, request, now_ms());
    if (code == 0) {
        drive->under_way++;
        return;
    }
    printf("{\"line\":%" PRIu64 ",\"end\":\"NOT_ACCEPTED\",\"error\":\"%s\"}\n", asked->line,
           strerror(-code));
    fflush(stdout);
    free(asked);
}

static int64_t number(const char *text) {
    return strtoll(text, NULL, 10);
}

static void ask_claim(struct drive *drive, char **word) {
    struct script_keys keys;
    struct claim_call call;
    script_keys_make(&keys, slice_str(word[1]));
    claim_call_make(&call, &keys, slice_str(word[2]), slice_str(word[3]),
                    (uint32_t)number(word[4]));
    send_request(drive,
                 &(struct redis_request){.key = script_key(&keys),
                                         .script = &claim_script,
                                         .words = call.words,
                                         .words_count = CLAIM_CALL_WORDS,
                                         .is_repeatable = true},
                 'c');
}

static void ask_install(struct drive *drive, char **word, size_t count) {
    struct script_keys keys;
    struct install_call call;
    const struct install_state state = {
        .gen = (uint32_t)number(word[2]),
        .ver = (uint32_t)number(word[3]),
        .stock = (uint32_t)number(word[4]),
        .starts_ms = number(word[5]),
        .ends_ms = number(word[6]),
        .status = (enum install_status)number(word[7]),
        .holders = (uint32_t)number(word[8]),
    };
    script_keys_make(&keys, slice_str(word[1]));
    ASSERT(install_call_init(&call, &keys, &state, (uint32_t)number(word[9]), (count - 10) / 2) ==
           0);
    for (size_t i = 10; i + 1 < count; i += 2)
        install_call_add(&call, slice_str(word[i]),
                         &(struct script_reservation){.gen = state.gen,
                                                      .serial = (uint32_t)number(word[i + 1]),
                                                      .ms = 1,
                                                      .seq = i,
                                                      .claim_id = SLICE("installed")});
    send_request(drive,
                 &(struct redis_request){.key = script_key(&keys),
                                         .script = &install_script,
                                         .words = call.words,
                                         .words_count = call.words_count,
                                         .is_repeatable = true},
                 'i');
    install_call_deinit(&call);
}

static void ask_call(struct drive *drive, char **word, size_t count, bool is_repeatable) {
    static struct slice words[WORDS_MAX];
    for (size_t i = 2; i < count; i++) words[i - 2] = slice_str(word[i]);
    send_request(drive,
                 &(struct redis_request){.key = slice_str(word[1]),
                                         .words = words,
                                         .words_count = count - 2,
                                         .is_repeatable = is_repeatable},
                 'x');
}

static void on_line(struct drive *drive, char *line) {
    static char *word[WORDS_MAX];
    size_t count = 0;
    for (char *at = line; at != NULL && count < WORDS_MAX;) word[count++] = strsep(&at, "\t");
    drive->lines++;
    if (strcmp(word[0], "claim") == 0 && count == 5)
        ask_claim(drive, word);
    else if (strcmp(word[0], "install") == 0 && count >= 8)
        ask_install(drive, word, count);
    else if (strcmp(word[0], "call") == 0 && count >= 3)
        ask_call(drive, word, count, true);
    else if (strcmp(word[0], "once") == 0 && count >= 3)
        ask_call(drive, word, count, false);
    else if (strcmp(word[0], "state") == 0)
        print_state(drive);
    else {
        fprintf(stderr, "redis_drive: no such line: %s\n", word[0]);
        exit(1);
    }
}

static void read_lines(struct drive *drive) {
    ASSERT(buf_reserve(&drive->input, 65536));
    ssize_t n = read(STDIN_FILENO, drive->input.p + drive->input.n, 65536);
    if (n == 0) drive->has_ended = true;
    if (n <= 0) return;
    drive->input.n += (size_t)n;
    char *end;
    while ((end = memchr(drive->input.p, '\n', drive->input.n)) != NULL) {
        *end = 0;
        on_line(drive, drive->input.p);
        buf_consume(&drive->input, (size_t)(end - drive->input.p) + 1);
    }
}

/* ---- the loop ---- */

static void run(struct drive *drive) {
    struct socket_event events[EVENTS_AT_ONCE];
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    ASSERT(drive->sockets->ops->watch_level(drive->sockets, STDIN_FILENO, drive) == 0);
    uint64_t next_ms = redis_cluster_turn(drive->cluster, now_ms());
    while (!drive->has_ended || drive->under_way > 0) {
        const uint64_t now = now_ms();
        const uint64_t wait_ms = next_ms <= now ? 0 : next_ms - now;
        int count = drive->sockets->ops->wait(
            drive->sockets, (int)(wait_ms < 60000 ? wait_ms : 60000), events, EVENTS_AT_ONCE);
        for (int i = 0; i < count; i++)
            if (events[i].owner == drive)
                read_lines(drive);
            else
                redis_cluster_on_event(drive->cluster, &events[i], now_ms());
        if (drive->has_ended) drive->sockets->ops->forget(drive->sockets, STDIN_FILENO);
        next_ms = redis_cluster_turn(drive->cluster, now_ms());
    }
}

static const char *option(int argc, char **argv, const char *name) {
    for (int i = 2; i < argc; i++)
        if (strncmp(argv[i], name, strlen(name)) == 0 && argv[i][strlen(name)] == '=')
            return argv[i] + strlen(name) + 1;
    return NULL;
}

static uint32_t number_option(int argc, char **argv, const char *name, uint32_t otherwise) {
    const char *text = option(argc, argv, name);
    return text == NULL ? otherwise : (uint32_t)number(text);
}

int main(int argc, char **argv) {
    struct drive drive = {.deadline_ms = number_option(argc, argv, "deadline_ms", 20000)};
    struct err err = {0};
    struct tls_client *tls = NULL;
    if (argc < 2) return 2;
    buf_init(&drive.input, LINE_BYTES_MAX);
    drive.sockets = sockets_system_new();
    ASSERT(drive.sockets != NULL);
    int code = 0;
    if (option(argc, argv, "ca") != NULL)
        code = tls_client_new(&tls, option(argc, argv, "ca"), option(argc, argv, "cert"),
                              option(argc, argv, "key"), &err);
    if (code == 0)
        code =
            redis_cluster_new(&drive.cluster,
                              &(struct redis_cluster_options){
                                  .seeds = argv[1],
                                  .user = option(argc, argv, "user"),
                                  .password = option(argc, argv, "password"),
                                  .tls = tls,
                                  .sockets = drive.sockets,
                                  .random = &random_system,
                                  .commands_max = number_option(argc, argv, "commands_max", 4096),
                                  .command_bytes_max = 1 << 20,
                                  .connect_ms = 1000,
                                  .try_ms = number_option(argc, argv, "try_ms", 1000),
                                  .pause_ms = 10,
                                  .pause_ms_max = 500,
                                  .refresh_ms = number_option(argc, argv, "refresh_ms", 60000),
                              },
                              &err);
    if (code == 0)
        run(&drive);
    else
        fprintf(stderr, "redis_drive: %s\n", err.text);
    redis_cluster_free(drive.cluster);
    tls_client_free(tls);
    drive.sockets->ops->free(drive.sockets);
    buf_deinit(&drive.input);
    return code == 0 ? 0 : 1;
}
