/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster client against nodes that say what the test wants, in time that the test owns. Real
 * servers are in test/integration/test_redis_cluster.py; here is what they do not do on demand.
 */
#include "lib/redis/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "fake/fake_sockets.h"
#include "lib/redis/slot.h"

enum { TRY_MS = 1000, CONNECT_MS = 500, PAUSE_MS = 10, PAUSE_MS_MAX = 80, REFRESH_MS = 100000 };
enum { ASKED_MAX = 4096, COMMANDS_MAX = 2000 };

/* "bar" is in slot 5061, "foo" in 12182. */
#define MAP                                                                                        \
    "*2\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$8\r\n10.0.0.1\r\n:1\r\n$1\r\na\r\n"                         \
    "*3\r\n:8192\r\n:16383\r\n*3\r\n$8\r\n10.0.0.2\r\n:1\r\n$1\r\nb\r\n"
/* After a failover: 10.0.0.3 has what 10.0.0.2 had. */
#define MAP_AFTER                                                                                  \
    "*2\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$8\r\n10.0.0.1\r\n:1\r\n$1\r\na\r\n"                         \
    "*4\r\n:8192\r\n:16383\r\n*3\r\n$8\r\n10.0.0.3\r\n:1\r\n$1\r\nc\r\n"                           \
    "*3\r\n$8\r\n10.0.0.2\r\n:1\r\n$1\r\nb\r\n"

/* What became of one command. */
struct asked {
    unsigned ends;
    enum redis_end end;
    bool may_have_run, may_have_run_before, may_retry;
    char text[64]; /* the reply's, or the error */
};

struct rig {
    struct random_source random;
    uint64_t state;
    struct fake_sockets fake;
    struct redis_cluster *cluster;
    uint64_t now_ms, next_ms;
    struct asked asked[ASKED_MAX];
    int count;
    char said[1 << 20];
};

static void fill(struct random_source *source, void *out, size_t bytes) {
    struct rig *rig = CONTAINER_OF(source, struct rig, random);
    assert_int_equal(bytes, sizeof rig->state);
    rig->state ^= rig->state << 13;
    rig->state ^= rig->state >> 7;
    rig->state ^= rig->state << 17;
    memcpy(out, &rig->state, bytes);
}

static void turn(struct rig *rig) {
    rig->next_ms = redis_cluster_turn(rig->cluster, rig->now_ms);
}

static void pass(struct rig *rig, uint64_t ms) {
    rig->now_ms += ms;
    turn(rig);
}

static struct fake_connection *at(struct rig *rig, int i) {
    assert_true(i < rig->fake.count);
    return &rig->fake.connections[i];
}

static void tell(struct rig *rig, int i, unsigned what) {
    const struct socket_event event = {at(rig, i)->owner, what};
    redis_cluster_on_event(rig->cluster, &event, rig->now_ms);
    turn(rig);
}

static void accept_at(struct rig *rig, int i) {
    tell(rig, i, SOCKET_WRITABLE);
}

static void say(struct rig *rig, int i, const char *bytes) {
    buf_add_text(&at(rig, i)->received, bytes);
    tell(rig, i, SOCKET_READABLE);
}

static void cut(struct rig *rig, int i) {
    at(rig, i)->has_ended = true;
    tell(rig, i, SOCKET_READABLE | SOCKET_ENDED);
}

/* What was sent on a connection, as "GET foo|GET bar"; taken. */
static const char *said(struct rig *rig, int i) {
    struct fake_connection *connection = at(rig, i);
    buf_add(&connection->sent, "", 1);
    size_t n = 0;
    char *rest = connection->sent.p;
    for (char *line; (line = strsep(&rest, "\r")) != NULL;) {
        if (*line == '\n') line++;
        if (*line == '$' || *line == 0) continue;
        const bool is_new = *line == '*';
        const char *between = n == 0 || rig->said[n - 1] == '|' ? "" : is_new ? "|" : " ";
        n += (size_t)snprintf(rig->said + n, sizeof rig->said - n, "%s%s", between,
                              is_new ? "" : line);
    }
    rig->said[n] = 0;
    connection->sent.n = 0;
    return rig->said;
}

static void on_done(void *ctx, const struct redis_result *result) {
    struct asked *asked = ctx;
    asked->ends++;
    asked->end = result->end;
    asked->may_have_run = result->may_have_run;
    asked->may_have_run_before = result->may_have_run_before;
    asked->may_retry = result->may_retry;
    assert_true((result->reply != NULL) == (result->end == REDIS_REPLIED));
    const char *text = result->reply == NULL ? result->error : result->reply->str;
    snprintf(asked->text, sizeof asked->text, "%s", text == NULL ? "" : text);
}

