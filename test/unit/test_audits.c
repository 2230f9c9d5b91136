/* SPDX-License-Identifier: Apache-2.0
 *
 * What servers noted that they told, against the log: what is right is no finding, each lie is one.
 */
#include "verify/audits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/decisions_fixture.h"

static const struct hash_key hash_key = {{1, 2}};

/* Of EV: ada has serial 1 from 2 on and bob serial 2 from 3 on; ada gives it back at 5, eve gets it
 * at 6. */
struct bench {
    struct truth truth;
    struct checks checks;
    struct audits audits;
    char path[64];
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    const struct decision decisions[] = {
        decision_stock(1, 1, 4),
        decision_issued(2, 1, 1, 0, "ada"),
        decision_issued(3, 1, 2, 0, "bob"),
        decision_returned(5, 2, 1, "ada"),
        decision_issued(6, 2, 1, 1, "eve"),
    };
    truth_init(&bench->truth, &hash_key);
    for (size_t i = 0; i < ARRAY_LEN(decisions); i++)
        truth_add(&bench->truth, &decisions[i], &bench->checks);
    strcpy(bench->path, "/tmp/audits-XXXXXX");
    int fd = mkstemp(bench->path);
    if (fd < 0) return -1;
    close(fd);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    unlink(bench->path);
    audits_deinit(&bench->audits);
    truth_deinit(&bench->truth);
    checks_deinit(&bench->checks);
    free(bench);
    return 0;
}

static void write_file(const struct bench *bench, const char *text, const char *mode) {
    FILE *to = fopen(bench->path, mode);
    fputs(text, to);
    fclose(to);
}

static int check(struct bench *bench, const char *text, struct err *err) {
    write_file(bench, "coupond-audit 1 log\n", "w");
    write_file(bench, text, "a");
    assert_int_equal(audits_open(&bench->audits, bench->path, err), 0);
    int code = audits_check(&bench->audits, &bench->truth, "log", &bench->checks, err);
    audits_deinit(&bench->audits);
    return code;
}

static void what_was_told_rightly_is_no_finding(void **state) {
    struct bench *bench = *state;
    struct err err = {0};
    assert_int_equal(
        check(bench, "2 EV 1 ada\n4 EV 1 ada\n3 EV 2 bob\n900 EV 2 bob\n6 EV 1 eve\n", &err), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
    assert_int_equal(bench->audits.all[0].lines, 5);
}

static void every_lie_is_found(void **state) {
    static const struct {
        const char *line, *words;
    } lies[] = {
        {"3 EV 1 bob\n", "has serial 2, of seq 3"}, /* another serial */
        {"2 EV 2 bob\n", "has serial 2, of seq 3"}, /* before it was decided */
        {"9 EV 3 cy\n", "held none"},               /* nobody */
        {"9 OTHER 2 bob\n", "held none"},           /* another event */
        {"5 EV 1 ada\n", "held none"},              /* given back by then */
        {"6 EV 1 ada\n", "told at seq 6: event EV, serial 1, user ada"},
        {"5 EV 1 eve\n", "has serial 1, of seq 6"},
        {"3 EV 2\n", "no line of an audit"},
        {"3 EV x bob\n", "no line of an audit"},
        {"3 EV 2 bob more\n", "no line of an audit"},
        {"3 EV 2 bob \n", "no line of an audit"},
        {"\n", "no line of an audit"},
    };
    struct bench *bench = *state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct err err = {0};
        assert_int_equal(check(bench, lies[i].line, &err), 0);
        assert_int_equal(bench->checks.counts[CHECK_R8], 1);
        assert_non_null(strstr(bench->checks.all[0].evidence, lies[i].words));
        assert_non_null(strstr(bench->checks.all[0].evidence, ":2: "));
        checks_deinit(&bench->checks);
    }
}

static void what_is_written_later_or_cut_off_does_not_count(void **state) {
    struct bench *bench = *state;
    struct err err = {0};
    assert_int_equal(check(bench, "3 EV 2 bob\n3 EV 1 bo", &err), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
    write_file(bench, "coupond-audit 1 log\n3 EV 2 bob\n", "w");
    assert_int_equal(audits_open(&bench->audits, bench->path, &err), 0);
    write_file(bench, "7 EV 9 late\n", "a");
    assert_int_equal(audits_check(&bench->audits, &bench->truth, "log", &bench->checks, &err), 0);
    assert_int_equal(checks_sum(&bench->checks), 0);
    assert_int_equal(bench->audits.all[0].lines, 1);
}

static void another_file_is_refused(void **state) {
    struct bench *bench = *state;
    struct err err = {0};
    assert_int_equal(audits_open(&bench->audits, "/nowhere", &err), -ENOENT);
    assert_int_equal(audits_open(&bench->audits, "/dev/null", &err), -EINVAL);
    audits_deinit(&bench->audits);
    write_file(bench, "coupond-audit 1 other\n", "w");
    assert_int_equal(audits_open(&bench->audits, bench->path, &err), 0);
    assert_int_equal(audits_check(&bench->audits, &bench->truth, "log", &bench->checks, &err),
                     -EBADMSG);
    assert_non_null(strstr(err.text, "of the log other, not of log"));
    audits_deinit(&bench->audits);
    write_file(bench, "{}\n", "w");
    assert_int_equal(audits_open(&bench->audits, bench->path, &err), 0);
    assert_int_equal(audits_check(&bench->audits, &bench->truth, "log", &bench->checks, &err),
                     -EBADMSG);
    assert_non_null(strstr(err.text, "is no audit"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_told_rightly_is_no_finding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_lie_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_written_later_or_cut_off_does_not_count, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_file_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
