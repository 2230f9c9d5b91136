/* SPDX-License-Identifier: Apache-2.0
 *
 * The words and options of `coupond event`: what request they become, and what is refused before
 * anything is sent.
 */
#include "api/admin_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

/* The rows of options.def that `event` takes, whatever other commands there are. */
enum { COMMAND_EVENT = 1 };

static const struct option table[] = {
    {"stock", OPTION_NUMBER, COMMAND_EVENT, NULL, 1, 1000000, NULL, "N", "", false},
    {"starts", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "TIME", "", false},
    {"ends", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "TIME", "", false},
    {"code-prefix", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "TEXT", "", false},
    {"code-alphabet", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "TEXT", "", false},
    {"code-length", OPTION_NUMBER, COMMAND_EVENT, NULL, 1, 64, NULL, "N", "", false},
    {"to", OPTION_NUMBER, COMMAND_EVENT, NULL, 1, 1000000, NULL, "N", "", false},
    {"user", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "USER", "", false},
    {"format", OPTION_CHOICE, COMMAND_EVENT, "csv", 0, 0, "csv|ndjson", "F", "", false},
    {"reason", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "TEXT", "", false},
    {"operator", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "NAME", "", false},
    {"raw", OPTION_SWITCH, COMMAND_EVENT, "false", 0, 0, NULL, NULL, "", false},
};

enum { ARGS_MAX = 14 };

/* Makes a plan of arguments that end in NULL, for the user "me". */
static int make(struct admin_plan *plan, const char *const args[ARGS_MAX], struct err *err) {
    char text[ARGS_MAX][160], *argv[ARGS_MAX + 1] = {text[0]};
    struct options options;
    int argc = 1, words;
    bool help;
    for (; args[argc - 1] != NULL; argc++) {
        assert_true(strlen(args[argc - 1]) < sizeof text[0]);
        argv[argc] = text[argc];
        memcpy(text[argc], args[argc - 1], strlen(args[argc - 1]) + 1);
    }
    *err = (struct err){0};
    if (options_read(&options, table, ARRAY_LEN(table), COMMAND_EVENT, "NO_SUCH_PREFIX_", argc,
                     argv, &words, &help, err) != 0)
        return -EINVAL;
    const int result = admin_plan_make(plan, &options, "me", words, argv + 1, err);
    options_free(&options);
    return result;
}

struct good {
    const char *args[ARGS_MAX];
    const char *method, *path, *body;
    enum admin_answer answer;
};

#define EVENTS "/admin/v1/events"

static const struct good goods[] = {
    {{"list"}, "GET", EVENTS, NULL, ADMIN_ANSWER_EVENTS},
    {{"show", "e-1"}, "GET", EVENTS "/e-1", NULL, ADMIN_ANSWER_EVENT},
    {{"create", "e", "--stock", "5"},
     "POST",
     EVENTS,
     "{\"event_id\":\"e\",\"total_stock\":5,\"operator\":\"me\"}",
     ADMIN_ANSWER_EVENT},
    {{"create", "e", "--stock=1000000", "--starts", "2026-12-01T09:00:00Z", "--ends",
      "2026-12-01T18:00:01+09:00"},
     "POST",
     EVENTS,
     "{\"event_id\":\"e\",\"total_stock\":1000000,\"starts_at\":\"2026-12-01T09:00:00Z\","
     "\"ends_at\":\"2026-12-01T18:00:01+09:00\",\"operator\":\"me\"}",
     ADMIN_ANSWER_EVENT},
    {{"create", "e", "--stock", "5", "--code-prefix", "XM-", "--code-length", "30",
      "--code-alphabet", "0123456789", "--reason", "a \"b\""},
     "POST",
     EVENTS,
     "{\"event_id\":\"e\",\"total_stock\":5,\"code\":{\"prefix\":\"XM-\",\"alphabet\":"
     "\"0123456789\",\"length\":30},\"operator\":\"me\",\"reason\":\"a \\\"b\\\"\"}",
     ADMIN_ANSWER_EVENT},
    {{"create", "e", "--stock", "5", "--code-prefix", "XM-"},
     "POST",
     EVENTS,
     "{\"event_id\":\"e\",\"total_stock\":5,\"code\":{\"prefix\":\"XM-\"},\"operator\":\"me\"}",
     ADMIN_ANSWER_EVENT},
    {{"restock", "e", "--to", "7", "--operator", "Ann"},
     "POST",
     EVENTS "/e/restock",
     "{\"total_stock\":7,\"operator\":\"Ann\"}",
     ADMIN_ANSWER_EVENT},
    {{"pause", "e", "--reason", "fire"},
     "POST",
     EVENTS "/e/pause",
     "{\"operator\":\"me\",\"reason\":\"fire\"}",
     ADMIN_ANSWER_EVENT},
    {{"resume", "e"}, "POST", EVENTS "/e/resume", "{\"operator\":\"me\"}", ADMIN_ANSWER_EVENT},
    {{"close", "e"}, "POST", EVENTS "/e/close", "{\"operator\":\"me\"}", ADMIN_ANSWER_EVENT},
    {{"reschedule", "e", "--ends", "2026-12-01T09:00:00Z"},
     "POST",
     EVENTS "/e/reschedule",
     "{\"ends_at\":\"2026-12-01T09:00:00Z\",\"operator\":\"me\"}",
     ADMIN_ANSWER_EVENT},
    {{"return", "e", "--user", "u@x"},
     "POST",
     EVENTS "/e/return",
     "{\"user_id\":\"u@x\",\"operator\":\"me\"}",
     ADMIN_ANSWER_EVENT},
    {{"export", "e"}, "GET", EVENTS "/e/export?format=csv", NULL, ADMIN_ANSWER_EXPORT},
    {{"export", "e", "--format", "ndjson"},
     "GET",
     EVENTS "/e/export?format=ndjson",
     NULL,
     ADMIN_ANSWER_EXPORT},
};

