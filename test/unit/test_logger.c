/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines as they arrive on stderr, read from a datagram socket, which keeps each write apart.
 */
#include "lib/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/rfc3339.h"

struct capture {
    int end; /* to read from */
    int stderr_before;
};

static int begin(void **state) {
    static struct capture capture;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) != 0) return -1;
    capture.end = ends[0];
    capture.stderr_before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    *state = &capture;
    return 0;
}

static int end(void **state) {
    const struct capture *capture = *state;
    dup2(capture->stderr_before, STDERR_FILENO);
    close(capture->stderr_before);
    close(capture->end);
    logger_set_level(LOG_INFO);
    return 0;
}

/* The next write as text; "" when there is none. */
static const char *next_line(void **state) {
    static char line[4096];
    const struct capture *capture = *state;
    ssize_t bytes = read(capture->end, line, sizeof line - 1);
    line[bytes > 0 ? bytes : 0] = '\0';
    return line;
}

static void a_line_has_time_level_unit_and_text(void **state) {
    int64_t before = clock_wall_ms(&clock_system), ms;
    errno = 77;
    logger_line(LOG_WARN, "journal", "event=torn_tail_cut bytes=%d", 17);
    assert_int_equal(errno, 77);
    const char *line = next_line(state);
    assert_true(rfc3339_parse(slice_of(line, RFC3339_BYTES), &ms));
    assert_true(ms >= before && ms <= clock_wall_ms(&clock_system));
    assert_string_equal(line + RFC3339_BYTES, " warn journal event=torn_tail_cut bytes=17\n");
    assert_string_equal(next_line(state), "");
}

/* A line that cannot be written is lost, and the caller's errno is still the caller's. */
static void a_failed_write_changes_nothing(void **state) {
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    dup2(full, STDERR_FILENO);
    close(full);
    errno = 77;
    logger_line(LOG_WARN, "journal", "event=torn_tail_cut");
    assert_int_equal(errno, 77);
}

static void lines_below_the_level_are_dropped(void **state) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    logger_line(LOG_DEBUG, "x", "a");
    assert_string_equal(next_line(state), "");
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        logger_set_level((enum log_level)level);
        for (int line = LOG_DEBUG; line <= LOG_ERROR; line++) {
            logger_line((enum log_level)line, "x", "a");
            const char *got = next_line(state);
            assert_int_equal(got[0] != '\0', line >= level);
            if (line >= level) assert_memory_equal(got + 25, names[line], strlen(names[line]));
        }
    }
}

static void a_long_line_is_cut_at_a_character(void **state) {
    /* Three-byte characters begin at each of three places, so the cut falls into each place. */
    for (int shift = 0; shift < 3; shift++) {
        char text[3000];
        memset(text, 'x', 3);
        size_t n = (size_t)shift;
        for (; n + 3 < sizeof text; n += 3) memcpy(text + n, "쿠", 3);
        text[n] = '\0';
        logger_line(LOG_ERROR, "x", "%s", text);
        const char *line = next_line(state);
        size_t bytes = strlen(line);
        assert_true(bytes <= 1024 && bytes >= 1022);
        assert_int_equal(line[bytes - 1], '\n');
        assert_memory_equal(line + bytes - 4, "쿠", 3);
        assert_string_equal(next_line(state), "");
    }
}

static void a_line_of_just_the_limit_is_whole(void **state) {
    char text[2000];
    size_t head = RFC3339_BYTES + strlen(" error x ");
    for (size_t bytes = 1022; bytes <= 1026; bytes++) {
        size_t n = bytes - head - 1;
        memset(text, 'a', n);
        text[n] = '\0';
        text[n - 1] = 'z';
        logger_line(LOG_ERROR, "x", "%s", text);
        const char *line = next_line(state);
        assert_int_equal(strlen(line), bytes < 1024 ? bytes : 1024);
        assert_int_equal(strchr(line, 'z') == NULL, bytes > 1024);
    }
}

