/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening: from which address, to a server that is there, to one that is not. How bytes move is
 * tested in test_load_exchange.c.
 */
#include "verify/load_connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

/* A listening socket on a free port of 127.0.0.1. */
static int listen_anywhere(struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof *address;
    assert_int_equal(bind(fd, (struct sockaddr *)address, bytes), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &bytes), 0);
    return fd;
}

static int open_to(struct load_connection *connection, const struct sockaddr_in *address,
                   bool spreads, int epoll_fd) {
    return load_connection_open(connection, (const struct sockaddr *)address, sizeof *address,
                                spreads, epoll_fd, 77);
}

static void check_source(uint32_t index, bool spreads, const char *source) {
    struct sockaddr_in address, from = {0};
    socklen_t bytes = sizeof from;
    int listener = listen_anywhere(&address), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct load_sent ring[2];
    struct load_connection connection;
    load_connection_init(&connection, index, ring, 2);
    assert_false(load_connection_has_room(&connection));
    assert_int_equal(open_to(&connection, &address, spreads, epoll_fd), 0);
    assert_int_equal(connection.state, CONNECTION_CONNECTING);
    assert_int_equal(connection.opened_ns, 77);
    int accepted = accept(listener, (struct sockaddr *)&from, &bytes);
    assert_true(accepted >= 0);
    assert_string_equal(inet_ntoa(from.sin_addr), source);
    struct epoll_event event;
    assert_int_equal(epoll_wait(epoll_fd, &event, 1, 1000), 1);
    assert_ptr_equal(event.data.ptr, &connection);
    assert_int_equal(load_connection_finish_open(&connection), 0);
    assert_true(load_connection_has_room(&connection));
    load_connection_deinit(&connection);
    assert_int_equal(connection.fd, -1);
    close(accepted);
    close(listener);
    close(epoll_fd);
}

static void a_thousand_connections_share_a_source(void **state) {
    (void)state;
    check_source(0, true, "127.1.0.1");
    check_source(1, true, "127.1.0.2");
    check_source(249, true, "127.1.0.250");
    check_source(250, true, "127.1.1.1");
    check_source(63999, true, "127.1.255.250");
    check_source(64000, true, "127.1.0.1");
    check_source(5000, false, "127.0.0.1");
}

static void nobody_listens(void **state) {
    (void)state;
    struct sockaddr_in address;
    close(listen_anywhere(&address));
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct load_sent ring[1];
    struct load_connection connection;
    load_connection_init(&connection, 0, ring, 1);
    int failed = open_to(&connection, &address, false, epoll_fd);
    if (failed == 0) {
        struct epoll_event event;
        assert_int_equal(epoll_wait(epoll_fd, &event, 1, 1000), 1);
        failed = load_connection_finish_open(&connection);
        load_connection_close(&connection);
    }
    assert_int_equal(failed, -ECONNREFUSED);
    assert_int_equal(connection.state, CONNECTION_CLOSED);
    close(epoll_fd);
}

static void the_ring_keeps_order_around_its_end(void **state) {
    (void)state;
    struct load_sent ring[3];
    struct load_connection connection;
    load_connection_init(&connection, 0, ring, 3);
    uint32_t pushed = 0, popped = 0;
    for (int round = 0; round < 10; round++) {
        while (connection.count < 3) load_connection_push(&connection)->user = pushed++;
        for (int i = 0; i < 2; i++, load_connection_pop(&connection))
            assert_int_equal(load_connection_first(&connection)->user, popped++);
    }
    assert_int_equal(connection.count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_connections_share_a_source),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(the_ring_keeps_order_around_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
