/* SPDX-License-Identifier: Apache-2.0
 *
 * The report in words and as JSON: both say the same, and say it when something is wrong.
 */
#include "verify/load_report.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include "fake/load_fixture.h"

#include <cmocka.h>

static int open_run(void **state) {
    static struct load_fixture fixture;
    fixture_open(&fixture, 10, 2, 1);
    for (int i = 0; i < 2; i++) tell_coupon(&fixture, (uint32_t)i, "issued", i + 1, 10);
    for (uint32_t user = 2; user < 10; user++) tell(&fixture, user, SOLD_OUT_FINAL, 20);
    snprintf(fixture.verdict.export_text, sizeof fixture.verdict.export_text, "export equal");
    fixture.workers[0].tally.start_ns = 1000;
    fixture.workers[0].tally.end_ns = 500001000;
    tally_answer(&fixture.workers[0].tally, TOLD_ISSUED, 0, 2000000);
    *state = &fixture;
    return 0;
}

static int close_run(void **state) {
    fixture_close(*state);
    return 0;
}

static char *print(const struct load_verdict *verdict) {
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    load_report_print(verdict, out);
    fclose(out);
    return text;
}

static json_t *write_json(const struct load_verdict *verdict) {
    char path[] = "/tmp/load-report-XXXXXX";
    close(mkstemp(path));
    struct err err;
    assert_int_equal(load_report_write_json(verdict, path, &err), 0);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    unlink(path);
    assert_non_null(root);
    return root;
}

static void a_good_run(void **state) {
    struct load_fixture *fixture = *state;
    assert_int_equal(load_verdict_judge(&fixture->verdict), 0);
    assert_true(load_report_is_good(&fixture->verdict));
    char *text = print(&fixture->verdict);
    assert_non_null(strstr(text, "\nverified: 2 issued to 2 users, export equal\n"));
    assert_non_null(strstr(text, "10 asked: 2 told a coupon, 8 sold out (final)"));
    free(text);
    json_t *root = write_json(&fixture->verdict);
    int verified, issued, sold_out, count, asked;
    double seconds, p50;
    const char *verdict;
    assert_int_equal(json_unpack(root, "{s:b,s:s,s:f,s:{s:i,s:i},s:{s:{s:i,s:f}},s:{s:i}}",
                                 "verified", &verified, "verdict", &verdict, "seconds", &seconds,
                                 "outcomes", "issued", &issued, "sold_out_final", &sold_out,
                                 "latency_us", "issued", "count", &count, "p50", &p50, "users_told",
                                 "asked", &asked),
                     0);
    assert_true(verified && seconds == 0.5 && p50 == 2000);
    assert_string_equal(verdict, "verified: 2 issued to 2 users, export equal");
    assert_true(issued == 2 && sold_out == 8 && count == 1 && asked == 10);
    assert_int_equal(json_array_size(json_object_get(root, "findings")), 0);
    assert_true(json_is_null(json_object_get(json_object_get(root, "stock"), "holders_after")));
    json_decref(root);
}

static void a_bad_run(void **state) {
    struct load_fixture *fixture = *state;
    for (int i = 0; i < 25; i++)
        findings_add(&fixture->workers[0].oracle.findings, FINDING_BODY, "evidence %d \"\xff", i);
    assert_int_equal(load_verdict_judge(&fixture->verdict), 0);
    assert_false(load_report_is_good(&fixture->verdict));
    char *text = print(&fixture->verdict);
    assert_non_null(strstr(text, "body (25): "));
    assert_non_null(strstr(text, "    evidence 19 \".\n    … and 5 more\n"));
    assert_non_null(strstr(text, "\nNOT VERIFIED: 25 findings; export equal\n"));
    free(text);
    json_t *root = write_json(&fixture->verdict);
    const char *kind;
    int count, verified;
    json_t *evidence;
    assert_int_equal(json_unpack(root, "{s:b,s:[{s:s,s:i,s:o}]}", "verified", &verified, "findings",
                                 "kind", &kind, "count", &count, "evidence", &evidence),
                     0);
    assert_false(verified);
    assert_string_equal(kind, "body");
    assert_int_equal(count, 25);
    assert_int_equal(json_array_size(evidence), EVIDENCE_MAX);
    json_decref(root);
}

static void a_place_that_cannot_be_written(void **state) {
    struct load_fixture *fixture = *state;
    struct err err;
    assert_int_equal(load_verdict_judge(&fixture->verdict), 0);
    assert_true(load_report_write_json(&fixture->verdict, "/no/such/folder/x", &err) < 0);
    assert_non_null(strstr(err.text, "/no/such/folder/x"));
}

#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, open_run, close_run)

int main(void) {
    const struct CMUnitTest tests[] = {RUN_TEST(a_good_run), RUN_TEST(a_bad_run),
                                       RUN_TEST(a_place_that_cannot_be_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