static int send_words(struct rig *rig, struct redis_request request) {
    request.on_done = on_done;
    request.ctx = &rig->asked[rig->count];
    assert_true(rig->count < ASKED_MAX);
    if (request.deadline_ms == 0) request.deadline_ms = rig->now_ms + 100000;
    return redis_cluster_send(rig->cluster, &request, rig->now_ms);
}

static const struct slice get_foo[] = {{"GET", 3}, {"foo", 3}},
                          get_bar[] = {{"GET", 3}, {"bar", 3}};

/* Asks, and says which it is. */
static int ask(struct rig *rig, const char *key, bool is_repeatable, uint64_t within_ms) {
    struct redis_request request = {
        .key = slice_str(key),
        .words = strcmp(key, "foo") == 0 ? get_foo : get_bar,
        .words_count = 2,
        .is_repeatable = is_repeatable,
        .deadline_ms = rig->now_ms + within_ms,
    };
    assert_int_equal(send_words(rig, request), 0);
    return rig->count++;
}

static int ask_foo(struct rig *rig) {
    return ask(rig, "foo", true, 100000);
}

static void assert_end(struct rig *rig, int which, enum redis_end end, const char *text,
                       bool may_have_run, bool may_retry) {
    struct asked *asked = &rig->asked[which];
    assert_int_equal(asked->ends, 1);
    assert_int_equal(asked->end, end);
    assert_string_equal(asked->text, text);
    assert_int_equal(asked->may_have_run, may_have_run);
    assert_int_equal(asked->may_retry, may_retry);
}

static void assert_open(struct rig *rig, int which) {
    assert_int_equal(rig->asked[which].ends, 0);
}

static uint64_t counted(const struct counter *counter) {
    return counter_read(counter);
}

static const struct redis_counts *counts(struct rig *rig) {
    return redis_cluster_counts(rig->cluster);
}

/* The client as it is before its first turn. */
static struct rig *new_rig(const char *seeds, const char *password) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->random.fill = fill;
    rig->state = 88172645463325252u;
    rig->now_ms = 1000;
    fake_sockets_init(&rig->fake);
    struct err err;
    const struct redis_cluster_options options = {
        .seeds = seeds,
        .user = password == NULL ? NULL : "me",
        .password = password,
        .sockets = &rig->fake.sockets,
        .random = &rig->random,
        .commands_max = COMMANDS_MAX,
        .command_bytes_max = 1000,
        .connect_ms = CONNECT_MS,
        .try_ms = TRY_MS,
        .pause_ms = PAUSE_MS,
        .pause_ms_max = PAUSE_MS_MAX,
        .refresh_ms = REFRESH_MS,
    };
    assert_int_equal(redis_cluster_new(&rig->cluster, &options, &err), 0);
    return rig;
}

static void free_rig(struct rig *rig) {
    redis_cluster_free(rig->cluster);
    for (int i = 0; i < rig->fake.count; i++) assert_false(rig->fake.connections[i].is_open);
    for (int i = 0; i < rig->count; i++) assert_int_equal(rig->asked[i].ends, 1);
    fake_sockets_deinit(&rig->fake);
    free(rig);
}

/* With a map: connection 0 to 10.0.0.1, connection 1 to 10.0.0.2. */
static struct rig *ready_rig(void) {
    struct rig *rig = new_rig("10.0.0.1:1", NULL);
    turn(rig);
    assert_string_equal(at(rig, 0)->address, "10.0.0.1:1");
    accept_at(rig, 0);
    assert_string_equal(said(rig, 0), "CLUSTER SLOTS");
    say(rig, 0, MAP);
    assert_string_equal(at(rig, 1)->address, "10.0.0.2:1");
    accept_at(rig, 1);
    assert_string_equal(said(rig, 1), "");
    return rig;
}

/* Lets time pass until something is sent on connection `i`, up to `ms`. Returns how long it took.
 */
static uint64_t await_said(struct rig *rig, int i, uint64_t ms) {
    const uint64_t start = rig->now_ms;
    while (at(rig, i)->sent.n == 0) {
        if (rig->next_ms > start + ms) fail_msg("nothing was sent within %u ms", (unsigned)ms);
        rig->now_ms = rig->next_ms > rig->now_ms ? rig->next_ms : rig->now_ms;
        turn(rig);
    }
    return rig->now_ms - start;
}

/* ---- the usual ---- */

