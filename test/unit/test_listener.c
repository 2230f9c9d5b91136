/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets of our own, and those that were passed on.
 */
#include "api/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>

static struct err err;
static char real[LISTEN_ADDRESS_BYTES];

static int open_one(const char *address) {
    int fd;
    if (listener_open(address, 16, &fd, 1, real, &err) != 0) fail_msg("%s", err.text);
    return fd;
}

static int connect_to(const char *address) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static bool has_somebody(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static void a_free_port_is_named(void **state) {
    (void)state;
    int fds[3];
    assert_int_equal(listener_open("127.0.0.1:0", 16, fds, 3, real, &err), 0);
    assert_true(strncmp(real, "127.0.0.1:", 10) == 0 && strcmp(real, "127.0.0.1:0") != 0);
    int other;
    char other_real[LISTEN_ADDRESS_BYTES];
    assert_int_equal(listener_open(real, 16, &other, 1, other_real, &err), -EADDRINUSE);
    for (int i = 0; i < 3; i++) close(fds[i]);
}

static void what_is_no_address_is_refused(void **state) {
    (void)state;
    const char *const texts[] = {"",           "8080",        "127.0.0.1",
                                 "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000",
                                 "::1:80",     "[::1:80",     "localhost:80"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd;
        assert_int_equal(listener_open(texts[i], 16, &fd, 1, real, &err), -EINVAL);
    }
}

/* Everybody sees who waits; who comes first takes them; and they wait on when all have gone. */
static void duplicates_share_one_queue(void **state) {
    (void)state;
    int own = open_one("127.0.0.1:0"), passed = dup(own), fds[2];
    char adopted[LISTEN_ADDRESS_BYTES];
    assert_int_equal(listener_adopt(passed, fds, 2, adopted, &err), 0);
    assert_string_equal(adopted, real);
    assert_int_equal(fcntl(passed, F_GETFD), -1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        assert_true((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
    }
    int first = connect_to(real), second = connect_to(real);
    assert_true(has_somebody(fds[0]) && has_somebody(fds[1]));
    int taken = accept(fds[0], NULL, NULL);
    assert_true(taken >= 0);
    close(fds[0]);
    assert_true(has_somebody(fds[1]));
    close(fds[1]);
    int late = accept(own, NULL, NULL);
    assert_true(late >= 0);
    const int all[] = {first, second, taken, late, own};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) close(all[i]);
}

static void what_does_not_listen_is_refused(void **state) {
    (void)state;
    int pair[2], fds[1];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const int others[] = {open("/dev/null", O_RDONLY), socket(AF_INET, SOCK_STREAM, 0),
                          socket(AF_INET, SOCK_DGRAM, 0), pair[0]};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(listener_adopt(others[i], fds, 1, real, &err), -EINVAL);
        assert_int_equal(fcntl(others[i], F_GETFD), -1);
    }
    close(pair[1]);
}

static void loopback_is_known(void **state) {
    (void)state;
    assert_true(listener_is_loopback("127.0.0.1:1"));
    assert_true(listener_is_loopback("127.3.2.1:1"));
    assert_true(listener_is_loopback("[::1]:1"));
    assert_false(listener_is_loopback("0.0.0.0:1"));
    assert_false(listener_is_loopback("[::]:1"));
    assert_false(listener_is_loopback("12.7.0.1:1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_port_is_named),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(duplicates_share_one_queue),
        cmocka_unit_test(what_does_not_listen_is_refused),
        cmocka_unit_test(loopback_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
