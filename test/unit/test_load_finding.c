/* SPDX-License-Identifier: Apache-2.0
 *
 * Findings: all are counted, the first ones are kept in words that are safe to print.
 */
#include "verify/load_finding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void all_are_counted_and_the_first_kept(void **state) {
    (void)state;
    struct findings findings = {0};
    for (int i = 0; i < EVIDENCE_MAX + 5; i++)
        findings_add(&findings, FINDING_OVERSOLD, "number %d", i);
    assert_int_equal(findings.kinds[FINDING_OVERSOLD].count, EVIDENCE_MAX + 5);
    assert_string_equal(findings.kinds[FINDING_OVERSOLD].evidence[0], "number 0");
    assert_string_equal(findings.kinds[FINDING_OVERSOLD].evidence[EVIDENCE_MAX - 1], "number 19");
    assert_int_equal(findings_count(&findings), EVIDENCE_MAX + 5);
    findings_deinit(&findings);
    assert_int_equal(findings_count(&findings), 0);
}

static void what_a_server_sent_is_made_printable_and_cut(void **state) {
    (void)state;
    struct findings findings = {0};
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "a\r\n\033[2J\xc3\xa9", 9);
    findings_add(&findings, FINDING_PROTOCOL, "%s", text);
    const char *kept = findings.kinds[FINDING_PROTOCOL].evidence[0];
    assert_memory_equal(kept, "a...[2J..x", 10);
    assert_int_equal(strlen(kept), EVIDENCE_BYTES_MAX - 1);
    findings_deinit(&findings);
}

static void merging_keeps_every_count(void **state) {
    (void)state;
    struct findings a = {0}, b = {0};
    for (int i = 0; i < 15; i++) {
        findings_add(&a, FINDING_STATUS, "a%d", i);
        findings_add(&b, FINDING_STATUS, "b%d", i);
    }
    findings_add(&b, FINDING_BODY, "only there");
    findings_merge(&a, &b);
    assert_int_equal(a.kinds[FINDING_STATUS].count, 30);
    assert_string_equal(a.kinds[FINDING_STATUS].evidence[14], "a14");
    assert_string_equal(a.kinds[FINDING_STATUS].evidence[15], "b0");
    assert_string_equal(a.kinds[FINDING_STATUS].evidence[19], "b4");
    assert_string_equal(a.kinds[FINDING_BODY].evidence[0], "only there");
    assert_int_equal(findings_count(&a), 31);
    assert_int_equal(findings_count(&b), 0);
    findings_deinit(&a);
}

static void names_are_distinct(void **state) {
    (void)state;
    for (unsigned i = 0; i < FINDING_KINDS_COUNT; i++) {
        assert_true(finding_text(i)[0] != '\0');
        for (unsigned j = 0; j < i; j++) assert_string_not_equal(finding_name(i), finding_name(j));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_counted_and_the_first_kept),
        cmocka_unit_test(what_a_server_sent_is_made_printable_and_cut),
        cmocka_unit_test(merging_keeps_every_count),
        cmocka_unit_test(names_are_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