static void commands_go_to_the_nodes_of_their_slots(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int foo = ask_foo(rig), bar = ask(rig, "bar", true, 1000), again = ask_foo(rig);
    assert_int_equal(at(rig, 1)->sends, 0); /* all of a turn in one write */
    turn(rig);
    assert_int_equal(at(rig, 1)->sends, 1);
    assert_string_equal(said(rig, 1), "GET foo|GET foo");
    assert_string_equal(said(rig, 0), "GET bar");
    say(rig, 1, "$1\r\na\r\n$1");
    assert_end(rig, foo, REDIS_REPLIED, "a", true, false);
    assert_open(rig, again);
    say(rig, 1, "\r\nb\r\n");
    say(rig, 0, "+OK\r\n");
    assert_end(rig, again, REDIS_REPLIED, "b", true, false);
    assert_end(rig, bar, REDIS_REPLIED, "OK", true, false);
    free_rig(rig);
}

static void commands_wait_for_the_first_map(void **state) {
    (void)state;
    struct rig *rig = new_rig("10.0.0.7:1,10.0.0.1:1", NULL);
    int foo = ask_foo(rig);
    turn(rig);
    assert_int_equal(rig->fake.count, 2); /* every seed, as long as none is ready */
    cut(rig, 0);
    accept_at(rig, 1);
    assert_string_equal(said(rig, 1), "CLUSTER SLOTS");
    say(rig, 1, MAP);
    assert_string_equal(at(rig, 2)->address, "10.0.0.2:1");
    accept_at(rig, 2);
    assert_string_equal(said(rig, 2), "GET foo");
    say(rig, 2, "$1\r\na\r\n");
    assert_end(rig, foo, REDIS_REPLIED, "a", true, false);
    free_rig(rig);
}

static void more_than_the_bound_is_refused(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    for (int i = 0; i < COMMANDS_MAX; i++) ask_foo(rig);
    struct redis_request request = {.key = SLICE("foo"), .words = get_foo, .words_count = 2};
    assert_int_equal(send_words(rig, request), -EAGAIN);
    turn(rig);
    say(rig, 1, "$1\r\na\r\n");
    assert_end(rig, 0, REDIS_REPLIED, "a", true, false);
    ask_foo(rig);
    free_rig(rig);
}

static void what_is_too_long_is_refused(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    char text[2000] = {0};
    const struct slice words[] = {SLICE("SET"), SLICE("foo"), slice_of(text, sizeof text)};
    struct redis_request request = {.key = SLICE("foo"), .words = words, .words_count = 3};
    assert_int_equal(send_words(rig, request), -EMSGSIZE);
    int foo = ask_foo(rig);
    turn(rig);
    assert_string_equal(said(rig, 1), "GET foo");
    say(rig, 1, "$1\r\na\r\n");
    assert_end(rig, foo, REDIS_REPLIED, "a", true, false);
    free_rig(rig);
}

static void a_socket_without_room_is_written_to_later(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    at(rig, 1)->room = 10;
    int foo = ask_foo(rig), again = ask_foo(rig);
    turn(rig);
    assert_int_equal(at(rig, 1)->sent.n, 10);
    at(rig, 1)->room = SIZE_MAX;
    tell(rig, 1, SOCKET_WRITABLE);
    assert_string_equal(said(rig, 1), "GET foo|GET foo");
    say(rig, 1, "$1\r\na\r\n$1\r\nb\r\n");
    assert_end(rig, foo, REDIS_REPLIED, "a", true, false);
    assert_end(rig, again, REDIS_REPLIED, "b", true, false);
    free_rig(rig);
}

/* ---- redirects ---- */

static void moved_is_followed_to_a_node_that_nobody_knew(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int foo = ask_foo(rig);
    turn(rig);
    said(rig, 1);
    say(rig, 1, "-MOVED 12182 10.0.0.3:1\r\n");
    assert_string_equal(at(rig, 2)->address, "10.0.0.3:1");
    accept_at(rig, 2);
    assert_string_equal(said(rig, 2), "GET foo");
    say(rig, 2, "$1\r\na\r\n");
    assert_end(rig, foo, REDIS_REPLIED, "a", true, false);
    ask_foo(rig); /* the new owner is remembered */
    turn(rig);
    assert_string_equal(said(rig, 2), "GET foo");
    free_rig(rig);
}

