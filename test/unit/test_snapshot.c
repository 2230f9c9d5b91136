/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reply of snapshot.lua means; any other reply is none.
 */
#include "claim/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/redis_reply.h"

struct heard {
    struct reserve_state state;
    char policy[32], holders[200], free[100];
};

static void on_state(void *ctx, const struct reserve_state *state) {
    struct heard *heard = ctx;
    heard->state = *state;
    snprintf(heard->policy, sizeof heard->policy, "%.*s", (int)state->policy.n, state->policy.p);
}

static void on_holder(void *ctx, const struct reserve_holder *holder) {
    struct heard *heard = ctx;
    size_t at = strlen(heard->holders);
    snprintf(heard->holders + at, sizeof heard->holders - at, "%.*s %d %d %d %d;",
             (int)holder->user_id.n, holder->user_id.p, holder->is_readable, (int)holder->gen,
             (int)holder->serial, (int)holder->ms);
}

static void on_free(void *ctx, int64_t serial) {
    struct heard *heard = ctx;
    size_t at = strlen(heard->free);
    snprintf(heard->free + at, sizeof heard->free - at, "%d ", (int)serial);
}

static bool hear(struct heard *heard, const char *bytes) {
    const struct reserve_sink sink = {heard, on_state, on_holder, on_free};
    struct redisReply *reply = redis_reply_of(slice_str(bytes));
    *heard = (struct heard){0};
    assert_non_null(reply);
    bool is_good = snapshot_read(reply, &sink);
    freeReplyObject(reply);
    return is_good;
}

#define TYPES "*4\r\n$4\r\nhash\r\n$4\r\nhash\r\n$4\r\nlist\r\n$6\r\nstream\r\n"
#define TTLS "*4\r\n:-1\r\n:-1\r\n:7\r\n:-2\r\n"
#define NODE "*3\r\n:1700000000000\r\n$2\r\nab\r\n$10\r\nnoeviction\r\n"
#define TAIL "$2\r\ntl\r\n$1\r\n0\r\n$3\r\nseq\r\n$1\r\n4\r\n"
#define HEAD "$3\r\ngen\r\n$1\r\n3\r\n$3\r\nver\r\n$1\r\n5\r\n$1\r\nn\r\n$2\r\n10\r\n"
#define TIMES "$2\r\nt0\r\n$1\r\n0\r\n$2\r\nt1\r\n$19\r\n9223372036854775807\r\n"
#define M                                                                                          \
    "*20\r\n" HEAD TIMES TAIL                                                                      \
    "$4\r\nnext\r\n$1\r\n4\r\n$2\r\nst\r\n$1\r\n1\r\n$3\r\ntok\r\n$2\r\nab\r\n"
#define U                                                                                          \
    "*6\r\n$3\r\nada\r\n$9\r\n3 1 8 2 c\r\n$3\r\nbob\r\n$8\r\n3 2 9 3 \r\n$2\r\ncy\r\n$1\r\nx\r\n"
#define F "*2\r\n$1\r\n3\r\n$2\r\n-x\r\n"
#define NOTHING "*0\r\n"

static void a_whole_event(void **state) {
    struct heard heard;
    (void)state;
    assert_true(hear(&heard, "*6\r\n" TYPES TTLS NODE M U F));
    assert_true(heard.state.is_there && heard.state.is_readable && heard.state.is_token_now);
    assert_int_equal(heard.state.gen, 3);
    assert_int_equal(heard.state.ver, 5);
    assert_int_equal(heard.state.stock, 10);
    assert_int_equal(heard.state.next, 4);
    assert_int_equal(heard.state.status, 1);
    assert_int_equal(heard.state.starts_ms, DECISION_NO_TIME);
    assert_int_equal(heard.state.ends_ms, DECISION_NO_TIME);
    assert_int_equal(heard.state.now_ms, 1700000000000);
    assert_int_equal(heard.state.ttl_ms[2], 7);
    assert_int_equal(heard.state.ttl_ms[3], -2);
    assert_string_equal(heard.policy, "noeviction");
    assert_string_equal(heard.holders, "ada 1 3 1 8;bob 1 3 2 9;cy 0 0 0 0;");
    assert_string_equal(heard.free, "3 -1 ");
}

static void what_is_missing_or_of_another_type(void **state) {
    struct heard heard;
    (void)state;
    const char none[] = "*4\r\n$4\r\nnone\r\n$4\r\nnone\r\n$4\r\nnone\r\n$4\r\nnone\r\n";
    char bytes[2000];
    snprintf(bytes, sizeof bytes, "*6\r\n%s" TTLS NODE NOTHING NOTHING NOTHING, none);
    assert_true(hear(&heard, bytes));
    assert_false(heard.state.is_there || heard.state.is_readable || heard.state.is_wrong[0]);
    const char wrong[] = "*4\r\n$4\r\nhash\r\n$3\r\nset\r\n$6\r\nstring\r\n$4\r\nhash\r\n";
    snprintf(bytes, sizeof bytes, "*6\r\n%s" TTLS NODE M NOTHING NOTHING, wrong);
    assert_true(hear(&heard, bytes));
    assert_true(!heard.state.is_wrong[0] && heard.state.is_wrong[1] && heard.state.is_wrong[2] &&
                heard.state.is_wrong[3]);
}

static void fields_that_are_none(void **state) {
    static const char *const lists[] = {
        "*0\r\n", "*10\r\n" HEAD "$2\r\nst\r\n$1\r\n1\r\n$4\r\nnext\r\n$1\r\n4\r\n", /* no times */
        "*18\r\n" HEAD TIMES TAIL
        "$4\r\nnext\r\n$1\r\nx\r\n$2\r\nst\r\n$1\r\n1\r\n", /* no number */
        "*18\r\n" HEAD TIMES TAIL
        "$4\r\nnext\r\n$1\r\n4\r\n$2\r\nst\r\n$1\r\n9\r\n", /* no status */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct heard heard;
        char bytes[2000];
        snprintf(bytes, sizeof bytes, "*6\r\n" TYPES TTLS NODE "%s" NOTHING NOTHING, lists[i]);
        assert_true(hear(&heard, bytes));
        assert_true(heard.state.is_there);
        assert_false(heard.state.is_readable);
        assert_false(heard.state.is_token_now);
    }
}

static void nonsense(void **state) {
    static const char *const all[] = {
        "+OK\r\n",
        "*0\r\n",
        "*14\r\n" HEAD TIMES "$4\r\nnext\r\n$1\r\n4\r\n$2\r\nst\r\n$1\r\n1\r\n", /* no tl */
        "*5\r\n" TYPES TTLS NODE M U,
        "*6\r\n" NOTHING TTLS NODE M U F,
        "*6\r\n" TYPES TYPES NODE M U F,
        "*6\r\n" TYPES TTLS NOTHING M U F,
        "*6\r\n" TYPES TTLS TTLS M U F,
        "*6\r\n" TYPES TTLS NODE "$1\r\nx\r\n" U F,
        "*6\r\n" TYPES TTLS NODE M "*2\r\n:1\r\n:2\r\n" F,
        "*6\r\n" TYPES TTLS NODE M U "*1\r\n$-1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct heard heard;
        assert_false(hear(&heard, all[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_event),
        cmocka_unit_test(what_is_missing_or_of_another_type),
        cmocka_unit_test(fields_that_are_none),
        cmocka_unit_test(nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
