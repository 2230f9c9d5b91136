/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's sockets: changes are told once, ends and room are told apart.
 */
#include "lib/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockets *sockets;
static int mine, theirs; /* two ends */
static char owner, other;

static int make(void **state) {
    (void)state;
    int pair[2];
    sockets = sockets_system_new();
    if (sockets == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) return -1;
    mine = pair[0];
    theirs = pair[1];
    return 0;
}

static int end(void **state) {
    (void)state;
    close(mine);
    close(theirs);
    sockets->ops->free(sockets);
    return 0;
}

/* What the next event says of `owner`; 0 when there is none at once. */
static unsigned told(void) {
    struct socket_event event = {0};
    int count = sockets->ops->wait(sockets, 0, &event, 1);
    assert_in_range(count, 0, 1);
    if (count == 1) assert_ptr_equal(event.owner, &owner);
    return count == 1 ? event.what : 0;
}

static void say(const char *text) {
    assert_int_equal(write(theirs, text, strlen(text)), strlen(text));
}

static void what_comes_is_told_once(void **state) {
    (void)state;
    char bytes[8];
    assert_int_equal(sockets->ops->watch(sockets, mine, &owner, false), 0);
    assert_int_equal(told(), 0);
    say("abc");
    assert_int_equal(told(), SOCKET_READABLE);
    assert_int_equal(told(), 0); /* although nothing was read */
    assert_true(sockets->ops->has_unread(sockets, mine));
    assert_int_equal(sockets->ops->receive(sockets, mine, bytes, 2), 2);
    say("d");
    assert_int_equal(told(), SOCKET_READABLE);
    assert_int_equal(sockets->ops->receive(sockets, mine, bytes, sizeof bytes), 2);
    assert_memory_equal(bytes, "cd", 2);
    assert_false(sockets->ops->has_unread(sockets, mine));
    assert_int_equal(sockets->ops->receive(sockets, mine, bytes, sizeof bytes), -EAGAIN);
}

static void what_had_come_before_is_told(void **state) {
    (void)state;
    say("early");
    assert_int_equal(sockets->ops->watch(sockets, mine, &owner, false), 0);
    assert_int_equal(told(), SOCKET_READABLE);
}

static void a_level_is_told_again_and_again(void **state) {
    (void)state;
    assert_int_equal(sockets->ops->watch_level(sockets, mine, &owner), 0);
    say("x");
    assert_int_equal(told(), SOCKET_READABLE);
    assert_int_equal(told(), SOCKET_READABLE);
    sockets->ops->forget(sockets, mine);
    assert_int_equal(told(), 0);
    assert_int_equal(sockets->ops->watch_level(sockets, mine, &owner), 0);
    assert_int_equal(told(), SOCKET_READABLE);
}

static void a_half_closed_side_is_told_and_still_answered(void **state) {
    (void)state;
    char bytes[8];
    assert_int_equal(sockets->ops->watch(sockets, mine, &owner, false), 0);
    say("bye");
    assert_int_equal(shutdown(theirs, SHUT_WR), 0);
    assert_int_equal(told(), SOCKET_READABLE | SOCKET_ENDED);
    assert_int_equal(sockets->ops->receive(sockets, mine, bytes, sizeof bytes), 3);
    assert_int_equal(sockets->ops->receive(sockets, mine, bytes, sizeof bytes), 0);
    assert_int_equal(sockets->ops->send(sockets, mine, "answer", 6), 6);
    assert_int_equal(read(theirs, bytes, sizeof bytes), 6);
}

static void a_broken_one_tells_whoever_waits_for_anything(void **state) {
    (void)state;
    assert_int_equal(sockets->ops->watch(sockets, mine, &owner, false), 0);
    close(theirs);
    theirs = -1;
    assert_int_equal(told(), SOCKET_READABLE | SOCKET_WRITABLE | SOCKET_ENDED);
    assert_int_equal(sockets->ops->send(sockets, mine, "x", 1), -EPIPE); /* and no signal */
}

static void our_side_is_shut(void **state) {
    (void)state;
    char byte;
    assert_int_equal(sockets->ops->shut(sockets, mine), 0);
    assert_int_equal(read(theirs, &byte, 1), 0);
    sockets->ops->close(sockets, mine);
    assert_int_equal(sockets->ops->shut(sockets, mine), -EBADF);
    mine = -1;
}