static void ask_is_followed_once_behind_asking(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int foo = ask_foo(rig);
    turn(rig);
    said(rig, 1);
    say(rig, 1, "-ASK 12182 10.0.0.1:1\r\n");
    assert_string_equal(said(rig, 0), "ASKING|GET foo");
    say(rig, 0, "+OK\r\n");
    assert_open(rig, foo);
    say(rig, 0, "$1\r\na\r\n");
    assert_end(rig, foo, REDIS_REPLIED, "a", true, false);
    int again = ask_foo(rig);
    turn(rig);
    assert_string_equal(said(rig, 1), "GET foo");
    assert_string_equal(said(rig, 0), "");
    /* What the other side cannot do yet, it is not asked for ever. */
    say(rig, 1, "-ASK 12182 10.0.0.1:1\r\n");
    said(rig, 0);
    say(rig, 0, "+OK\r\n-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    await_said(rig, 1, PAUSE_MS);
    assert_string_equal(said(rig, 1), "GET foo");
    assert_open(rig, again);
    free_rig(rig);
}

static void redirects_in_a_circle_end_in_a_pause(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int foo = ask(rig, "foo", true, 500);
    turn(rig);
    unsigned redirects = 0;
    while (rig->asked[foo].ends == 0) {
        int i = at(rig, 0)->sent.n > 0 ? 0 : at(rig, 1)->sent.n > 0 ? 1 : -1;
        if (i < 0) {
            rig->now_ms = rig->next_ms;
            turn(rig);
            continue;
        }
        bool is_map = strstr(said(rig, i), "CLUSTER") != NULL;
        if (is_map)
            say(rig, i, MAP);
        else
            say(rig, i, i == 0 ? "-MOVED 12182 10.0.0.2:1\r\n" : "-MOVED 12182 10.0.0.1:1\r\n");
        redirects += !is_map;
    }
    assert_end(rig, foo, REDIS_LATE, "MOVED", false, true);
    assert_in_range(redirects, 12, 600); /* 6 in a row, then a pause, which doubles to 80 ms */
    free_rig(rig);
}

static void a_redirect_to_a_name_waits_for_the_next_map(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int foo = ask_foo(rig);
    turn(rig);
    said(rig, 1);
    say(rig, 1, "-MOVED 12182 node-c:1\r\n");
    assert_int_equal(rig->fake.count, 2);
    await_said(rig, 1, PAUSE_MS);
    assert_string_equal(said(rig, 1), "GET foo");
    assert_open(rig, foo);
    free_rig(rig);
}

static void many_redirects_ask_for_one_map(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    const uint64_t before = counted(&counts(rig)->refreshes);
    for (int i = 0; i < 1000; i++) ask_foo(rig);
    pass(rig, 1);
    for (int i = 0; i < 1000; i++)
        buf_add_text(&at(rig, 1)->received, "-MOVED 12182 10.0.0.1:1\r\n");
    said(rig, 1);
    tell(rig, 1, SOCKET_READABLE);
    for (int i = 0; i < 400; i++) pass(rig, 1);
    assert_int_equal(counted(&counts(rig)->errors[REDIS_ERROR_MOVED]), 1000);
    assert_int_equal(counted(&counts(rig)->refreshes), before + 1);
    free_rig(rig);
}

/* Says what is due on a connection: an old map, and MOVED to whoever follows that. */
static void answer_as_an_old_node(struct rig *rig, int i) {
    char words[128];
    if (at(rig, i)->sent.n == 0) return;
    snprintf(words, sizeof words, "%s", said(rig, i));
    for (char *rest = words, *word; (word = strsep(&rest, "|")) != NULL;)
        say(rig, i,
            strcmp(word, "CLUSTER SLOTS") == 0 ? MAP
            : i == 1                           ? "-MOVED 12182 10.0.0.1:1\r\n"
                                               : "$1\r\na\r\n");
}

static void maps_that_stay_old_are_no_storm(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    const uint64_t before = counted(&counts(rig)->refreshes);
    for (int ms = 0; ms < 1000; ms++) {
        ask_foo(rig);
        pass(rig, 1);
        for (int i = 0; i < 4; i++) answer_as_an_old_node(rig, i % 2);
    }
    assert_in_range(counted(&counts(rig)->refreshes) - before, 3, 1000 / 100);
    free_rig(rig);
}

/* ---- refusals ---- */

static void refusals_that_pass_are_tried_again_after_a_pause(void **state) {
    (void)state;
    static const char *const refusals[] = {
        "-TRYAGAIN x\r\n", "-CLUSTERDOWN x\r\n", "-LOADING x\r\n",
        "-READONLY x\r\n", "-MASTERDOWN x\r\n",  "-MISCONF x\r\n",
        "-BUSY x\r\n",     "-NOREPLICAS x\r\n",  "-OOM x\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct rig *rig = ready_rig();
        int foo = ask(rig, "foo", false, 100000); /* it did not run: any may be repeated */
        turn(rig);
        said(rig, 1);
        say(rig, 1, refusals[i]);
        assert_int_equal(at(rig, 1)->sent.n, 0);
        uint64_t waited = await_said(rig, 1, PAUSE_MS);
        assert_in_range(waited, 1, PAUSE_MS);
        if (strstr(said(rig, 1), "GET foo") == NULL) fail_msg("%s", refusals[i]);
        say(rig, 1, "$1\r\na\r\n");
        if (rig->asked[foo].ends == 0) say(rig, 1, "$1\r\na\r\n"); /* the map was asked for, too */
        assert_int_equal(rig->asked[foo].ends, 1);
        free_rig(rig);
    }
}

static void refusals_that_stay_end_it(void **state) {
    (void)state;
    static const struct {
        const char *reply, *text;
        bool may_have_run;
    } rows[] = {
        {"-CROSSSLOT x\r\n", "CROSSSLOT x", false}, {"-NOAUTH x\r\n", "NOAUTH x", false},
        {"-NOPERM x\r\n", "NOPERM x", true},        {"-ERR x\r\n", "ERR x", true},
        {"-WRONGTYPE x\r\n", "WRONGTYPE x", true},  {"-NOSCRIPT x\r\n", "NOSCRIPT x", false},
    };
    struct rig *rig = ready_rig();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int foo = ask_foo(rig);
        turn(rig);
        said(rig, 1);
        say(rig, 1, rows[i].reply);
        assert_end(rig, foo, REDIS_REFUSED, rows[i].text, rows[i].may_have_run, false);
    }
    free_rig(rig);
}

