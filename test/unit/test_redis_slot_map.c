/* SPDX-License-Identifier: Apache-2.0
 *
 * The reply to CLUSTER SLOTS as a map, and replies that are none.
 */
#include "lib/redis/slot_map.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "fake/redis_reply.h"

static const struct redis_address asked = {"10.0.0.9", 7009};
static struct redis_slot_map map;

static bool reads(const char *bytes) {
    struct redisReply *reply = redis_reply_of(slice_str(bytes));
    assert_non_null(reply);
    bool is_read = redis_slot_map_read(&map, reply, &asked);
    freeReplyObject(reply);
    return is_read;
}

static void assert_node(unsigned slot, const char *host, uint16_t port) {
    assert_int_not_equal(map.node_of[slot], REDIS_NO_NODE);
    const struct redis_address *node = &map.nodes[map.node_of[slot]];
    assert_string_equal(node->host, host);
    assert_int_equal(node->port, port);
    assert_true(map.is_master[map.node_of[slot]]);
}

#define NODE(host, port) "*3\r\n" host ":" port "\r\n$2\r\nid\r\n"
#define HOST(text, n) "$" n "\r\n" text "\r\n"

static void masters_and_replicas(void **state) {
    (void)state;
    assert_true(reads("*2\r\n"
                      "*4\r\n:0\r\n:99\r\n" NODE(HOST("10.0.0.1", "8"), "7000")
                          NODE(HOST("10.0.0.2", "8"), "7001") "*3\r\n:100\r\n:16383\r\n" NODE(
                              HOST("10.0.0.3", "8"), "7000")));
    assert_int_equal(map.covered, REDIS_SLOTS);
    assert_int_equal(map.nodes_count, 3);
    assert_node(0, "10.0.0.1", 7000);
    assert_node(99, "10.0.0.1", 7000);
    assert_node(100, "10.0.0.3", 7000);
    assert_node(16383, "10.0.0.3", 7000);
    assert_false(map.is_master[1]);
}

static void holes_and_later_ranges(void **state) {
    (void)state;
    assert_true(reads("*2\r\n*3\r\n:5\r\n:5\r\n" NODE(
        HOST("10.0.0.1", "8"), "1") "*3\r\n:4\r\n:6\r\n" NODE(HOST("10.0.0.2", "8"), "1")));
    assert_int_equal(map.covered, 3);
    assert_int_equal(map.node_of[3], REDIS_NO_NODE);
    assert_node(5, "10.0.0.2", 1); /* what was said last */
    assert_int_equal(map.node_of[7], REDIS_NO_NODE);
}

static void nodes_that_tell_no_address(void **state) {
    (void)state;
    assert_true(reads("*1\r\n*3\r\n:0\r\n:0\r\n" NODE(HOST("", "0"), "7000")));
    assert_node(0, "10.0.0.9", 7000);
    assert_true(reads("*1\r\n*3\r\n:0\r\n:0\r\n" NODE("$-1\r\n", "7000")));
    assert_node(0, "10.0.0.9", 7000);
    /* A name, with the address beside it. */
    assert_true(reads("*1\r\n*3\r\n:0\r\n:0\r\n*4\r\n$1\r\nn\r\n:7000\r\n$2\r\nid\r\n"
                      "*4\r\n$1\r\nx\r\n$1\r\ny\r\n$2\r\nip\r\n$8\r\n10.0.0.4\r\n"));
    assert_node(0, "10.0.0.4", 7000);
}

static void what_is_no_map_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "*0\r\n",
        "$-1\r\n",
        "+OK\r\n",
        "-ERR This instance has cluster support disabled\r\n",
        ":1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:-1\r\n:1\r\n" NODE(HOST("10.0.0.1", "8"), "1"),
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE(HOST("10.0.0.1", "8"), "1"),
        "*1\r\n*3\r\n$1\r\n0\r\n:1\r\n" NODE(HOST("10.0.0.1", "8"), "1"),
        "*1\r\n*3\r\n:2\r\n:1\r\n" NODE(HOST("10.0.0.1", "8"), "1"),
        /* slots, but nobody who can be reached */
        "*1\r\n*3\r\n:0\r\n:1\r\n" NODE(HOST("node-a", "6"), "1"),
        "*1\r\n*3\r\n:0\r\n:1\r\n" NODE(HOST("10.0.0.1", "8"), "0"),
        "*1\r\n*3\r\n:0\r\n:1\r\n" NODE(HOST("10.0.0.1", "8"), "65536"),
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nx\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n:7\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*4\r\n$1\r\nn\r\n:7000\r\n$2\r\nid\r\n*1\r\n$2\r\nip\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (reads(bad[i])) fail_msg("%s was accepted", bad[i]);
}

static void more_nodes_than_there_is_room_for(void **state) {
    (void)state;
    static char bytes[64 * 1024];
    size_t n = (size_t)snprintf(bytes, sizeof bytes, "*%d\r\n", REDIS_NODES_MAX + 10);
    for (int i = 0; i < REDIS_NODES_MAX + 10; i++)
        n += (size_t)snprintf(bytes + n, sizeof bytes - n,
                              "*3\r\n:%d\r\n:%d\r\n*3\r\n$8\r\n10.0.0.1\r\n:%d\r\n$2\r\nid\r\n", i,
                              i, 7000 + i);
    assert_true(reads(bytes));
    assert_int_equal(map.nodes_count, REDIS_NODES_MAX);
    assert_int_equal(map.covered, REDIS_NODES_MAX);
    assert_node(REDIS_NODES_MAX - 1, "10.0.0.1", 7000 + REDIS_NODES_MAX - 1);
    assert_int_equal(map.node_of[REDIS_NODES_MAX], REDIS_NO_NODE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masters_and_replicas),
        cmocka_unit_test(holes_and_later_ranges),
        cmocka_unit_test(nodes_that_tell_no_address),
        cmocka_unit_test(what_is_no_map_is_refused),
        cmocka_unit_test(more_nodes_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