static void a_value_cannot_begin_a_line(void **state) {
    logger_line(LOG_ERROR, "x", "path=%s", "a\nb\r\x1b[2J\x7f");
    assert_string_equal(next_line(state) + RFC3339_BYTES, " error x path=a?b??[2J?\n");
}

static void a_storm_is_one_line_that_counts(void **state) {
    struct logger_limit limit = {0}, other = {0};
    for (int i = 0; i < 100; i++) logger_line_limited(&limit, LOG_WARN, "x", "i=%d", i);
    assert_string_equal(next_line(state) + RFC3339_BYTES, " warn x i=0\n");
    assert_string_equal(next_line(state), "");
    logger_line_limited(&other, LOG_WARN, "x", "other");
    assert_string_equal(next_line(state) + RFC3339_BYTES, " warn x other\n");
    uint64_t next_ns = atomic_load(&limit.next_ns), now_ns = clock_monotonic_ns(&clock_system);
    assert_true(next_ns > now_ns - 1000000000 && next_ns <= now_ns + 1000000000);
    atomic_store(&limit.next_ns, now_ns); /* as if the second were over */
    logger_line_limited(&limit, LOG_WARN, "x", "i=%d", 100);
    assert_string_equal(next_line(state) + RFC3339_BYTES, " warn x i=100 dropped=99\n");
    atomic_store(&limit.next_ns, now_ns);
    logger_line_limited(&limit, LOG_WARN, "x", "i=%d", 101);
    assert_string_equal(next_line(state) + RFC3339_BYTES, " warn x i=101\n");
}

static void the_count_is_not_cut_off(void **state) {
    char text[3000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    struct logger_limit limit = {.dropped = 4000000000};
    logger_line_limited(&limit, LOG_WARN, "x", "%s", text);
    const char *line = next_line(state);
    assert_int_equal(strlen(line), 1024);
    assert_string_equal(line + 1024 - strlen("a dropped=4000000000\n"), "a dropped=4000000000\n");
}

/* What is below the level neither speaks nor uses up the second. */
static void a_dropped_level_does_not_use_the_limit(void **state) {
    struct logger_limit limit = {0};
    logger_line_limited(&limit, LOG_DEBUG, "x", "quiet");
    assert_string_equal(next_line(state), "");
    assert_int_equal(atomic_load(&limit.next_ns), 0);
    assert_int_equal(atomic_load(&limit.dropped), 0);
}

static struct logger_limit shared_limit;

static void *storm(void *ctx) {
    (void)ctx;
    for (int i = 0; i < 1000; i++) logger_line_limited(&shared_limit, LOG_WARN, "x", "storm");
    return NULL;
}

static void threads_share_a_limit(void **state) {
    pthread_t threads[4];
    atomic_store(&shared_limit.next_ns, 0);
    uint64_t begin_ns = clock_monotonic_ns(&clock_system);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, storm, NULL), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    uint64_t seconds = (clock_monotonic_ns(&clock_system) - begin_ns) / 1000000000;
    unsigned lines = 0;
    uint64_t stood_for = 0;
    for (const char *line = next_line(state); *line != '\0'; line = next_line(state), lines++) {
        const char *dropped = strstr(line, "dropped=");
        unsigned count = 0;
        if (dropped != NULL) assert_int_equal(sscanf(dropped, "dropped=%u", &count), 1);
        stood_for += 1 + count;
    }
    assert_true(lines >= 1 && lines <= seconds + 1);
    assert_int_equal(stood_for + atomic_load(&shared_limit.dropped), 4000);
}

#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CAPTURED(a_line_has_time_level_unit_and_text),
        CAPTURED(a_failed_write_changes_nothing),
        CAPTURED(lines_below_the_level_are_dropped),
        CAPTURED(a_long_line_is_cut_at_a_character),
        CAPTURED(a_line_of_just_the_limit_is_whole),
        CAPTURED(a_value_cannot_begin_a_line),
        CAPTURED(a_storm_is_one_line_that_counts),
        CAPTURED(the_count_is_not_cut_off),
        CAPTURED(a_dropped_level_does_not_use_the_limit),
        CAPTURED(threads_share_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