static void a_refusal_after_the_fact_is_repeated_only_when_that_is_allowed(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int once = ask(rig, "foo", false, 100000), again = ask(rig, "foo", true, 100000);
    turn(rig);
    said(rig, 1);
    say(rig, 1, "-UNBLOCKED x\r\n-UNBLOCKED x\r\n");
    assert_end(rig, once, REDIS_REFUSED, "UNBLOCKED x", true, false);
    await_said(rig, 1, PAUSE_MS);
    assert_open(rig, again);
    say(rig, 1, "$1\r\na\r\n");
    assert_end(rig, again, REDIS_REPLIED, "a", true, false);
    assert_true(rig->asked[again].may_have_run_before);
    int first = ask_foo(rig);
    turn(rig);
    say(rig, 1, "$1\r\nb\r\n");
    assert_end(rig, first, REDIS_REPLIED, "b", true, false);
    assert_false(rig->asked[first].may_have_run_before);
    free_rig(rig);
}

static void pauses_are_jittered_and_double_up_to_their_bound(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    uint64_t longest[6] = {0}, shortest = UINT64_MAX;
    for (int round = 0; round < 200; round++) {
        int foo = ask_foo(rig);
        turn(rig);
        for (size_t i = 0; i < ARRAY_LEN(longest); i++) {
            said(rig, 1);
            say(rig, 1, "-BUSY x\r\n");
            uint64_t waited = await_said(rig, 1, PAUSE_MS_MAX);
            if (waited > longest[i]) longest[i] = waited;
            if (waited < shortest) shortest = waited;
        }
        said(rig, 1);
        say(rig, 1, "$1\r\na\r\n");
        assert_int_equal(rig->asked[foo].ends, 1);
    }
    static const uint64_t bounds[] = {10, 20, 40, 80, 80, 80};
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
        assert_in_range(longest[i], bounds[i] * 8 / 10, bounds[i]);
    assert_in_range(shortest, 1, 3);
    free_rig(rig);
}

/* ---- scripts ---- */

static const struct redis_script script = {{"the-text", 8}, {"the-sha", 7}};

static int ask_script(struct rig *rig, const char *word) {
    const struct slice words[] = {SLICE("1"), SLICE("foo"), slice_str(word)};
    struct redis_request request = {
        .key = SLICE("foo"), .script = &script, .words = words, .words_count = 3};
    assert_int_equal(send_words(rig, request), 0);
    return rig->count++;
}

static void a_script_that_a_node_lacks_is_sent_once(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int a = ask_script(rig, "a"), b = ask_script(rig, "b");
    turn(rig);
    assert_string_equal(said(rig, 1), "EVALSHA the-sha 1 foo a|EVALSHA the-sha 1 foo b");
    say(rig, 1, "-NOSCRIPT x\r\n-NOSCRIPT x\r\n");
    assert_string_equal(said(rig, 1), "EVAL the-text 1 foo a|EVALSHA the-sha 1 foo b");
    say(rig, 1, "+A\r\n+B\r\n");
    assert_end(rig, a, REDIS_REPLIED, "A", true, false);
    assert_end(rig, b, REDIS_REPLIED, "B", true, false);
    /* Forgotten by the node later on, it is sent again; on another connection, too. */
    ask_script(rig, "c");
    turn(rig);
    assert_string_equal(said(rig, 1), "EVALSHA the-sha 1 foo c");
    say(rig, 1, "-NOSCRIPT x\r\n");
    assert_string_equal(said(rig, 1), "EVAL the-text 1 foo c");
    say(rig, 1, "-MOVED 12182 10.0.0.1:1\r\n");
    assert_string_equal(said(rig, 0), "EVALSHA the-sha 1 foo c");
    say(rig, 0, "-NOSCRIPT x\r\n");
    assert_string_equal(said(rig, 0), "EVAL the-text 1 foo c");
    free_rig(rig);
}