static void test_requests(void **state) {
    (void)state;
    for (const struct good *good = goods; good < goods + ARRAY_LEN(goods); good++) {
        struct admin_plan plan;
        struct err err;
        if (make(&plan, good->args, &err) != 0) fail_msg("%s: %s", good->args[0], err.text);
        assert_string_equal(plan.method, good->method);
        assert_string_equal(plan.path, good->path);
        assert_int_equal(plan.answer, good->answer);
        if (good->body == NULL)
            assert_null(plan.body);
        else
            assert_string_equal(plan.body, good->body);
        admin_plan_free(&plan);
    }
}

static const struct {
    const char *args[ARGS_MAX];
    const char *says;
} bads[] = {
    {{NULL}, "usage: coupond event create | list"},
    {{"crate", "e"}, "usage: coupond event create | list"},
    {{"create", "--stock", "5"}, "usage: coupond event create EVENT --stock N"},
    {{"create", "e", "f", "--stock", "5"}, "usage: coupond event create EVENT --stock N"},
    {{"list", "e"}, "usage: coupond event list"},
    {{"show"}, "usage: coupond event show EVENT"},
    {{"pause"}, "usage: coupond event pause EVENT [--reason TEXT]"},
    {{"create", "e"}, "--stock is missing"},
    {{"create", "e", "--stock", "0"}, "--stock"},
    {{"create", "e", "--stock", "1000001"}, "--stock"},
    {{"create", "e", "--stock", "many"}, "--stock"},
    {{"create", "e/f", "--stock", "5"}, "EVENT must be"},
    {{"create", "", "--stock", "5"}, "EVENT must be"},
    {{"create", "e", "--stock", "5", "--starts", "tomorrow"}, "--starts must be an instant"},
    {{"create", "e", "--stock", "5", "--ends", "2026-13-01T00:00:00Z"}, "--ends must be"},
    {{"create", "e", "--stock", "5", "--starts", "2026-12-01T09:00:00Z", "--ends",
      "2026-12-01T09:00:00Z"},
     "--ends must be later"},
    {{"create", "e", "--stock", "5", "--code-length", "3"}, "code"},
    {{"create", "e", "--stock", "5", "--code-alphabet", "aaaaaaaaaa"}, "code"},
    {{"create", "e", "--stock", "5", "--code-prefix", "a b"}, "code"},
    {{"create", "e", "--stock", "5", "--reason", "a\nb"}, "--reason must not"},
    {{"create", "e", "--stock", "5", "--reason", "\xff"}, "reason is not UTF-8"},
    {{"create", "e", "--stock", "5", "--operator",
      "01234567890123456789012345678901234567890123456789012345678901234"},
     "--operator is longer"},
    {{"create", "e", "--stock", "5", "--to", "6"}, "create takes no --to"},
    {{"list", "--stock", "5"}, "list takes no --stock"},
    {{"show", "e", "--reason", "x"}, "show takes no --reason"},
    {{"restock", "e"}, "--to is missing"},
    {{"reschedule", "e"}, "give --starts"},
    {{"return", "e"}, "--user is missing"},
    {{"return", "e", "--user", "a b"}, "--user must be"},
    {{"export", "e", "--format", "xml"}, "--format"},
};

static void test_refusals(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        struct admin_plan plan = {0};
        struct err err;
        assert_int_equal(make(&plan, bads[i].args, &err), -EINVAL);
        if (strstr(err.text, bads[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, bads[i].says);
        assert_null(plan.body);
    }
}

static void test_without_a_user(void **state) {
    (void)state;
    struct options options;
    struct admin_plan plan;
    struct err err;
    int words;
    bool help;
    char program[] = "event", verb[] = "close", event[] = "e";
    char *argv[] = {program, verb, event, NULL};
    assert_int_equal(options_read(&options, table, ARRAY_LEN(table), COMMAND_EVENT,
                                  "NO_SUCH_PREFIX_", 3, argv, &words, &help, &err),
                     0);
    assert_int_equal(admin_plan_make(&plan, &options, NULL, words, argv + 1, &err), 0);
    assert_string_equal(plan.body, "{\"operator\":\"cli\"}");
    admin_plan_free(&plan);
    options_free(&options);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_a_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
