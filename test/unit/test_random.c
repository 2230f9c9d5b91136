/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's randomness fills every byte asked for and none beside.
 */
#include "lib/random.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

/* More than the 256 bytes that the kernel gives without interruption. Each byte is looked at over
 * several fills: it stays 0 in all of eight with a chance of 2^-64. */
static void every_byte_is_filled(void **state) {
    (void)state;
    enum { BYTES = 5000 };
    static unsigned char bytes[BYTES + 2], seen[BYTES];
    for (int round = 0; round < 8; round++) {
        memset(bytes, 0, sizeof bytes);
        random_fill(&random_system, bytes + 1, BYTES);
        assert_int_equal(bytes[0], 0);
        assert_int_equal(bytes[BYTES + 1], 0);
        for (size_t i = 0; i < BYTES; i++) seen[i] |= bytes[i + 1];
    }
    for (size_t i = 0; i < BYTES; i++) assert_true(seen[i] != 0);
}

static void ignore(int number) {
    (void)number;
}

/* A signal makes getrandom return what it has: a clock that ticks every millisecond does so many
 * times in 32 MiB, and what is beyond comes from another call. */
static void a_short_result_is_continued(void **state) {
    (void)state;
    const size_t bytes = 32 << 20;
    static const unsigned char zeros[32];
    unsigned char *out = calloc(1, bytes);
    assert_non_null(out);
    struct sigaction before, action = {.sa_handler = ignore};
    struct itimerval off = {0}, tick = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &tick, NULL), 0);
    random_fill(&random_system, out, bytes);
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_memory_not_equal(out, zeros, sizeof zeros);
    assert_memory_not_equal(out + bytes - sizeof zeros, zeros, sizeof zeros);
    free(out);
}

static void two_fills_differ(void **state) {
    (void)state;
    unsigned char one[16], two[16];
    random_fill(&random_system, one, sizeof one);
    random_fill(&random_system, two, sizeof two);
    assert_memory_not_equal(one, two, sizeof one);
}

static void nothing_asked_is_nothing_written(void **state) {
    (void)state;
    unsigned char byte = 7;
    random_fill(&random_system, &byte, 0);
    assert_int_equal(byte, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_filled),
        cmocka_unit_test(a_short_result_is_continued),
        cmocka_unit_test(two_fills_differ),
        cmocka_unit_test(nothing_asked_is_nothing_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
