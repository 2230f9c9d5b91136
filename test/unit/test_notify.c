/* SPDX-License-Identifier: Apache-2.0
 *
 * A supervisor gets the datagrams that it asked for, under either kind of name, and its watchdog is
 * fed only while the work moves on.
 */
#include "lib/notify.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char name[64]; /* as NOTIFY_SOCKET has it */
static int supervisor;

static void listen_as(const char *beginning) {
    snprintf(name, sizeof name, "%s-%d", beginning, (int)getpid());
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    if (name[0] == '@') address.sun_path[0] = '\0';
    supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(supervisor, (struct sockaddr *)&address, bytes), 0);
}

static void stop_listening(void) {
    close(supervisor);
    if (name[0] == '/') unlink(name);
}

static const char *heard(void) {
    static char message[2048];
    ssize_t n = recv(supervisor, message, sizeof message - 1, 0);
    message[n < 0 ? 0 : n] = '\0';
    return message;
}

static void speak_to(const char *beginning) {
    struct notify notify;
    listen_as(beginning);
    notify_open(&notify, name, NULL, NULL);
    notify_send(&notify, "READY=1\nSTATUS=%d events", 3);
    assert_string_equal(heard(), "READY=1\nSTATUS=3 events");
    assert_string_equal(heard(), "");
    assert_int_equal(notify_beat_ns(&notify), 0);
    notify_close(&notify);
    notify_send(&notify, "STOPPING=1");
    assert_string_equal(heard(), "");
    stop_listening();
}

static void a_path_is_told(void **state) {
    (void)state;
    speak_to("/tmp/coupond-notify");
}

static void an_abstract_name_is_told(void **state) {
    (void)state;
    speak_to("@coupond-notify");
}

static void nobody_is_told_nothing(void **state) {
    (void)state;
    char too_long[200] = "/";
    memset(too_long + 1, 'x', sizeof too_long - 2);
    too_long[sizeof too_long - 1] = '\0';
    const char *const names[] = {NULL, "", "/", "@", "relative", "vsock:2:1", too_long};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct notify notify;
        notify_open(&notify, names[i], "1000000", NULL);
        assert_int_equal(notify.fd, -1);
        assert_int_equal(notify_beat_ns(&notify), 0);
        notify_send(&notify, "READY=1");
        notify_close(&notify);
    }
}

static void one_that_is_gone_does_no_harm(void **state) {
    (void)state;
    struct notify notify;
    listen_as("/tmp/coupond-notify");
    notify_open(&notify, name, NULL, NULL);
    stop_listening();
    notify_send(&notify, "READY=1");
    notify_close(&notify);
}

static uint64_t beat_of(const char *watchdog_us, const char *watchdog_pid) {
    struct notify notify;
    notify_open(&notify, "/nobody", watchdog_us, watchdog_pid);
    uint64_t ns = notify_beat_ns(&notify);
    notify_close(&notify);
    return ns;
}

static void the_watchdog_is_fed_twice_in_its_time(void **state) {
    (void)state;
    char own[32];
    snprintf(own, sizeof own, "%d", (int)getpid());
    assert_int_equal(beat_of("30000000", NULL), 15000000000u);
    assert_int_equal(beat_of("30000000", own), 15000000000u);
    assert_int_equal(beat_of("30000000", "1"), 0); /* another process is watched */
    assert_int_equal(beat_of("30000000", ""), 0);
    assert_int_equal(beat_of(NULL, own), 0);
    assert_int_equal(beat_of("", NULL), 0);
    assert_int_equal(beat_of("-1", NULL), 0);
    assert_int_equal(beat_of("soon", NULL), 0);
    assert_int_equal(beat_of("99999999999999999999999", NULL), 0);
}

static void work_that_stands_still_feeds_nobody(void **state) {
    (void)state;
    struct notify notify;
    listen_as("@coupond-notify");
    notify_open(&notify, name, "1000", NULL);
    assert_false(notify_beat(&notify, 0));
    assert_string_equal(heard(), "");
    assert_true(notify_beat(&notify, 7));
    assert_string_equal(heard(), "WATCHDOG=1");
    assert_false(notify_beat(&notify, 7));
    assert_string_equal(heard(), "");
    assert_true(notify_beat(&notify, 8));
    assert_string_equal(heard(), "WATCHDOG=1");
    notify_close(&notify);
    stop_listening();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_told),
        cmocka_unit_test(an_abstract_name_is_told),
        cmocka_unit_test(nobody_is_told_nothing),
        cmocka_unit_test(one_that_is_gone_does_no_harm),
        cmocka_unit_test(the_watchdog_is_fed_twice_in_its_time),
        cmocka_unit_test(work_that_stands_still_feeds_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