/* ---- nodes that fail ---- */

static void what_was_never_sent_has_not_run(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int sent = ask(rig, "foo", false, 100000);
    turn(rig);
    at(rig, 1)->room = 5; /* of 22 bytes */
    int cut_off = ask(rig, "foo", false, 100000);
    turn(rig);
    cut(rig, 1);
    assert_end(rig, sent, REDIS_LOST, "its connection was lost", true, true);
    assert_open(rig, cut_off); /* half a command is none: tried again */
    await_said(rig, 0, 300);   /* the map is asked for */
    assert_string_equal(said(rig, 0), "CLUSTER SLOTS");
    say(rig, 0, MAP_AFTER);
    assert_string_equal(at(rig, rig->fake.count - 1)->address, "10.0.0.3:1");
    int c = rig->fake.count - 1;
    accept_at(rig, c);
    if (at(rig, c)->sent.n == 0) await_said(rig, c, PAUSE_MS_MAX);
    assert_string_equal(said(rig, c), "GET foo");
    say(rig, c, "$1\r\na\r\n");
    assert_end(rig, cut_off, REDIS_REPLIED, "a", true, false);
    free_rig(rig);
}

static void a_node_that_says_nothing_is_given_up(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int again = ask_foo(rig), once = ask(rig, "foo", false, 100000);
    turn(rig);
    assert_true(rig->next_ms <= rig->now_ms + TRY_MS);
    pass(rig, TRY_MS - 1);
    assert_true(at(rig, 1)->is_open);
    pass(rig, 1);
    assert_false(at(rig, 1)->is_open);
    assert_int_equal(counted(&counts(rig)->time_outs), 1);
    assert_end(rig, once, REDIS_LOST, "no answer in time", true, true);
    assert_open(rig, again);
    struct redis_state is;
    redis_cluster_state(rig->cluster, &is);
    assert_string_equal(is.problem, "10.0.0.2:1: no answer in time");
    assert_int_equal(is.masters, 2);
    assert_int_equal(is.masters_ready, 1);
    free_rig(rig);
}

static void connecting_has_an_end_and_is_tried_again_with_pauses(void **state) {
    (void)state;
    struct rig *rig = new_rig("10.0.0.1:1", NULL);
    int foo = ask(rig, "foo", true, 60000);
    turn(rig);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rig->fake.count, i + 1);
        pass(rig, CONNECT_MS);
        assert_false(at(rig, i)->is_open);
        const uint64_t from = rig->now_ms;
        while (rig->fake.count == i + 1) {
            rig->now_ms = rig->next_ms;
            turn(rig);
        }
        assert_in_range(rig->now_ms - from, 1, PAUSE_MS_MAX);
    }
    assert_open(rig, foo);
    free_rig(rig);
}

static void a_connection_that_is_refused_says_why(void **state) {
    (void)state;
    struct rig *rig = new_rig("10.0.0.1:1", NULL);
    turn(rig);
    at(rig, 0)->error = -ECONNREFUSED;
    tell(rig, 0, SOCKET_READABLE | SOCKET_WRITABLE | SOCKET_ENDED);
    struct redis_state is;
    redis_cluster_state(rig->cluster, &is);
    assert_string_equal(is.problem, "10.0.0.1:1: Connection refused");
    free_rig(rig);
}

static void a_log_in_comes_first_and_may_be_refused(void **state) {
    (void)state;
    struct rig *rig = new_rig("10.0.0.1:1", "secret");
    turn(rig);
    accept_at(rig, 0);
    assert_string_equal(said(rig, 0), "AUTH me secret");
    say(rig, 0, "-WRONGPASS \"no\"\r\n");
    assert_false(at(rig, 0)->is_open);
    struct redis_state is;
    redis_cluster_state(rig->cluster, &is);
    assert_string_equal(is.problem, "10.0.0.1:1: WRONGPASS 'no'");
    pass(rig, PAUSE_MS);
    accept_at(rig, 1);
    say(rig, 1, "+OK\r\n");
    assert_string_equal(said(rig, 1), "AUTH me secret|CLUSTER SLOTS");
    free_rig(rig);
}