static void room_is_told_only_to_who_wants_it(void **state) {
    (void)state;
    static char much[1 << 16];
    assert_int_equal(sockets->ops->watch(sockets, mine, &owner, false), 0);
    ssize_t n, all = 0;
    while ((n = sockets->ops->send(sockets, mine, much, sizeof much)) > 0) all += n;
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(told(), 0);
    assert_int_equal(sockets->ops->watch(sockets, mine, &owner, true), 0);
    assert_int_equal(told(), 0); /* there is none yet */
    while (all > 0 && (n = read(theirs, much, sizeof much)) > 0) all -= n;
    assert_int_equal(told(), SOCKET_WRITABLE);
    assert_int_equal(told(), 0);
}

static void owners_are_told_apart(void **state) {
    (void)state;
    struct socket_event events[4] = {0};
    assert_int_equal(sockets->ops->watch(sockets, mine, &owner, false), 0);
    assert_int_equal(sockets->ops->watch(sockets, theirs, &other, false), 0);
    assert_int_equal(write(theirs, "a", 1), 1);
    assert_int_equal(write(mine, "b", 1), 1);
    assert_int_equal(sockets->ops->wait(sockets, -1, events, 1), 1); /* no more than there is room */
    assert_int_equal(sockets->ops->wait(sockets, -1, events + 1, 3), 1);
    assert_ptr_not_equal(events[0].owner, events[1].owner);
}

static void what_is_no_socket_is_refused(void **state) {
    (void)state;
    char byte;
    assert_int_equal(sockets->ops->watch(sockets, -1, &owner, false), -EBADF);
    assert_int_equal(sockets->ops->receive(sockets, -1, &byte, 1), -EBADF);
    assert_int_equal(sockets->ops->send(sockets, -1, &byte, 1), -EBADF);
    assert_false(sockets->ops->has_unread(sockets, -1));
}

/* A listening socket on a free port of this machine. */
static int listen_somewhere(struct sockaddr_in *address) {
    socklen_t bytes = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(listener, (struct sockaddr *)address, bytes), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &bytes), 0);
    return listener;
}

static unsigned wait_for_told(void) {
    struct socket_event event = {0};
    while (sockets->ops->wait(sockets, 1000, &event, 1) == 0) continue;
    assert_ptr_equal(event.owner, &owner);
    return event.what;
}

static void a_connection_is_made_and_tells_when(void **state) {
    (void)state;
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);
    assert_int_equal(listen(listener, 1), 0);
    int fd = sockets->ops->connect(sockets, (struct sockaddr *)&address, sizeof address);
    assert_true(fd >= 0);
    assert_int_equal(sockets->ops->watch(sockets, fd, &owner, true), 0);
    assert_int_equal(wait_for_told(), SOCKET_WRITABLE);
    assert_int_equal(sockets->ops->send(sockets, fd, "hello", 5), 5);
    int accepted = accept(listener, NULL, NULL);
    char bytes[8];
    assert_int_equal(read(accepted, bytes, sizeof bytes), 5);
    close(accepted);
    sockets->ops->close(sockets, fd);
    close(listener);
}

static void a_connection_that_nobody_takes_says_why(void **state) {
    (void)state;
    struct sockaddr_in address;
    int listener = listen_somewhere(&address); /* but does not listen */
    char bytes[8];
    int fd = sockets->ops->connect(sockets, (struct sockaddr *)&address, sizeof address);
    if (fd >= 0) {
        assert_int_equal(sockets->ops->watch(sockets, fd, &owner, true), 0);
        assert_true((wait_for_told() & SOCKET_ENDED) != 0);
        assert_int_equal(sockets->ops->receive(sockets, fd, bytes, sizeof bytes), -ECONNREFUSED);
        sockets->ops->close(sockets, fd);
    } else {
        assert_int_equal(fd, -ECONNREFUSED);
    }
    close(listener);
}

static void what_cannot_even_begin_to_connect_is_refused(void **state) {
    (void)state;
    const struct sockaddr_in everybody = {
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_BROADCAST)};
    const struct sockaddr nobody = {.sa_family = AF_MAX};
    assert_true(sockets->ops->connect(sockets, (const struct sockaddr *)&everybody,
                                      sizeof everybody) < 0);
    assert_int_equal(sockets->ops->connect(sockets, &nobody, sizeof nobody), -EAFNOSUPPORT);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, end)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_made_and_tells_when),
        TEST(a_connection_that_nobody_takes_says_why),
        TEST(what_cannot_even_begin_to_connect_is_refused),
        TEST(what_comes_is_told_once),
        TEST(what_had_come_before_is_told),
        TEST(a_level_is_told_again_and_again),
        TEST(a_half_closed_side_is_told_and_still_answered),
        TEST(a_broken_one_tells_whoever_waits_for_anything),
        TEST(our_side_is_shut),
        TEST(room_is_told_only_to_who_wants_it),
        TEST(owners_are_told_apart),
        TEST(what_is_no_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