static void what_is_no_protocol_breaks_the_connection(void **state) {
    (void)state;
    static const char *const bytes[] = {"HTTP/1.1 200 OK\r\n\r\n", "+UNASKED\r\n", "$-5\r\n",
                                        "*x\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        struct rig *rig = ready_rig();
        say(rig, 1, bytes[i]);
        turn(rig);
        if (at(rig, 1)->is_open) fail_msg("%s was taken", bytes[i]);
        free_rig(rig);
    }
}

static void a_node_without_slots_is_no_cluster(void **state) {
    (void)state;
    struct rig *rig = new_rig("10.0.0.1:1", NULL);
    turn(rig);
    accept_at(rig, 0);
    said(rig, 0);
    say(rig, 0, "*0\r\n");
    struct redis_state is;
    redis_cluster_state(rig->cluster, &is);
    assert_non_null(strstr(is.problem, "is it part of a cluster?"));
    await_said(rig, 0, 200); /* asked again, not at once */
    say(rig, 0, "-ERR This instance has cluster support disabled\r\n");
    redis_cluster_state(rig->cluster, &is);
    assert_non_null(strstr(is.problem, "cluster support disabled"));
    free_rig(rig);
}

static void every_master_can_be_asked(void **state) {
    (void)state;
    static const struct slice words[] = {{"INFO", 4}};
    uint16_t slots[4];
    char address[REDIS_ADDRESS_TEXT_BYTES];
    struct rig *rig = new_rig("10.0.0.1:1", NULL);
    assert_int_equal(redis_cluster_masters(rig->cluster, slots, 4), 0);
    redis_cluster_master_of(rig->cluster, 0, address);
    assert_string_equal(address, "");
    free_rig(rig);
    rig = ready_rig();
    assert_int_equal(redis_cluster_masters(rig->cluster, slots, 1), 1);
    assert_int_equal(redis_cluster_masters(rig->cluster, slots, 4), 2);
    for (int i = 0; i < 2; i++) {
        redis_cluster_master_of(rig->cluster, slots[i], address);
        assert_string_equal(address, i == 0 ? "10.0.0.1:1" : "10.0.0.2:1");
        struct redis_request request = {
            .slot = &slots[i], .words = words, .words_count = 1, .deadline_ms = rig->now_ms + 1000};
        assert_int_equal(send_words(rig, request), 0);
        rig->count++;
        turn(rig);
        assert_string_equal(said(rig, i), "INFO");
        assert_string_equal(said(rig, 1 - i), "");
    }
    free_rig(rig);
}

static void the_map_is_asked_for_now_and_then(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    const uint64_t start = rig->now_ms;
    while (counted(&counts(rig)->refreshes) < 2) {
        assert_true(rig->next_ms != UINT64_MAX);
        rig->now_ms = rig->next_ms;
        turn(rig);
    }
    assert_in_range(rig->now_ms - start, REFRESH_MS / 2, REFRESH_MS + 1);
    free_rig(rig);
}

/* ---- deadlines ---- */

static void a_deadline_ends_what_waits_and_what_flies(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int flies = ask(rig, "foo", true, 100);
    turn(rig);
    at(rig, 1)->room = 0;
    int stuck = ask(rig, "foo", true, 100), next = ask(rig, "foo", true, 5000);
    pass(rig, 99);
    assert_open(rig, flies);
    pass(rig, 1);
    assert_end(rig, flies, REDIS_LATE, "not sent yet", true, true);
    assert_end(rig, stuck, REDIS_LATE, "not sent yet", false, true);
    at(rig, 1)->room = SIZE_MAX;
    tell(rig, 1, SOCKET_WRITABLE);
    /* The replies that nobody waits for are not taken for the next one's. */
    say(rig, 1, "$1\r\na\r\n-ERR b\r\n$1\r\nc\r\n");
    assert_end(rig, next, REDIS_REPLIED, "c", true, false);
    free_rig(rig);
}

static void a_deadline_tells_what_the_last_try_said(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int foo = ask(rig, "foo", true, 5);
    turn(rig);
    say(rig, 1, "-CLUSTERDOWN x\r\n");
    while (rig->asked[foo].ends == 0) {
        pass(rig, 1);
        if (at(rig, 1)->sent.n > 0 && strstr(said(rig, 1), "GET") != NULL)
            say(rig, 1, "-CLUSTERDOWN x\r\n");
    }
    assert_end(rig, foo, REDIS_LATE, "CLUSTERDOWN", false, true);
    free_rig(rig);
}

static void the_end_of_the_client_is_the_end_of_every_command(void **state) {
    (void)state;
    struct rig *rig = ready_rig();
    int flies = ask_foo(rig);
    turn(rig);
    int queued = ask_foo(rig);
    say(rig, 1, "");
    at(rig, 0)->room = 0;
    int unsent = ask(rig, "bar", true, 1000);
    redis_cluster_free(rig->cluster);
    rig->cluster = NULL;
    assert_end(rig, flies, REDIS_SHUTDOWN, "not sent yet", true, false);
    assert_end(rig, queued, REDIS_SHUTDOWN, "not sent yet", true, false);
    assert_end(rig, unsent, REDIS_SHUTDOWN, "not sent yet", false, false);
    free_rig(rig);
}

/* ---- anything at all ---- */

/* Nodes that answer at random, break, stand still: each command ends exactly once, and in the end,
 * when all is well again, each that still waits is answered. */
static void every_command_ends_once_whatever_happens(void **state) {
    (void)state;
    static const char *const replies[] = {"$1\r\na\r\n",
                                          "$1\r\na\r\n",
                                          "$1\r\na\r\n",
                                          "-MOVED 12182 10.0.0.1:1\r\n",
                                          "-MOVED 5061 10.0.0.2:1\r\n",
                                          "-ASK 12182 10.0.0.1:1\r\n",
                                          "-TRYAGAIN x\r\n",
                                          "-BUSY x\r\n",
                                          "-ERR x\r\n",
                                          "-CLUSTERDOWN x\r\n",
                                          "-NOSCRIPT x\r\n",
                                          "-UNBLOCKED x\r\n",
                                          MAP,
                                          MAP_AFTER};
    struct rig *rig = ready_rig();
    for (int step = 0; step < 6000 && rig->fake.count < FAKE_CONNECTIONS_MAX / 2; step++) {
        uint64_t dice;
        fill(&rig->random, &dice, sizeof dice);
        if (rig->count < ASKED_MAX)
            ask(rig, dice & 1 ? "foo" : "bar", (dice & 2) != 0, 1 + (dice >> 2) % 3000);
        pass(rig, (dice >> 20) % 40);
        int i = (int)((dice >> 30) % (uint64_t)rig->fake.count);
        if (!at(rig, i)->is_open) continue;
        if (dice >> 40 & 1)
            accept_at(rig, i);
        else if ((dice >> 41) % 64 == 0)
            cut(rig, i);
        else
            say(rig, i, replies[(dice >> 48) % ARRAY_LEN(replies)]);
    }
    assert_true(rig->count > 400);
    for (int i = 0; i < 4000; i++) pass(rig, 1);
    for (int i = 0; i < rig->count; i++) assert_int_equal(rig->asked[i].ends, 1);
    uint64_t ended = 0;
    for (int end = 0; end <= REDIS_SHUTDOWN; end++) ended += counted(&counts(rig)->ended[end]);
    assert_int_equal(ended, rig->count);
    free_rig(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_go_to_the_nodes_of_their_slots),
        cmocka_unit_test(commands_wait_for_the_first_map),
        cmocka_unit_test(more_than_the_bound_is_refused),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(a_socket_without_room_is_written_to_later),
        cmocka_unit_test(moved_is_followed_to_a_node_that_nobody_knew),
        cmocka_unit_test(ask_is_followed_once_behind_asking),
        cmocka_unit_test(redirects_in_a_circle_end_in_a_pause),
        cmocka_unit_test(a_redirect_to_a_name_waits_for_the_next_map),
        cmocka_unit_test(many_redirects_ask_for_one_map),
        cmocka_unit_test(maps_that_stay_old_are_no_storm),
        cmocka_unit_test(refusals_that_pass_are_tried_again_after_a_pause),
        cmocka_unit_test(refusals_that_stay_end_it),
        cmocka_unit_test(a_refusal_after_the_fact_is_repeated_only_when_that_is_allowed),
        cmocka_unit_test(pauses_are_jittered_and_double_up_to_their_bound),
        cmocka_unit_test(a_script_that_a_node_lacks_is_sent_once),
        cmocka_unit_test(what_was_never_sent_has_not_run),
        cmocka_unit_test(a_node_that_says_nothing_is_given_up),
        cmocka_unit_test(connecting_has_an_end_and_is_tried_again_with_pauses),
        cmocka_unit_test(a_connection_that_is_refused_says_why),
        cmocka_unit_test(a_log_in_comes_first_and_may_be_refused),
        cmocka_unit_test(what_is_no_protocol_breaks_the_connection),
        cmocka_unit_test(a_node_without_slots_is_no_cluster),
        cmocka_unit_test(every_master_can_be_asked),
        cmocka_unit_test(the_map_is_asked_for_now_and_then),
        cmocka_unit_test(a_deadline_ends_what_waits_and_what_flies),
        cmocka_unit_test(a_deadline_tells_what_the_last_try_said),
        cmocka_unit_test(the_end_of_the_client_is_the_end_of_every_command),
        cmocka_unit_test(every_command_ends_once_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
